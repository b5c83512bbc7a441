//! Runs one task for each sink, so that sinks do not wait for each other and a panic affects only one.

use std::future::Future;

use tokio::task::JoinSet;

/// The outcome of a sink's task.
#[derive(Debug)]
pub(crate) enum TaskOutcome<T> {
    /// The task returned a result.
    Returned(T),
    /// The plugin panicked.
    Panicked,
    /// The task was dropped before its end.
    Abandoned,
}

impl<T> TaskOutcome<T> {
    /// Returns the result, or the one of `panicked` or `abandoned`.
    pub(crate) fn or(self, panicked: impl FnOnce() -> T, abandoned: impl FnOnce() -> T) -> T {
        match self {
            Self::Returned(result) => result,
            Self::Panicked => panicked(),
            Self::Abandoned => abandoned(),
        }
    }
}

/// Runs `work` for all `items` concurrently, started in their order. The results are returned in that order,
/// and passed to `watch` in the order of their arrival. When `abandon` completes, the remaining tasks are
/// dropped.
pub(crate) async fn run_concurrently<I, T, F>(
    items: impl IntoIterator<Item = I>,
    work: impl Fn(I) -> F,
    watch: impl Fn(usize, &T),
    abandon: impl Future<Output = ()>,
) -> Vec<TaskOutcome<T>>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    let mut places = Vec::new();
    for item in items {
        places.push(tasks.spawn(work(item)).id());
    }
    let mut ended: Vec<TaskOutcome<T>> = places.iter().map(|_| TaskOutcome::Abandoned).collect();
    let index_of: std::collections::HashMap<_, _> =
        places.iter().enumerate().map(|(index, id)| (*id, index)).collect();
    let mut abandon = std::pin::pin!(abandon);
    loop {
        let joined = tokio::select! {
            biased;
            joined = tasks.join_next_with_id() => joined,
            () = &mut abandon => break,
        };
        match joined {
            Some(Ok((id, result))) => {
                if let Some(index) = index_of.get(&id) {
                    watch(*index, &result);
                    ended[*index] = TaskOutcome::Returned(result);
                }
            }
            Some(Err(error)) => {
                if let Some(index) = index_of.get(&error.id()) {
                    ended[*index] = TaskOutcome::Panicked;
                }
            }
            None => break,
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panic_and_a_hang_affect_only_one_task() {
        let ended = run_concurrently(
            0..3_u32,
            |item| async move {
                match item {
                    0 => panic!("as planned"),
                    1 => std::future::pending().await,
                    other => other,
                }
            },
            |_, _| {},
            tokio::time::sleep(Duration::from_secs(1)),
        )
        .await;
        assert!(matches!(
            ended[..],
            [TaskOutcome::Panicked, TaskOutcome::Abandoned, TaskOutcome::Returned(2)]
        ));
    }
}
