//! Inspects sinks and derives their state from the results.

use std::sync::Arc;
use std::time::Duration;

use tokensink_core::{Content, Fingerprint, HeldValue, NearbyValue, SinkErrorKind};
use tokio::time::{Instant, sleep_until};

use crate::faults::{Fault, is_planted};
use crate::journal::LastWrite;
use crate::rate_limiter::RateLimiter;
use crate::retry::Retry;
use crate::{Sink, SinkFailure, State};

/// The result of an inspection. It is compared with a token later, because the token may be superseded in
/// the meantime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inspected {
    pub(crate) content: Content,
    pub(crate) nearby: Vec<NearbyValue>,
    /// The token of the last write whose receipt was passed to the sink.
    last_write: Option<Fingerprint>,
}

pub(crate) type InspectResult = Result<Inspected, SinkFailure>;

/// The content of a sink, compared with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The token was read.
    Token,
    /// The value cannot be read, but our last write, which was of the token, is the newest one.
    UnchangedSinceOurWrite,
    /// The value cannot be read, and there is a newer write than ours: of the token or another value.
    ChangedSinceOurWrite,
    /// Another value was read.
    OtherValue,
    /// There is no value.
    Absent,
    /// The content is not known.
    Unknown { reason: String },
}

impl Finding {
    /// Returns whether this contradicts an acknowledged write of the token.
    fn contradicts_our_write(&self) -> bool {
        matches!(self, Self::ChangedSinceOurWrite | Self::OtherValue | Self::Absent)
    }
}

impl Inspected {
    /// Compares the content with `token`. An unchanged last write proves the token only if the token was
    /// written.
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
            _ => Finding::Unknown { reason: "the plugin's result is not supported".to_owned() },
        }
    }

    /// Returns whether a value was read that is not `token` and does not have the form of a token.
    pub(crate) fn has_foreign_value(&self, token: &Fingerprint) -> bool {
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

/// Inspects one sink, with retries until its deadline.
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
            // Another program wrote in between, so the caller may write again.
            Err(conflict) if conflict.kind == SinkErrorKind::Conflict => return Err(conflict),
            Err(failure) => {
                if !retry.goes_on_after(&failure).await {
                    return Err(failure);
                }
            }
        }
    }
}

/// Inspects one sink. While the result contradicts an acknowledged write of `token`, the inspection is
/// repeated until `lag_ends`, because reads may lag behind the write.
pub(crate) async fn inspect_after_write(
    job: InspectJob,
    token: Fingerprint,
    lag_ends: Instant,
    first_pause: Duration,
) -> InspectResult {
    let mut pause = first_pause;
    loop {
        // Taken before the inspection, so that the last one begins after the end of the window.
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

/// The state of this run's write of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteState {
    /// There was no write.
    None,
    /// The provider acknowledged the write.
    Acknowledged,
    /// The write failed and did not take effect.
    Failed,
    /// The write was not acknowledged and may still take effect.
    Unacknowledged,
}

/// Returns the state of a sink and the evidence for it. The state is `Stale` only if the sink is known not
/// to contain the token.
pub(crate) fn conclude(write: WriteState, found: Result<Finding, &SinkFailure>) -> (State, String) {
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
            "written by another program after our last write: it may hold the live token or \
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
    fn several_occurrences_are_the_token_only_if_all_are() {
        let live = Fingerprint::of("live");
        let held = |values: &[&str]| Inspected {
            content: Content::Mixed(values.iter().map(|value| HeldValue::of(value)).collect()),
            nearby: Vec::new(),
            last_write: None,
        };
        assert_eq!(held(&["live", "live"]).compare(&live), Finding::Token);
        assert_eq!(held(&["live", "old"]).compare(&live), Finding::OtherValue);
        assert_eq!(held(&[]).compare(&live), Finding::OtherValue);
        assert!(held(&["live", "changeme"]).has_foreign_value(&live));
        assert!(!held(&["live", "eyJVc2VySUQiOiJhIn0="]).has_foreign_value(&live));
    }

    #[test]
    fn a_state_other_than_unknown_needs_evidence() {
        let unknown = || Finding::Unknown { reason: "write-only".to_owned() };
        let failure = SinkFailure::panicked();
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
