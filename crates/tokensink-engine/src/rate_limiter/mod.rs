//! Observes the providers' limits on a credential, for all sinks that share it.
//!
//! A sink only declares its [`RateLimits`]. The rate limiter admits the requests in the order in which they
//! queue, so that sinks with a high priority are written first.

mod sliding_window;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _, join_all};
use tokensink_core::RateLimits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use self::sliding_window::SlidingWindow;

/// The maximum number of concurrent requests after the provider has refused one for its limit, so that only
/// a few requests can exceed the limit again.
const CAREFUL: usize = 8;

/// The rate limiters, one for each key.
#[derive(Debug, Default)]
pub(crate) struct RateLimiters {
    limiters: Mutex<BTreeMap<String, Arc<RateLimiter>>>,
}

impl RateLimiters {
    pub(crate) fn get(&self, limits: Option<&RateLimits>) -> Option<Arc<RateLimiter>> {
        let limits = limits?;
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(RateLimiter::new(limits));
        Some(Arc::clone(limiters.entry(limits.key.clone()).or_insert_with(new)))
    }
}

/// The permission to send a request. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _under_way: Option<OwnedSemaphorePermit>,
    _careful: Option<OwnedSemaphorePermit>,
}

/// A permit, or a place in the queue for one. The place is taken when the value is created, so the order of
/// the permits does not depend on the scheduling of the tasks that wait for them.
pub(crate) enum QueuedPermit {
    Granted(Permit),
    Queued(BoxFuture<'static, Permit>),
}

impl QueuedPermit {
    pub(crate) async fn granted(self) -> Permit {
        match self {
            Self::Granted(permit) => permit,
            Self::Queued(permit) => permit.await,
        }
    }
}

/// Limits the requests of one credential to one provider.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    reads: Option<SlidingWindow>,
    writes: Option<SlidingWindow>,
    under_way: Arc<Semaphore>,
    careful: Arc<Semaphore>,
    /// The end of the pause that the provider requested. Set after it has refused a request for its limit.
    closed_until: Mutex<Option<Instant>>,
}

impl RateLimiter {
    fn new(quota: &RateLimits) -> Self {
        Self {
            reads: quota.reads.map(SlidingWindow::new),
            writes: quota.writes.map(SlidingWindow::new),
            under_way: Arc::new(Semaphore::new(quota.concurrent.max(1))),
            careful: Arc::new(Semaphore::new(CAREFUL)),
            closed_until: Mutex::default(),
        }
    }

    /// Admits no request for this long.
    pub(crate) fn close_for(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut closed = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        *closed = (*closed).max(Some(until));
    }

    pub(crate) async fn admit_read(&self) -> Permit {
        self.admit(self.reads.as_ref()).await
    }

    pub(crate) async fn admit_write(&self) -> Permit {
        self.admit(self.writes.as_ref()).await
    }

    /// Takes a place in the queue for a write.
    pub(crate) async fn queue_for_write(self: &Arc<Self>) -> QueuedPermit {
        let limiter = Arc::clone(self);
        let mut place = async move { limiter.admit_write().await }.boxed();
        match futures::poll!(&mut place) {
            std::task::Poll::Ready(permit) => QueuedPermit::Granted(permit),
            std::task::Poll::Pending => QueuedPermit::Queued(place),
        }
    }

    /// Waits until so many writes, or the maximum of the limit, could be admitted at once.
    pub(crate) async fn room_for(&self, writes: usize) {
        self.opened().await;
        if let Some(paced) = &self.writes {
            drop(paced.room_for(writes).await);
        }
    }

    /// Admits a request without the limits on reads and writes, such as a proof that may send nothing.
    pub(crate) async fn admit_unpaced(&self) -> Permit {
        self.permit().await
    }

    async fn admit(&self, paced: Option<&SlidingWindow>) -> Permit {
        let Some(paced) = paced else { return self.permit().await };
        let turn = paced.turn().await;
        let permit = self.permit().await;
        turn.taken();
        permit
    }

    async fn permit(&self) -> Permit {
        let under_way = permit_of(&self.under_way).await;
        loop {
            if !self.opened().await {
                return Permit { _under_way: under_way, _careful: None };
            }
            let careful = permit_of(&self.careful).await;
            if self.is_open() {
                return Permit { _under_way: under_way, _careful: careful };
            }
        }
    }

    /// Waits for the end of a pause. Returns whether there ever was one.
    async fn opened(&self) -> bool {
        while let Some(until) = self.closed_until() {
            if until <= Instant::now() {
                return true;
            }
            sleep_until(until).await;
        }
        false
    }

    fn is_open(&self) -> bool {
        self.closed_until().is_none_or(|until| until <= Instant::now())
    }

