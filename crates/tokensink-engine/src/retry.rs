//! Decides whether and when a failed attempt is repeated.
//!
//! Plugins and their clients never retry: this is the only place.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokensink_core::{RetryPolicy, SinkError, SinkErrorKind};
use tokio::time::{Instant, sleep, timeout};

use crate::faults::{Fault, is_planted};
use crate::rate_limiter::{Permit, QueuedPermit, RateLimiter};
use crate::{Sink, SinkFailure};

/// The maximum total of a provider's pauses for one sink, without the waiting time in the queue. GitHub's
/// hourly quota has the longest one.
const LONGEST_PAUSES: Duration = Duration::from_secs(3600);

/// The minimum pause between two attempts.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// Whether the token that the sinks held before is still accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OldToken {
    /// There is no outage yet, so errors that may be permanent are reported at once for the user to fix.
    Accepted,
    /// Applications are refused, so all errors that are not certainly permanent are retried.
    Revoked,
}

/// The attempts of one sink in one phase.
pub(crate) struct Retry {
    rate_limiter: Option<Arc<RateLimiter>>,
    /// The place in the queue for the first write.
    place: Option<QueuedPermit>,
    attempt_timeout: Duration,
    ends: Instant,
    paused: Duration,
    backoff: ExponentialBackoff,
    old_token: OldToken,
}

impl Retry {
    pub(crate) fn new(deadline: Duration, rate_limiter: Option<Arc<RateLimiter>>) -> Self {
        let backoff = ExponentialBuilder::new()
            .with_min_delay((deadline / 300).max(MIN_PAUSE))
            .with_max_delay((deadline / 16).max(MIN_PAUSE))
            .with_factor(2.0)
            .without_max_times()
            .with_jitter();
        Self {
            rate_limiter,
            place: None,
            attempt_timeout: Sink::attempt_timeout(deadline),
            ends: Instant::now() + deadline,
            paused: Duration::ZERO,
            backoff: backoff.build(),
            old_token: OldToken::Accepted,
        }
    }

    /// Sets whether the old token is still accepted.
    pub(crate) fn while_old_token(self, old_token: OldToken) -> Self {
        Self { old_token, ..self }
    }

    /// Sets the place in the rate limiter's queue for the first write.
    pub(crate) fn queued(self, place: Option<QueuedPermit>) -> Self {
        Self { place, ..self }
    }

