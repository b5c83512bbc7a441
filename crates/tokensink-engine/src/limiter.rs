//! Keeps to the limits that providers put on a credential, for all sinks that share it.
//!
//! A sink only describes its [`Quota`]; who goes when is decided here, in the order in which the
//! sinks come, so that the most important ones go first.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex as BlockingMutex, PoisonError};
use std::time::Duration;

use tokensink_core::Quota;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// A minute, and a little more: of two requests the later one may be quicker under way.
const MINUTE: Duration = Duration::from_millis(60_500);

/// One lane for each quota.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    lanes: BlockingMutex<BTreeMap<String, Arc<Lane>>>,
}

impl Limiter {
    pub(crate) fn lane(&self, quota: Option<Quota>) -> Option<Arc<Lane>> {
        let quota = quota?;
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = lanes.entry(quota.key.clone()).or_insert_with(|| Arc::new(Lane::new(&quota)));
        Some(Arc::clone(lane))
    }
}

/// A request that may be under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Permit(
    #[expect(dead_code, reason = "held for its drop")] Option<OwnedSemaphorePermit>,
);

/// The requests of one credential to one provider.
#[derive(Debug)]
pub(crate) struct Lane {
    writes_per_minute: Option<usize>,
    under_way: Arc<Semaphore>,
    /// When the writes of the last minute were let in. Held while waiting: the lock is fair, so
    /// it is the queue.
    recent_writes: Mutex<VecDeque<Instant>>,
    closed_until: BlockingMutex<Option<Instant>>,
}

impl Lane {
    fn new(quota: &Quota) -> Self {
        Self {
            writes_per_minute: quota.writes_per_minute.map(|writes| writes.max(1) as usize),
            under_way: Arc::new(Semaphore::new(quota.concurrent.max(1))),
            recent_writes: Mutex::default(),
            closed_until: BlockingMutex::default(),
        }
    }

    /// The provider takes nothing for this long.
    pub(crate) fn close_for(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut closed = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        *closed = (*closed).max(Some(until));
    }

    pub(crate) async fn admit_read(&self) -> Permit {
        let permit = self.permit().await;
        self.opened().await;
        permit
    }

    pub(crate) async fn admit_write(&self) -> Permit {
        let Some(most) = self.writes_per_minute else { return self.admit_read().await };
        let mut recent = self.recent_writes.lock().await;
        let permit = self.permit().await;
        if recent.len() >= most
            && let Some(oldest) = recent.pop_front()
        {
            sleep_until(oldest + MINUTE).await;
        }
        self.opened().await;
        recent.push_back(Instant::now());
        permit
    }

    async fn permit(&self) -> Permit {
        // The only error is a closed semaphore, and nobody closes this one.
        Permit(Arc::clone(&self.under_way).acquire_owned().await.ok())
    }

    async fn opened(&self) {
        loop {
            let closed = *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
            match closed {
                Some(until) if until > Instant::now() => sleep_until(until).await,
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    fn lane(concurrent: usize, writes_per_minute: Option<u32>) -> Arc<Lane> {
        let quota = Quota { key: "q".to_owned(), concurrent, writes_per_minute };
        Limiter::default().lane(Some(quota)).unwrap()
    }

    async fn admitted_at(lane: &Lane, writes: usize) -> Vec<u64> {
        let started = Instant::now();
        join_all((0..writes).map(|_| async {
            let _permit = lane.admit_write().await;
            started.elapsed().as_secs()
        }))
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn writes_come_in_bursts_of_what_a_minute_allows() {
        let at = admitted_at(&lane(100, Some(80)), 170).await;
        assert_eq!(at.iter().filter(|second| **second == 0).count(), 80);
        assert_eq!(at.iter().filter(|second| **second == 60).count(), 80);
        assert_eq!(at.iter().filter(|second| **second == 121).count(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_let_into_a_closed_window() {
        let lane = lane(100, None);
        for seconds in [20, 30, 10] {
            lane.close_for(Duration::from_secs(seconds));
        }
        assert_eq!(admitted_at(&lane, 3).await, [30, 30, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn first_come_is_first_served() {
        let at = admitted_at(&lane(1, Some(1)), 4).await;
        assert_eq!(at, [0, 60, 121, 181]);
    }

    #[test]
    fn sinks_of_one_key_share_a_lane() {
        let limiter = Limiter::default();
        let quota =
            |key: &str| Some(Quota { key: key.to_owned(), concurrent: 1, writes_per_minute: None });
        let (one, two) = (limiter.lane(quota("a")).unwrap(), limiter.lane(quota("a")).unwrap());
        assert!(Arc::ptr_eq(&one, &two));
        assert!(!Arc::ptr_eq(&one, &limiter.lane(quota("b")).unwrap()));
        assert!(limiter.lane(None).is_none());
    }
}
