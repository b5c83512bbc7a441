//! Writing one token to one sink, as often as it takes.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokensink_core::{Preparation, Receipt, RetryPolicy, SinkErrorKind, Token};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::inspection::WriteState;
use crate::journal::{Entry, LastWrite};
use crate::plan::Prepared;
use crate::prepare::ensure_agreed;
use crate::rate_limiter::{Admission, RateLimiter};
use crate::retry::{OldToken, Retry};
use crate::{Failure, Sink, State};

/// What one sink needs for its write.
#[derive(Clone, Debug)]
pub(crate) struct WriteJob {
    pub(crate) sink: Arc<Sink>,
    pub(crate) rate_limiter: Option<Arc<RateLimiter>>,
    /// Where it could not be prepared: why. It is prepared again before the write.
    pub(crate) preparation: Result<Arc<Preparation>, Failure>,
    pub(crate) priority: WritePriority,
    pub(crate) old_token: OldToken,
    /// The place outside the config that was shown to the user, if there was one.
    pub(crate) foreign_destination: Option<String>,
}

/// The most important first; among equals the one whose write takes longest.
pub(crate) type WritePriority = Reverse<(i32, Option<Duration>)>;

impl WriteJob {
    pub(crate) fn of(prepared: &Prepared, old_token: OldToken) -> Self {
        let preparation = prepared.preparation.as_ref().map(Arc::clone).map_err(Failure::clone);
        Self {
            sink: Arc::clone(&prepared.sink),
            rate_limiter: prepared.rate_limiter.clone(),
            preparation,
            priority: priority_of(prepared),
            old_token,
            foreign_destination: prepared.foreign_destination().map(str::to_owned),
        }
    }

    /// Its place in the queue of its rate limiter. What must be prepared first has none yet: it would
    /// keep others from their turn.
    pub(crate) async fn queue(&self) -> Option<Admission> {
        let limiter = self.rate_limiter.as_ref().filter(|_| self.preparation.is_ok())?;
        Some(limiter.queue_for_write().await)
    }
}

/// The priority of the write that `prepared` leads to.
pub(crate) fn priority_of(prepared: &Prepared) -> WritePriority {
    let round_trip = prepared.preparation.as_ref().ok().map(|one| one.estimate.round_trip);
    Reverse((prepared.sink.priority, round_trip))
}

/// How the writing of one sink ended.
#[derive(Clone, Debug)]
pub(crate) struct WriteResult {
    pub(crate) attempts: u32,
    /// A request was not acknowledged: it may still take effect, even where a later one was
    /// acknowledged.
    pub(crate) unacknowledged: bool,
    /// The same of a token that was superseded while this sink was written.
    pub(crate) superseded_unacknowledged: bool,
    /// What was written.
    pub(crate) token: Arc<Token>,
    pub(crate) outcome: Result<Acknowledgement, Failure>,
}

/// The provider responded that it holds the token now.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledgement {
    pub(crate) receipt: Receipt,
    pub(crate) at: Instant,
}

impl WriteResult {
    /// What the sink reported beside its acknowledgement.
    pub(crate) fn warning(&self) -> Option<&str> {
        self.outcome.as_ref().ok()?.receipt.get(Receipt::WARNING)
    }

    /// The plugin panicked in a write.
    pub(crate) fn panicked(token: &Arc<Token>) -> Self {
        Self::without_response(token, Failure::panicked())
    }

    /// A second interrupt came during a write.
    pub(crate) fn abandoned(token: &Arc<Token>) -> Self {
        let failure = Failure {
            kind: SinkErrorKind::Other,
            message: "abandoned by a second interrupt".to_owned(),
            help: None,
        };
        Self::without_response(token, failure)
    }

    /// Before the first attempt.
    fn of(token: Arc<Token>) -> Self {
        Self {
            attempts: 0,
            unacknowledged: false,
            superseded_unacknowledged: false,
            token,
            outcome: Err(Failure::not_asked()),
        }
    }

    fn without_response(token: &Arc<Token>, failure: Failure) -> Self {
        Self {
            attempts: 1,
            unacknowledged: true,
            outcome: Err(failure),
            ..Self::of(Arc::clone(token))
        }
    }

    /// One more attempt, with the newest token.
    fn begin_attempt(&mut self, newest: &Arc<Token>) {
        self.attempts += 1;
        if self.token != *newest {
            self.token = Arc::clone(newest);
            self.superseded_unacknowledged |= std::mem::take(&mut self.unacknowledged);
        }
    }

    /// What it left at the provider, as far as that was acknowledged.
    pub(crate) fn last_write(&self) -> Option<LastWrite> {
        let acknowledgement = self.outcome.as_ref().ok()?;
        Some(LastWrite {
            token: self.token.fingerprint(),
            receipt: acknowledgement.receipt.clone(),
            at: Timestamp::now(),
        })
    }

    pub(crate) fn write_state(&self) -> WriteState {
        match &self.outcome {
            Ok(_) => WriteState::Acknowledged,
            Err(_) if self.unacknowledged => WriteState::Unacknowledged,
            Err(_) => WriteState::Failed,
        }
    }

    /// What is known before the sink was inspected.
    pub(crate) fn state(&self) -> State {
        if self.outcome.is_ok() { State::Current } else { State::Unknown }
    }

    /// The journal's entry for it.
    pub(crate) fn entry(&self, sink: &Sink) -> Entry {
        let (target, token) = (sink.info.target.clone(), self.token.fingerprint());
        match &self.outcome {
            Ok(acknowledgement) => {
                Entry::Written { target, token, receipt: acknowledgement.receipt.clone() }
            }
            Err(_) => Entry::NotWritten { target, token },
        }
    }
}

/// Writes the newest token until it is acknowledged, or another attempt would be useless or too late.
pub(crate) async fn write(
    job: WriteJob,
    place: Option<Admission>,
    newest: watch::Receiver<Arc<Token>>,
) -> WriteResult {
    let WriteJob { sink, rate_limiter, preparation, old_token, foreign_destination, .. } = job;
    let mut retry =
        Retry::new(sink.deadline, rate_limiter).while_old_token(old_token).queued(place);
    let mut preparation = preparation.ok();
    let mut result = WriteResult::of(Arc::clone(&newest.borrow()));
    loop {
        let failure = match &preparation {
            Some(ready) => {
                let attempt = async {
                    // What became known while this sink waited for its turn.
                    result.begin_attempt(&newest.borrow());
                    ready.writer.write(&result.token).await
                };
                match retry.write(attempt).await {
                    Ok(receipt) => {
                        result.outcome = Ok(Acknowledgement { receipt, at: Instant::now() });
                        return result;
                    }
                    Err(failure) => {
                        // A timeout or a broken connection hides a response.
                        result.unacknowledged |= failure.kind == SinkErrorKind::Transient;
                        failure
                    }
                }
            }
            None => {
                let prepared = retry.read(sink.plugin.prepare()).await.map(Arc::new);
                match ensure_agreed(prepared, foreign_destination.as_deref()) {
                    Ok(ready) => {
                        preparation = Some(ready);
                        continue;
                    }
                    Err(failure) => failure,
                }
            }
        };
        if failure.kind.retry_policy() == RetryPolicy::PrepareAgain {
            preparation = None;
        }
        let goes_on = retry.goes_on_after(&failure).await;
        result.outcome = Err(failure);
        if !goes_on {
            return result;
        }
    }
}