    /// Makes one attempt to read, when the rate limits allow it.
    pub(crate) async fn read<T>(
        &mut self,
        read: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, SinkFailure> {
        let limiter = self.rate_limiter.clone();
        self.attempt(async { Some(limiter?.admit_read().await) }, read).await
    }

    /// Makes one attempt to write, when the rate limits allow it.
    pub(crate) async fn write<T>(
        &mut self,
        write: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, SinkFailure> {
        let (limiter, place) = (self.rate_limiter.clone(), self.place.take());
        let admitted = async {
            match place {
                Some(place) => Some(place.granted().await),
                None => Some(limiter?.admit_write().await),
            }
        };
        self.attempt(admitted, write).await
    }

    /// Makes one attempt to prove a write. It may send nothing, so only the number of concurrent requests is
    /// limited.
    pub(crate) async fn probe<T>(
        &mut self,
        probe: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, SinkFailure> {
        let limiter = self.rate_limiter.clone();
        self.attempt(async { Some(limiter?.admit_unpaced().await) }, probe).await
    }

    /// Makes one attempt with the permit that `admitted` returns.
    async fn attempt<T>(
        &mut self,
        admitted: impl Future<Output = Option<Permit>>,
        attempt: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, SinkFailure> {
        let permit = self.uncounted(admitted).await;
        let outcome = within(self.attempt_timeout, attempt).await;
        drop(permit);
        outcome
    }

    /// Waits for the time that `failure` demands. Returns false if another attempt would be useless or too
    /// late.
    pub(crate) async fn goes_on_after(&mut self, failure: &SinkFailure) -> bool {
        match failure.kind.retry_policy() {
            RetryPolicy::Never => false,
            RetryPolicy::OnceRevoked => {
                self.old_token == OldToken::Revoked && self.backs_off().await
            }
            RetryPolicy::Backoff | RetryPolicy::PrepareAgain => self.backs_off().await,
            RetryPolicy::After(wait) => self.pauses_for(wait).await,
        }
    }

    async fn pauses_for(&mut self, wait: Duration) -> bool {
        if let Some(limiter) = &self.rate_limiter {
            limiter.close_for(wait);
        }
        // At least the backoff, in case the provider repeatedly requests too short a pause.
        let wait = wait.max(self.backoff.next().unwrap_or(MIN_PAUSE));
        if self.paused + wait > LONGEST_PAUSES {
            return false;
        }
        self.paused += wait;
        self.uncounted(sleep(wait)).await;
        true
    }

    async fn backs_off(&mut self) -> bool {
        let Some(delay) = self.backoff.next() else { return false };
        if Instant::now() + delay >= self.ends {
            return false;
        }
        sleep(delay).await;
        true
    }

    /// Waits for a rate limit. The deadline moves by the same time.
    async fn uncounted<T>(&mut self, wait: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let outcome = wait.await;
        self.ends += started.elapsed();
        outcome
    }
}

async fn within<T>(
    attempt_timeout: Duration,
    attempt: impl Future<Output = Result<T, SinkError>>,
) -> Result<T, SinkFailure> {
    let hangs = is_planted(Fault::AwaitHangingAttempt);
    let limit = if hangs { attempt_timeout * 1_000_000 } else { attempt_timeout };
    match timeout(limit, attempt).await {
        Ok(outcome) => outcome.map_err(SinkFailure::from),
        Err(_) => Err(SinkFailure {
            kind: SinkErrorKind::Transient,
            message: format!("no response within {attempt_timeout:?}"),
            help: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use tokensink_core::{RateLimit, RateLimits};

    use super::*;
    use crate::rate_limiter::RateLimiters;

    async fn attempts_until_given_up(make: fn() -> SinkError, takes: Duration) -> u32 {
        let mut retry = Retry::new(Duration::from_secs(60), None);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let outcome: Result<(), _> = retry
                .read(async {
                    sleep(takes).await;
                    Err(make())
                })
                .await;
            if !retry.goes_on_after(&outcome.unwrap_err()).await {
                return attempts;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn six_attempts_fit_into_the_deadline_if_each_times_out() {
        for _ in 0..50 {
            let attempts =
                attempts_until_given_up(|| SinkError::transient("x"), Duration::from_secs(1000));
            assert!(attempts.await >= 6);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn permanent_errors_are_not_retried() {
        for make in [
            || SinkError::permission_denied("x"),
            || SinkError::not_found("x"),
            || SinkError::rejected("x"),
            || SinkError::other("x"),
        ] {
            assert_eq!(attempts_until_given_up(make, Duration::ZERO).await, 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_requested_pause_does_not_count_towards_the_deadline() {
        let started = Instant::now();
        let attempts = attempts_until_given_up(
            || SinkError::rate_limited(Duration::from_secs(600), "x"),
            Duration::ZERO,
        );
        assert_eq!(attempts.await, 7);
        assert_eq!(started.elapsed().as_secs(), 3600);
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_the_queue_does_not_count_as_a_pause() {
        let writes = Some(RateLimit { requests: 1, per: Duration::from_secs(4000) });
        let mut quota = RateLimits::concurrent("q", 9);
        quota.writes = writes;
        let limiter = RateLimiters::default().get(Some(&quota));
        let limited = SinkError::rate_limited(Duration::from_secs(1), "x");
        let mut retry = Retry::new(Duration::from_secs(60), limiter);
        retry.write(async { Ok(()) }).await.unwrap();
        let failure = retry.write(async { Err::<(), _>(limited) }).await.unwrap_err();
        assert!(retry.goes_on_after(&failure).await);
    }
}
