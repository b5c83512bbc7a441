//! Keeps to the limits that providers put on a credential, for all sinks that share it.
//!
//! A sink only describes its [`RateLimits`]; who goes when is decided here, in the order in which the
//! sinks come, so that the most important ones go first.

mod pace;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _, join_all};
use tokensink_core::RateLimits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use self::pace::Pace;

/// Requests under way at once at a provider that has refused one for its limit: whatever the limit
/// is, no more than these run into it again.
const CAREFUL: usize = 8;

/// One lane for each quota.
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

/// A request that may be under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    _under_way: Option<OwnedSemaphorePermit>,
    _careful: Option<OwnedSemaphorePermit>,
}

/// A place in the queue of a lane, or its end. It is kept from the moment it is made: who queues
/// first is let in first, however the tasks that wait are scheduled.
pub(crate) enum Admission {
    Granted(Permit),
    Queued(BoxFuture<'static, Permit>),
}

impl Admission {
    pub(crate) async fn granted(self) -> Permit {
        match self {
            Self::Granted(permit) => permit,
            Self::Queued(permit) => permit.await,
        }
    }
}

/// The requests of one credential to one provider.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    reads: Option<Pace>,
    writes: Option<Pace>,
    under_way: Arc<Semaphore>,
    careful: Arc<Semaphore>,
    /// Set once the provider has refused a request for its limit.
    closed_until: Mutex<Option<Instant>>,
}

impl RateLimiter {
    fn new(quota: &RateLimits) -> Self {
        Self {
            reads: quota.reads.map(Pace::new),
            writes: quota.writes.map(Pace::new),
            under_way: Arc::new(Semaphore::new(quota.concurrent.max(1))),
            careful: Arc::new(Semaphore::new(CAREFUL)),
            closed_until: Mutex::default(),
        }
    }

    /// The provider takes nothing for this long.
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

    /// Takes a place in the queue for a write, now.
    pub(crate) async fn queue_for_write(self: &Arc<Self>) -> Admission {
        let lane = Arc::clone(self);
        let mut place = async move { lane.admit_write().await }.boxed();
        match futures::poll!(&mut place) {
            std::task::Poll::Ready(permit) => Admission::Granted(permit),
            std::task::Poll::Pending => Admission::Queued(place),
        }
    }

    /// Waits until so many writes could be let in at once, or as many as ever can: what is waited
    /// for before a reset is not waited for after it.
    pub(crate) async fn room_for(&self, writes: usize) {
        self.opened().await;
        if let Some(paced) = &self.writes {
            drop(paced.room_for(writes).await);
        }
    }

    /// A request that no pace limits, such as a proof that may send nothing.
    pub(crate) async fn admit_unpaced(&self) -> Permit {
        self.permit().await
    }

