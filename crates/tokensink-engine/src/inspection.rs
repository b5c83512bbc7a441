//! Inspecting sinks, and what may be concluded from what they hold.

use std::sync::Arc;
use std::time::Duration;

use tokensink_core::{Content, Fingerprint, HeldValue, NearbyValue, SinkErrorKind};
use tokio::time::{Instant, sleep_until};

use crate::faults::{Fault, is_planted};
use crate::journal::LastWrite;
use crate::rate_limiter::RateLimiter;
use crate::retry::Retry;
use crate::{Failure, Sink, State};

/// What an inspection found. It is compared with a token when it is judged, because the token may
/// have been superseded since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inspected {
    pub(crate) content: Content,
    pub(crate) nearby: Vec<NearbyValue>,
    /// The token of the last write that the sink was asked about.
    last_write: Option<Fingerprint>,
}

/// An inspection, or why there is none.
pub(crate) type InspectResult = Result<Inspected, Failure>;

/// What a sink holds, compared with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The token was read back.
    Token,
    /// It cannot be read; our last write, which was of the token, is the newest one.
    UnchangedSinceOurWrite,
    /// It cannot be read, and somebody else wrote after us: the token, or something else.
    ChangedSinceOurWrite,
    /// Something else than the token.
    OtherValue,
    /// No value.
    Absent,
    /// It cannot be told.
    Unknown { reason: String },
}

impl Finding {
    /// Whether it contradicts an acknowledged write of the token.
    fn contradicts_our_write(&self) -> bool {
        matches!(self, Self::ChangedSinceOurWrite | Self::OtherValue | Self::Absent)
    }
}

impl Inspected {
    /// Compares with `token`. A last write that is still there is the token only if that write was
    /// of it.
    pub(crate) fn compare(&self, token: &Fingerprint) -> Finding {
        let is_token = |held: &HeldValue| held.fingerprint == *token;
        match &self.content {
            Content::Value(held) if is_token(held) => Finding::Token,
            Content::Mixed(held) if !held.is_empty() && held.iter().all(is_token) => Finding::Token,
            Content::Value(_) | Content::Mixed(_) => Finding::OtherValue,
            Content::ChangedSinceOurWrite => Finding::ChangedSinceOurWrite,
            Content::UnchangedSinceOurWrite => match &self.last_write {
                Some(last) if last == token || is_planted(Fault::TrustAnyReceipt) => {
                    Finding::UnchangedSinceOurWrite
                }
                Some(_) => Finding::OtherValue,
                None => Finding::Unknown { reason: "there is no record of a write".to_owned() },
            },
            Content::Absent => Finding::Absent,
            Content::Unknown { reason } => Finding::Unknown { reason: reason.clone() },
            _ => Finding::Unknown { reason: "the plugin's response is not known here".to_owned() },
        }
    }

    /// Whether a value was read that is neither `token` nor has the form of one.
    pub(crate) fn holds_something_else(&self, token: &Fingerprint) -> bool {
        let is_foreign = |held: &HeldValue| held.fingerprint != *token && !held.has_token_form;
        match &self.content {
            Content::Value(held) => is_foreign(held),
            Content::Mixed(held) => held.iter().any(is_foreign),
            _ => false,
        }
    }
}

/// A sink to be inspected.
#[derive(Clone, Debug)]
pub(crate) struct InspectJob {
    pub(crate) sink: Arc<Sink>,
    pub(crate) rate_limiter: Option<Arc<RateLimiter>>,
    pub(crate) last_write: Option<LastWrite>,
}

/// Inspects one sink until it responds or its time is over.
pub(crate) async fn inspect(job: InspectJob) -> InspectResult {
    let InspectJob { sink, rate_limiter, last_write } = job;
    let receipt = last_write.as_ref().map(|last| &last.receipt);
    let mut retry = Retry::new(sink.deadline, rate_limiter);
    loop {
        match retry.read(sink.plugin.inspect(receipt)).await {
            Ok(inspection) => {
                return Ok(Inspected {
                    content: inspection.content,
                    nearby: inspection.nearby,
                    last_write: last_write.map(|last| last.token),
                });
            }
            // Another writer came in between: the caller may write again.
            Err(conflict) if conflict.kind == SinkErrorKind::Conflict => return Err(conflict),
            Err(failure) => {
                if !retry.goes_on_after(&failure).await {
                    return Err(failure);
                }
            }
        }
    }
}

/// Inspects one sink, again and again where it contradicts an acknowledged write of `token`, until it
/// shows the write or `lag_ends`: what a sink shows after a write may lag.
pub(crate) async fn inspect_after_write(
    job: InspectJob,
    token: Fingerprint,
    lag_ends: Instant,
    first_pause: Duration,
) -> InspectResult {
    let mut pause = first_pause;
    loop {
        // Taken before the look: what contradicts must do so when the window is over.
        let now = Instant::now();
        let inspected = inspect(job.clone()).await?;
        if now >= lag_ends
            || is_planted(Fault::IgnoreLag)
            || !inspected.compare(&token).contradicts_our_write()
        {
            return Ok(inspected);
        }
        sleep_until(lag_ends.min(Instant::now() + pause)).await;
        pause *= 2;
    }
}

