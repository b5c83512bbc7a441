//! One task for each sink, so that none waits for another and a panic stays where it happened.

use std::future::Future;

use tokio::task::JoinSet;

/// How a sink's task ended.
#[derive(Debug)]
pub(crate) enum TaskOutcome<T> {
    /// With an answer.
    Returned(T),
    /// The plugin panicked.
    Panicked,
    /// Nobody waited for it any longer.
    Abandoned,
}

impl<T> TaskOutcome<T> {
    /// The answer, or what stands for it.
    pub(crate) fn or(self, panicked: impl FnOnce() -> T, abandoned: impl FnOnce() -> T) -> T {
        match self {
            Self::Returned(answer) => answer,
            Self::Panicked => panicked(),
            Self::Abandoned => abandoned(),
        }
    }
}

/// Runs `work` for all `items` at once, started in their order. Answers come back in that order,
/// and are shown to `watch` in the order of their arrival. When `abandon` completes, what is still
/// under way is dropped.
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
            Some(Ok((id, answer))) => {
                if let Some(index) = index_of.get(&id) {
                    watch(*index, &answer);
                    ended[*index] = TaskOutcome::Returned(answer);
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
    async fn a_panic_and_a_hang_stay_where_they_are() {
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
