//! Limits the number of requests in any period of a given length.

use std::collections::VecDeque;
use std::time::Duration;

use tokensink_core::RateLimit;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until};

/// The maximum margin that is added to the window, because a later request may arrive sooner than an earlier
/// one.
const MAX_MARGIN: Duration = Duration::from_millis(500);
const MARGIN_DIVISOR: u32 = 10;

/// The times of the recent requests, and the limit.
#[derive(Debug)]
pub(super) struct SlidingWindow {
    max_requests: usize,
    window: Duration,
    /// The times at which the last requests were admitted. The lock is held while waiting. It is fair, so it
    /// serves as the queue.
    recent: Mutex<VecDeque<Instant>>,
}

/// The right to admit the next request.
#[derive(Debug)]
pub(super) struct WindowSlot<'a>(MutexGuard<'a, VecDeque<Instant>>);

impl SlidingWindow {
    pub(super) fn new(limit: RateLimit) -> Self {
        let margin = MAX_MARGIN.min(limit.per / MARGIN_DIVISOR);
        Self {
            max_requests: limit.requests.max(1) as usize,
            window: limit.per + margin,
            recent: Mutex::default(),
        }
    }

    /// Waits until a request may be admitted.
    pub(super) async fn turn(&self) -> WindowSlot<'_> {
        WindowSlot(self.room_for(1).await)
    }

    /// Waits until so many requests, or the maximum, could be admitted at once.
    pub(super) async fn room_for(&self, requests: usize) -> MutexGuard<'_, VecDeque<Instant>> {
        let mut recent = self.recent.lock().await;
        while recent.len() + requests.min(self.max_requests) > self.max_requests
            && let Some(oldest) = recent.front().copied()
        {
            sleep_until(oldest + self.window).await;
            recent.pop_front();
        }
        recent
    }
}

impl WindowSlot<'_> {
    pub(super) fn taken(mut self) {
        self.0.push_back(Instant::now());
    }
}