/// How our own write of the token in question went, in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteState {
    /// There was none.
    None,
    /// The provider acknowledged it.
    Acknowledged,
    /// It failed for good.
    Failed,
    /// It was not acknowledged, and may still take effect.
    Unacknowledged,
}

/// The state of a sink, and the evidence for it. `Stale` only where it is known not to hold the token.
pub(crate) fn conclude(write: WriteState, found: Result<Finding, &Failure>) -> (State, String) {
    match (write, found) {
        (_, Ok(Finding::Token)) => (State::Current, "read back and equal".to_owned()),
        (_, Ok(Finding::UnchangedSinceOurWrite)) => {
            (State::Current, "our write is the provider's newest".to_owned())
        }
        (WriteState::Unacknowledged, Ok(found)) if found.contradicts_our_write() => {
            (State::Unknown, "a write was not acknowledged and may still take effect".to_owned())
        }
        (_, Ok(Finding::ChangedSinceOurWrite)) if is_planted(Fault::CallForeignWriteStale) => {
            (State::Stale, "changed since our write".to_owned())
        }
        (_, Ok(Finding::ChangedSinceOurWrite)) => (
            State::Unknown,
            "written by someone else after our last write: it may hold the live token or \
             another value"
                .to_owned(),
        ),
        (_, Ok(Finding::OtherValue)) => (State::Stale, "holds another value".to_owned()),
        (_, Ok(Finding::Absent)) => (State::Stale, "holds no value".to_owned()),
        (WriteState::Acknowledged, Ok(Finding::Unknown { reason })) => {
            (State::Current, format!("the write was acknowledged; {reason}"))
        }
        (_, Ok(Finding::Unknown { reason })) => (State::Unknown, reason),
        (WriteState::Acknowledged, Err(failure)) => (
            State::Unknown,
            format!("the write was acknowledged, but could not be inspected: {failure}"),
        ),
        (_, Err(_)) if is_planted(Fault::TrustUninspected) => {
            (State::Current, "not inspected".to_owned())
        }
        (_, Err(failure)) => (State::Unknown, format!("could not be inspected: {failure}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unchanged_since(last_write: Option<&str>) -> Inspected {
        let last_write = last_write.map(Fingerprint::of);
        Inspected { content: Content::UnchangedSinceOurWrite, nearby: Vec::new(), last_write }
    }

    #[test]
    fn a_receipt_proves_only_the_token_it_was_for() {
        let live = Fingerprint::of("live");
        let found = |last| unchanged_since(last).compare(&live);
        assert_eq!(found(Some("live")), Finding::UnchangedSinceOurWrite);
        assert_eq!(found(Some("revoked")), Finding::OtherValue);
        assert!(matches!(found(None), Finding::Unknown { .. }));
    }

    #[test]
    fn values_that_differ_are_the_token_only_if_all_are() {
        let live = Fingerprint::of("live");
        let held = |values: &[&str]| Inspected {
            content: Content::Mixed(values.iter().map(|value| HeldValue::of(value)).collect()),
            nearby: Vec::new(),
            last_write: None,
        };
        assert_eq!(held(&["live", "live"]).compare(&live), Finding::Token);
        assert_eq!(held(&["live", "old"]).compare(&live), Finding::OtherValue);
        assert_eq!(held(&[]).compare(&live), Finding::OtherValue);
        assert!(held(&["live", "changeme"]).holds_something_else(&live));
        assert!(!held(&["live", "eyJVc2VySUQiOiJhIn0="]).holds_something_else(&live));
    }

    #[test]
    fn nothing_is_current_without_evidence_and_nothing_stale_without_either() {
        let unknown = || Finding::Unknown { reason: "write-only".to_owned() };
        let failure = Failure::panicked();
        use WriteState::{Acknowledged, Failed, None, Unacknowledged};
        for (write, found, state) in [
            (None, Ok(Finding::Token), State::Current),
            (Failed, Ok(Finding::Token), State::Current),
            (Acknowledged, Ok(Finding::UnchangedSinceOurWrite), State::Current),
            (Acknowledged, Ok(unknown()), State::Current),
            (Acknowledged, Ok(Finding::OtherValue), State::Stale),
            (Acknowledged, Ok(Finding::ChangedSinceOurWrite), State::Unknown),
            (Acknowledged, Ok(Finding::Absent), State::Stale),
            (Acknowledged, Err(&failure), State::Unknown),
            (None, Ok(unknown()), State::Unknown),
            (None, Ok(Finding::ChangedSinceOurWrite), State::Unknown),
            (Failed, Ok(unknown()), State::Unknown),
            (Failed, Ok(Finding::OtherValue), State::Stale),
            (Unacknowledged, Ok(Finding::OtherValue), State::Unknown),
            (Unacknowledged, Ok(unknown()), State::Unknown),
            (None, Err(&failure), State::Unknown),
        ] {
            assert_eq!(conclude(write, found.clone()).0, state, "{write:?} {found:?}");
        }
    }
}
