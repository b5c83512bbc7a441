//! Writes the token to one sink, with retries.

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
use crate::rate_limiter::{QueuedPermit, RateLimiter};
use crate::retry::{OldToken, Retry};
use crate::{Sink, SinkFailure, State};

/// The inputs of a sink's write.
#[derive(Clone, Debug)]
pub(crate) struct WriteJob {
    pub(crate) sink: Arc<Sink>,
    pub(crate) rate_limiter: Option<Arc<RateLimiter>>,
    /// The preparation, or its error. In that case the sink is prepared again before the write.
    pub(crate) preparation: Result<Arc<Preparation>, SinkFailure>,
    pub(crate) priority: WritePriority,
    pub(crate) old_token: OldToken,
    /// The unexpected destination that was shown to the user, if there was one.
    pub(crate) foreign_destination: Option<String>,
}

/// The order of the writes: the highest priority first, and among equals the slowest write first.
pub(crate) type WritePriority = Reverse<(i32, Option<Duration>)>;

impl WriteJob {
    pub(crate) fn of(prepared: &Prepared, old_token: OldToken) -> Self {
        let preparation = prepared.preparation.as_ref().map(Arc::clone).map_err(SinkFailure::clone);
        Self {
            sink: Arc::clone(&prepared.sink),
            rate_limiter: prepared.rate_limiter.clone(),
            preparation,
            priority: priority_of(prepared),
            old_token,
            foreign_destination: prepared.foreign_destination().map(str::to_owned),
        }
    }

    /// Takes a place in the queue of the rate limiter. A sink that must be prepared first takes none, because
    /// it would delay the others.
    pub(crate) async fn queue(&self) -> Option<QueuedPermit> {
        let limiter = self.rate_limiter.as_ref().filter(|_| self.preparation.is_ok())?;
        Some(limiter.queue_for_write().await)
    }
}

/// Returns the priority of a sink's write.
pub(crate) fn priority_of(prepared: &Prepared) -> WritePriority {
    let round_trip = prepared.preparation.as_ref().ok().map(|one| one.estimate.round_trip);
    Reverse((prepared.sink.priority, round_trip))
}

/// The result of writing one sink.
#[derive(Clone, Debug)]
pub(crate) struct WriteResult {
    pub(crate) attempts: u32,
    /// Whether a request was not acknowledged. It may still take effect, even after the acknowledgement of a
    /// later one.
    pub(crate) unacknowledged: bool,
    /// Whether a request with a token that was superseded during the write was not acknowledged.
    pub(crate) superseded_unacknowledged: bool,
    /// The token of the last attempt.
    pub(crate) token: Arc<Token>,
    pub(crate) outcome: Result<Acknowledgement, SinkFailure>,
}

/// The provider's acknowledgement of a write.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledgement {
    pub(crate) receipt: Receipt,
    pub(crate) at: Instant,
}

impl WriteResult {
    /// Returns the warning in the receipt, if there is one.
    pub(crate) fn warning(&self) -> Option<&str> {
        self.outcome.as_ref().ok()?.receipt.get(Receipt::WARNING)
    }

    /// Returns the result for a write in which the plugin panicked.
    pub(crate) fn panicked(token: &Arc<Token>) -> Self {
        Self::without_response(token, SinkFailure::panicked())
    }

    /// Returns the result for a write that was stopped by a second interrupt.
    pub(crate) fn abandoned(token: &Arc<Token>) -> Self {
        let failure = SinkFailure {
            kind: SinkErrorKind::Other,
            message: "abandoned by a second interrupt".to_owned(),
            help: None,
        };
        Self::without_response(token, failure)
    }

    /// Creates the result before the first attempt.
    fn of(token: Arc<Token>) -> Self {
        Self {
            attempts: 0,
            unacknowledged: false,
            superseded_unacknowledged: false,
            token,
            outcome: Err(SinkFailure::not_asked()),
        }
    }

    fn without_response(token: &Arc<Token>, failure: SinkFailure) -> Self {
        Self {
            attempts: 1,
            unacknowledged: true,
            outcome: Err(failure),
            ..Self::of(Arc::clone(token))
        }
    }

    /// Begins another attempt with the newest token.
    fn begin_attempt(&mut self, newest: &Arc<Token>) {
        self.attempts += 1;
        if self.token != *newest {
            self.token = Arc::clone(newest);
            self.superseded_unacknowledged |= std::mem::take(&mut self.unacknowledged);
        }
    }

    /// Returns the write for later inspections, if it was acknowledged.
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

    /// Returns the state before the sink is inspected.
    pub(crate) fn state(&self) -> State {
        if self.outcome.is_ok() { State::Current } else { State::Unknown }
    }

    /// Returns the entry for the journal.
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

/// Writes the newest token until a write is acknowledged or another attempt would be useless or too late.
pub(crate) async fn write(
    job: WriteJob,
    place: Option<QueuedPermit>,
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
                    // A newer token may have become known while this write waited in the queue.
                    result.begin_attempt(&newest.borrow());
                    ready.writer.write(&result.token).await
                };
                match retry.write(attempt).await {
                    Ok(receipt) => {
                        result.outcome = Ok(Acknowledgement { receipt, at: Instant::now() });
                        return result;
                    }
                    Err(failure) => {
                        // After a timeout or a broken connection, the write may have taken effect.
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