    fn closed_until(&self) -> Option<Instant> {
        *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a permit of `semaphore`. The only error is a closed semaphore, and these are never closed.
async fn permit_of(semaphore: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(semaphore).acquire_owned().await.ok()
}

/// Waits until each of these limiters has room for the writes of all sinks that use it.
pub(crate) async fn room_for_all<'a>(limiters: impl Iterator<Item = &'a Arc<RateLimiter>>) {
    let mut writes: Vec<(&Arc<RateLimiter>, usize)> = Vec::new();
    for limiter in limiters {
        match writes.iter_mut().find(|(other, _)| Arc::ptr_eq(other, limiter)) {
            Some((_, count)) => *count += 1,
            None => writes.push((limiter, 1)),
        }
    }
    join_all(writes.into_iter().map(|(limiter, count)| limiter.room_for(count))).await;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokensink_core::RateLimit;
    use tokio::time::sleep;

    use super::*;

    fn quota(key: &str, concurrent: usize, writes_a_minute: Option<u32>) -> RateLimits {
        let writes =
            writes_a_minute.map(|requests| RateLimit { requests, per: Duration::from_secs(60) });
        let mut limits = RateLimits::concurrent(key, concurrent);
        limits.writes = writes;
        limits
    }

    fn limiter(concurrent: usize, writes_a_minute: Option<u32>) -> Arc<RateLimiter> {
        RateLimiters::default().get(Some(&quota("q", concurrent, writes_a_minute))).unwrap()
    }

    async fn admitted_at(limiter: &RateLimiter, writes: usize) -> Vec<u64> {
        let started = Instant::now();
        join_all((0..writes).map(|_| async {
            let _permit = limiter.admit_write().await;
            started.elapsed().as_secs()
        }))
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_of_a_minute_is_admitted_in_one_burst() {
        let at = admitted_at(&limiter(100, Some(80)), 170).await;
        assert_eq!(at.iter().filter(|second| **second == 0).count(), 80);
        assert_eq!(at.iter().filter(|second| **second == 60).count(), 80);
        assert_eq!(at.iter().filter(|second| **second == 121).count(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_admitted_during_a_pause() {
        let limiter = limiter(100, None);
        for seconds in [20, 30, 10] {
            limiter.close_for(Duration::from_secs(seconds));
        }
        assert_eq!(admitted_at(&limiter, 3).await, [30, 30, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn writes_are_admitted_in_the_order_of_the_queue() {
        let at = admitted_at(&limiter(1, Some(1)), 4).await;
        assert_eq!(at, [0, 60, 121, 181]);
    }

    #[tokio::test(start_paused = true)]
    async fn reads_and_writes_have_separate_limits() {
        let pace = |requests| RateLimit { requests, per: Duration::from_secs(1) };
        let quota = RateLimits::concurrent("q", 9).with_reads(pace(2)).with_writes(pace(1));
        let limiter = RateLimiters::default().get(Some(&quota)).unwrap();
        let started = Instant::now();
        let mut at = Vec::new();
        for _ in 0..5 {
            drop(limiter.admit_read().await);
            at.push(started.elapsed().as_millis());
        }
        drop(limiter.admit_write().await);
        at.push(started.elapsed().as_millis());
        assert_eq!(at, [0, 0, 1100, 1100, 2200, 2200]);
    }

    /// Returns the maximum number of concurrent writes when each takes a second.
    async fn most_at_once(limiter: &RateLimiter, writes: usize) -> usize {
        let (under_way, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        join_all((0..writes).map(|_| async {
            let _permit = limiter.admit_write().await;
            let now = 1 + under_way.fetch_add(1, Ordering::Relaxed);
            most.fetch_max(now, Ordering::Relaxed);
            sleep(Duration::from_secs(1)).await;
            under_way.fetch_sub(1, Ordering::Relaxed);
        }))
        .await;
        most.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn fewer_requests_are_concurrent_after_the_provider_has_refused_one() {
        let limiter = limiter(50, None);
        assert_eq!(most_at_once(&limiter, 60).await, 50);
        limiter.close_for(Duration::from_secs(1));
        assert_eq!(most_at_once(&limiter, 60).await, CAREFUL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_delays_requests_that_wait_for_another_reason() {
        let limiter = limiter(1, None);
        let first = limiter.admit_write().await;
        let started = Instant::now();
        let waiting = limiter.queue_for_write().await;
        limiter.close_for(Duration::from_secs(30));
        drop(first);
        drop(waiting.granted().await);
        assert_eq!(started.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_pause_delays_requests_that_wait_for_the_reduced_concurrency() {
        let limiter = limiter(50, None);
        limiter.close_for(Duration::from_secs(1));
        let under_way = join_all((0..CAREFUL).map(|_| limiter.admit_write())).await;
        let started = Instant::now();
        let waiting = limiter.queue_for_write().await;
        limiter.close_for(Duration::from_secs(30));
        drop(under_way);
        drop(waiting.granted().await);
        assert_eq!(started.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn the_order_of_the_queue_does_not_depend_on_the_order_of_polling() {
        let limiter = limiter(1, None);
        let held = limiter.admit_write().await;
        let (first, second) = (limiter.queue_for_write().await, limiter.queue_for_write().await);
        drop(held);
        let order = Mutex::new(Vec::new());
        let take = |name: &'static str, place: QueuedPermit| {
            let order = &order;
            async move {
                let _permit = place.granted().await;
                order.lock().unwrap().push(name);
            }
        };
        futures::join!(take("second", second), take("first", first));
        assert_eq!(*order.lock().unwrap(), ["first", "second"]);
    }

    #[tokio::test(start_paused = true)]
    async fn room_for_all_waits_until_the_limit_admits_all_writes() {
        let limiter = limiter(9, Some(4));
        let started = Instant::now();
        let room = async |writes: usize| {
            room_for_all(std::iter::repeat_n(&limiter, writes)).await;
            started.elapsed().as_secs()
        };
        for _ in 0..3 {
            drop(limiter.admit_write().await);
        }
        assert_eq!(room(1).await, 0);
        assert_eq!(room(2).await, 60);
        drop(limiter.admit_write().await);
        // More than the maximum that can be admitted at once.
        assert_eq!(room(100).await, 121);
    }

    #[test]
    fn sinks_with_the_same_key_share_a_limiter() {
        let limiters = RateLimiters::default();
        let limiter = |key: &str| limiters.get(Some(&quota(key, 1, None))).unwrap();
        assert!(Arc::ptr_eq(&limiter("a"), &limiter("a")));
        assert!(!Arc::ptr_eq(&limiter("a"), &limiter("b")));
        assert!(limiters.get(None).is_none());
    }
}
