//! When a failed attempt at a sink is worth another, and when.
//!
//! Plugins and their clients never retry by themselves: this is the only place.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokensink_core::{RetryPolicy, SinkError, SinkErrorKind};
use tokio::time::{Instant, sleep, timeout};

use crate::faults::{Fault, is_planted};
use crate::rate_limiter::{Admission, Permit, RateLimiter};
use crate::{Failure, Sink};

/// The most that a provider's pauses may add to one sink's time, its turn in the queue not counted.
/// GitHub's hourly window is the longest one in use.
const LONGEST_PAUSES: Duration = Duration::from_secs(3600);

/// The shortest pause between two attempts, as far as the deadline allows it.
const MIN_PAUSE: Duration = Duration::from_millis(100);

/// Whether the token that the sinks held before is still accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OldToken {
    /// The user can fix at no cost what may be permanent: it is reported at once.
    Accepted,
    /// Applications are refused: everything that is not certainly permanent is tried again.
    Revoked,
}

/// The attempts of one sink in one phase.
pub(crate) struct Retry {
    rate_limiter: Option<Arc<RateLimiter>>,
    /// For the first write.
    place: Option<Admission>,
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

    /// The same, for sinks whose old token is accepted or revoked.
    pub(crate) fn while_old_token(self, old_token: OldToken) -> Self {
        Self { old_token, ..self }
    }

    /// The same, with a place in the rate limiter's queue already.
    pub(crate) fn queued(self, place: Option<Admission>) -> Self {
        Self { place, ..self }
    }

    /// One read, when the provider's limits allow it.
    pub(crate) async fn read<T>(
        &mut self,
        read: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, Failure> {
        let limiter = self.rate_limiter.clone();
        self.attempt(async { Some(limiter?.admit_read().await) }, read).await
    }

    /// One write, when the provider's limits allow it.
    pub(crate) async fn write<T>(
        &mut self,
        write: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, Failure> {
        let (limiter, place) = (self.rate_limiter.clone(), self.place.take());
        let admitted = async {
            match place {
                Some(place) => Some(place.granted().await),
                None => Some(limiter?.admit_write().await),
            }
        };
        self.attempt(admitted, write).await
    }

    /// One proof of a write, which may send nothing: only the number of requests at once is limited.
    pub(crate) async fn probe<T>(
        &mut self,
        probe: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, Failure> {
        let limiter = self.rate_limiter.clone();
        self.attempt(async { Some(limiter?.admit_unpaced().await) }, probe).await
    }

    /// One attempt, with the permit that `admitted` waits for.
    async fn attempt<T>(
        &mut self,
        admitted: impl Future<Output = Option<Permit>>,
        attempt: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, Failure> {
        let permit = self.uncounted(admitted).await;
        let outcome = within(self.attempt_timeout, attempt).await;
        drop(permit);
        outcome
    }

    /// Waits as long as `failure` demands. False when another attempt would be useless or late.
    pub(crate) async fn goes_on_after(&mut self, failure: &Failure) -> bool {
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
        // A provider that names too short a pause, again and again, is not hammered.
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

    /// Awaits something that a provider's limit demands: it moves the deadline.
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
) -> Result<T, Failure> {
    let hangs = is_planted(Fault::AwaitHangingAttempt);
    let limit = if hangs { attempt_timeout * 1_000_000 } else { attempt_timeout };
    match timeout(limit, attempt).await {
        Ok(outcome) => outcome.map_err(Failure::from),
        Err(_) => Err(Failure {
            kind: SinkErrorKind::Transient,
            message: format!("no answer within {attempt_timeout:?}"),
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
    async fn six_attempts_fit_even_when_each_of_them_stalls() {
        for _ in 0..50 {
            let attempts =
                attempts_until_given_up(|| SinkError::transient("x"), Duration::from_secs(1000));
            assert!(attempts.await >= 6);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_pass_is_tried_once() {
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
    async fn a_providers_pause_does_not_use_up_the_deadline() {
        let started = Instant::now();
        let attempts = attempts_until_given_up(
            || SinkError::rate_limited(Duration::from_secs(600), "x"),
            Duration::ZERO,
        );
        assert_eq!(attempts.await, 7);
        assert_eq!(started.elapsed().as_secs(), 3600);
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_was_waited_for_is_no_pause() {
        let writes = Some(RateLimit { requests: 1, per: Duration::from_secs(4000) });
        let mut quota = RateLimits::concurrent("q", 9);
        quota.writes = writes;
        let lane = RateLimiters::default().get(Some(&quota));
        let limited = SinkError::rate_limited(Duration::from_secs(1), "x");
        let mut retry = Retry::new(Duration::from_secs(60), lane);
        retry.write(async { Ok(()) }).await.unwrap();
        let failure = retry.write(async { Err::<(), _>(limited) }).await.unwrap_err();
        assert!(retry.goes_on_after(&failure).await);
    }
}