    async fn admit(&self, paced: Option<&Pace>) -> Permit {
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

    /// Waits for the end of a closed window. Returns whether there ever was one.
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

/// The only error is a closed semaphore, and nobody closes these.
async fn permit_of(semaphore: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    Arc::clone(semaphore).acquire_owned().await.ok()
}

/// Waits until each of these lanes has room for the writes of all sinks that use it.
pub(crate) async fn room_for_all<'a>(lanes: impl Iterator<Item = &'a Arc<RateLimiter>>) {
    let mut writes: Vec<(&Arc<RateLimiter>, usize)> = Vec::new();
    for lane in lanes {
        match writes.iter_mut().find(|(other, _)| Arc::ptr_eq(other, lane)) {
            Some((_, count)) => *count += 1,
            None => writes.push((lane, 1)),
        }
    }
    join_all(writes.into_iter().map(|(lane, count)| lane.room_for(count))).await;
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

    fn lane(concurrent: usize, writes_a_minute: Option<u32>) -> Arc<RateLimiter> {
        RateLimiters::default().get(Some(&quota("q", concurrent, writes_a_minute))).unwrap()
    }

    async fn admitted_at(lane: &RateLimiter, writes: usize) -> Vec<u64> {
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

    #[tokio::test(start_paused = true)]
    async fn reads_have_a_pace_of_their_own() {
        let pace = |requests| RateLimit { requests, per: Duration::from_secs(1) };
        let quota = RateLimits::concurrent("q", 9).with_reads(pace(2)).with_writes(pace(1));
        let lane = RateLimiters::default().get(Some(&quota)).unwrap();
        let started = Instant::now();
        let mut at = Vec::new();
        for _ in 0..5 {
            drop(lane.admit_read().await);
            at.push(started.elapsed().as_millis());
        }
        drop(lane.admit_write().await);
        at.push(started.elapsed().as_millis());
        assert_eq!(at, [0, 0, 1100, 1100, 2200, 2200]);
    }

    /// The most that were under way at once, when each takes a second.
    async fn most_at_once(lane: &RateLimiter, writes: usize) -> usize {
        let (under_way, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        join_all((0..writes).map(|_| async {
            let _permit = lane.admit_write().await;
            let now = 1 + under_way.fetch_add(1, Ordering::Relaxed);
            most.fetch_max(now, Ordering::Relaxed);
            sleep(Duration::from_secs(1)).await;
            under_way.fetch_sub(1, Ordering::Relaxed);
        }))
        .await;
        most.into_inner()
    }

    #[tokio::test(start_paused = true)]
    async fn as_many_as_the_provider_takes_are_under_way_and_fewer_once_it_has_refused_one() {
        let lane = lane(50, None);
        assert_eq!(most_at_once(&lane, 60).await, 50);
        lane.close_for(Duration::from_secs(1));
        assert_eq!(most_at_once(&lane, 60).await, CAREFUL);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_closes_holds_up_who_waits_for_another_reason() {
        let lane = lane(1, None);
        let first = lane.admit_write().await;
        let started = Instant::now();
        let waiting = lane.queue_for_write().await;
        lane.close_for(Duration::from_secs(30));
        drop(first);
        drop(waiting.granted().await);
        assert_eq!(started.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_that_closes_again_holds_up_who_waits_to_be_careful() {
        let lane = lane(50, None);
        lane.close_for(Duration::from_secs(1));
        let under_way = join_all((0..CAREFUL).map(|_| lane.admit_write())).await;
        let started = Instant::now();
        let waiting = lane.queue_for_write().await;
        lane.close_for(Duration::from_secs(30));
        drop(under_way);
        drop(waiting.granted().await);
        assert_eq!(started.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn who_queues_first_is_let_in_first_whoever_is_polled_first() {
        let lane = lane(1, None);
        let held = lane.admit_write().await;
        let (first, second) = (lane.queue_for_write().await, lane.queue_for_write().await);
        drop(held);
        let order = Mutex::new(Vec::new());
        let take = |name: &'static str, place: Admission| {
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
    async fn room_is_waited_for_before_it_is_needed() {
        let lane = lane(9, Some(4));
        let started = Instant::now();
        let room = async |writes: usize| {
            room_for_all(std::iter::repeat_n(&lane, writes)).await;
            started.elapsed().as_secs()
        };
        for _ in 0..3 {
            drop(lane.admit_write().await);
        }
        assert_eq!(room(1).await, 0);
        assert_eq!(room(2).await, 60);
        drop(lane.admit_write().await);
        // As many as can ever be let in at once.
        assert_eq!(room(100).await, 121);
    }

    #[test]
    fn sinks_of_one_key_share_a_lane() {
        let limiters = RateLimiters::default();
        let lane = |key: &str| limiters.get(Some(&quota(key, 1, None))).unwrap();
        assert!(Arc::ptr_eq(&lane("a"), &lane("a")));
        assert!(!Arc::ptr_eq(&lane("a"), &lane("b")));
        assert!(limiters.get(None).is_none());
    }
}
