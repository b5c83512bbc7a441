//! Writing one token to one sink, as often as it takes. All sinks do this at once.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokensink_core::{Preparation, Receipt, SinkErrorKind, Token};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::inspection::Write;
use crate::journal::LastWrite;
use crate::limiter::{Admission, Lane};
use crate::prepare::Prepared;
use crate::retry::Retry;
use crate::{Failure, Sink};

/// What one sink needs for its write.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) sink: Arc<Sink>,
    pub(crate) lane: Option<Arc<Lane>>,
    /// Where it could not be prepared: why. It is prepared again before the write.
    pub(crate) writer: Result<Arc<Preparation>, Failure>,
    pub(crate) turn: Turn,
}

/// The most important first; among equals the one that is under way the longest.
pub(crate) type Turn = Reverse<(i32, Option<Duration>)>;

impl Order {
    pub(crate) fn of(prepared: &Prepared) -> Self {
        let writer = prepared.writer.as_ref().map(Arc::clone).map_err(Failure::clone);
        let round_trip = writer.as_ref().map(|writer| writer.estimate.round_trip).ok();
        let turn = Reverse((prepared.sink.priority, round_trip));
        Self { sink: Arc::clone(&prepared.sink), lane: prepared.lane.clone(), writer, turn }
    }

    /// Its place in the queue of its lane. What must be prepared first has none yet: it would keep
    /// others from being let in.
    pub(crate) async fn place(&self) -> Option<Admission> {
        let lane = self.lane.as_ref().filter(|_| self.writer.is_ok())?;
        Some(lane.queue_for_a_write().await)
    }
}

/// How the writing of one sink ended.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) attempts: u32,
    /// A request was left without an answer: it may be on its way still, even where a later one
    /// was acknowledged.
    pub(crate) may_still_land: bool,
    /// The same of a token that was superseded while this sink was written.
    pub(crate) haunted: bool,
    /// What was written.
    pub(crate) token: Arc<Token>,
    pub(crate) outcome: Result<Acknowledgement, Failure>,
}

/// The provider said that it holds the token now.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledgement {
    pub(crate) receipt: Receipt,
    pub(crate) at: Instant,
}

impl Written {
    pub(crate) fn panicked(token: &Arc<Token>) -> Self {
        Self::unanswered(token, Failure::panicked())
    }

    pub(crate) fn abandoned(token: &Arc<Token>) -> Self {
        let failure = Failure {
            kind: SinkErrorKind::Other,
            message: "abandoned by a second interrupt".to_owned(),
            advice: None,
        };
        Self::unanswered(token, failure)
    }

    /// Before the first attempt.
    fn of(token: Arc<Token>) -> Self {
        let outcome = Err(Failure::not_asked());
        Self { attempts: 0, may_still_land: false, haunted: false, token, outcome }
    }

    /// One more attempt, with the newest token.
    fn turn_to(&mut self, newest: &Arc<Token>) {
        self.attempts += 1;
        if self.token != *newest {
            self.token = Arc::clone(newest);
            self.haunted |= std::mem::take(&mut self.may_still_land);
        }
    }

    fn unanswered(token: &Arc<Token>, failure: Failure) -> Self {
        let (token, outcome) = (Arc::clone(token), Err(failure));
        Self { attempts: 1, may_still_land: true, haunted: false, token, outcome }
    }

    /// What it left at the provider, as far as that was acknowledged.
    pub(crate) fn as_last_write(&self) -> Option<LastWrite> {
        let acknowledgement = self.outcome.as_ref().ok()?;
        Some(LastWrite {
            token: self.token.fingerprint(),
            receipt: acknowledgement.receipt.clone(),
            at: Timestamp::now(),
        })
    }

    pub(crate) fn as_write(&self) -> Write {
        match &self.outcome {
            Ok(_) => Write::Acknowledged,
            Err(_) if self.may_still_land => Write::Pending,
            Err(_) => Write::Failed,
        }
    }
}

/// Writes the newest token until it is acknowledged, or another attempt would be useless or too
/// late.
pub(crate) async fn write(
    order: Order,
    place: Option<Admission>,
    newest: watch::Receiver<Arc<Token>>,
) -> Written {
    let Order { sink, lane, writer, .. } = order;
    let mut retry = Retry::new(sink.deadline, lane).queued(place);
    let mut writer = writer.ok();
    let token = Arc::clone(&newest.borrow());
    let mut written = Written::of(token);
    loop {
        let attempt = match &writer {
            Some(ready) => {
                let attempt = async {
                    // What became known while this sink waited for its turn.
                    written.turn_to(&newest.borrow());
                    ready.writer.write(&written.token).await
                };
                retry.write(attempt).await
            }
            None => match retry.read(sink.plugin.prepare()).await {
                Ok(prepared) => {
                    writer = Some(Arc::new(prepared));
                    continue;
                }
                Err(failure) => Err(failure),
            },
        };
        let failure = match attempt {
            Ok(receipt) => {
                written.outcome = Ok(Acknowledgement { receipt, at: Instant::now() });
                return written;
            }
            Err(failure) => failure,
        };
        if failure.kind == SinkErrorKind::Conflict {
            writer = None;
        }
        // A timeout or a broken connection hides an answer.
        written.may_still_land |= written.attempts > 0 && failure.kind == SinkErrorKind::Transient;
        let goes_on = retry.goes_on_after(&failure).await;
        written.outcome = Err(failure);
        if !goes_on {
            return written;
        }
    }
}
