//! So many requests in any stretch of time, in the order in which they come.

use std::collections::VecDeque;
use std::time::Duration;

use tokensink_core::RateLimit;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until};

/// Added to a stretch: of two requests the later one may be quicker under way.
const MAX_MARGIN: Duration = Duration::from_millis(500);
const PART_OF_THE_STRETCH: u32 = 10;

/// The requests that count.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    stretch: Duration,
    /// When the last of them were let in. Held while waiting: the lock is fair, so it is the queue.
    recent: Mutex<VecDeque<Instant>>,
}

/// The right to let one request in next.
#[derive(Debug)]
pub(super) struct Turn<'a>(MutexGuard<'a, VecDeque<Instant>>);

impl Pace {
    pub(super) fn new(limit: RateLimit) -> Self {
        let margin = MAX_MARGIN.min(limit.per / PART_OF_THE_STRETCH);
        Self {
            most: limit.requests.max(1) as usize,
            stretch: limit.per + margin,
            recent: Mutex::default(),
        }
    }

    /// Waits until one more may be let in.
    pub(super) async fn turn(&self) -> Turn<'_> {
        Turn(self.room_for(1).await)
    }

    /// Waits until so many could be let in at once, or as many as ever can.
    pub(super) async fn room_for(&self, requests: usize) -> MutexGuard<'_, VecDeque<Instant>> {
        let mut recent = self.recent.lock().await;
        while recent.len() + requests.min(self.most) > self.most
            && let Some(oldest) = recent.front().copied()
        {
            sleep_until(oldest + self.stretch).await;
            recent.pop_front();
        }
        recent
    }
}

impl Turn<'_> {
    pub(super) fn taken(mut self) {
        self.0.push_back(Instant::now());
    }
}
