//! Looking at what sinks hold, and what may be concluded from it.

use std::sync::Arc;

use tokensink_core::{Content, Fingerprint, HeldValue, Inspection, SinkErrorKind, Token};

use crate::journal::LastWrite;
use crate::limiter::Lane;
use crate::retry::Retry;
use crate::{Failure, Sink, State};

/// What an inspection found, or why it could not look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The token was read back.
    Token,
    /// It cannot be read; our last write, which was of the token, is the newest one.
    UnchangedSinceOurWrite,
    /// Something else than the token.
    OtherValue,
    /// No value.
    Absent,
    /// It cannot be told.
    Unknown { reason: String },
}

/// A finding, or why the sink could not be inspected.
pub(crate) type Inspected = Result<Finding, Failure>;

/// Looks at one sink until it answers or its time is over.
pub(crate) async fn inspect(
    sink: Arc<Sink>,
    lane: Option<Arc<Lane>>,
    token: Arc<Token>,
    last: Option<LastWrite>,
) -> Inspected {
    let receipt = last.as_ref().map(|last| &last.receipt);
    let mut retry = Retry::new(sink.deadline, lane);
    loop {
        match retry.read(sink.plugin.inspect(receipt)).await {
            Ok(found) => return Ok(compare(&found, &token.fingerprint(), last.as_ref())),
            // Someone wrote in between: for the one who may write again to resolve.
            Err(conflict) if conflict.kind == SinkErrorKind::Conflict => return Err(conflict),
            Err(failure) => {
                if !retry.goes_on_after(&failure).await {
                    return Err(failure);
                }
            }
        }
    }
}

/// Compares what a sink holds with `token`. A last write that is still there is the token only if
/// that write was of it.
fn compare(found: &Inspection, token: &Fingerprint, last: Option<&LastWrite>) -> Finding {
    let is_token = |held: &HeldValue| held.fingerprint == *token;
    match &found.content {
        Content::Value(held) if is_token(held) => Finding::Token,
        Content::Mixed(held) if !held.is_empty() && held.iter().all(is_token) => Finding::Token,
        Content::Value(_) | Content::Mixed(_) | Content::ChangedSinceOurWrite => {
            Finding::OtherValue
        }
        Content::UnchangedSinceOurWrite => match last {
            Some(last) if last.token == *token => Finding::UnchangedSinceOurWrite,
            Some(_) => Finding::OtherValue,
            None => Finding::Unknown { reason: "there is no record of a write".to_owned() },
        },
        Content::Absent => Finding::Absent,
        Content::Unknown { reason } => Finding::Unknown { reason: reason.clone() },
        _ => Finding::Unknown { reason: "the plugin's response is not known here".to_owned() },
    }
}

/// How our own write of the token in question went, in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    /// There was none.
    None,
    /// The provider acknowledged it.
    Acknowledged,
    /// It failed for good.
    Failed,
    /// It was not answered, and may still take effect.
    Pending,
}

/// The state of a sink, and the evidence for it.
pub(crate) fn conclude(write: Write, inspected: &Inspected) -> (State, String) {
    match (write, inspected) {
        (_, Ok(Finding::Token)) => (State::Current, "read back and equal".to_owned()),
        (_, Ok(Finding::UnchangedSinceOurWrite)) => {
            (State::Current, "our write is the provider's newest".to_owned())
        }
        (Write::Pending, Ok(Finding::OtherValue | Finding::Absent)) => {
            (State::Unknown, "a write was not answered and may still take effect".to_owned())
        }
        (_, Ok(Finding::OtherValue)) => (State::Stale, "holds another value".to_owned()),
        (_, Ok(Finding::Absent)) => (State::Stale, "holds no value".to_owned()),
        (Write::Acknowledged, Ok(Finding::Unknown { reason })) => {
            (State::Current, format!("the write was acknowledged; {reason}"))
        }
        (Write::None | Write::Failed | Write::Pending, Ok(Finding::Unknown { reason })) => {
            (State::Unknown, reason.clone())
        }
        (Write::Acknowledged, Err(failure)) => (
            State::Unknown,
            format!("the write was acknowledged, but could not be inspected: {failure}"),
        ),
        (_, Err(failure)) => (State::Unknown, format!("could not be inspected: {failure}")),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tokensink_core::Receipt;

    use super::*;

    fn last_write_of(token: &str) -> LastWrite {
        LastWrite {
            token: Fingerprint::of(token),
            receipt: Receipt::default(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_receipt_proves_only_the_token_it_was_for() {
        let live = Fingerprint::of("live");
        let seen = |last: Option<&LastWrite>| {
            compare(&Content::UnchangedSinceOurWrite.into(), &live, last)
        };
        assert_eq!(seen(Some(&last_write_of("live"))), Finding::UnchangedSinceOurWrite);
        assert_eq!(seen(Some(&last_write_of("dead"))), Finding::OtherValue);
        assert!(matches!(seen(None), Finding::Unknown { .. }));
    }

    #[test]
    fn nothing_is_current_without_evidence() {
        let why = || Finding::Unknown { reason: "write-only".to_owned() };
        let failure = Failure::panicked();
        for (write, inspected, state) in [
            (Write::None, Ok(Finding::Token), State::Current),
            (Write::Failed, Ok(Finding::Token), State::Current),
            (Write::Acknowledged, Ok(Finding::UnchangedSinceOurWrite), State::Current),
            (Write::Acknowledged, Ok(why()), State::Current),
            (Write::Acknowledged, Ok(Finding::OtherValue), State::Stale),
            (Write::Acknowledged, Ok(Finding::Absent), State::Stale),
            (Write::Acknowledged, Err(failure.clone()), State::Unknown),
            (Write::None, Ok(why()), State::Unknown),
            (Write::Failed, Ok(why()), State::Unknown),
            (Write::Failed, Ok(Finding::OtherValue), State::Stale),
            (Write::Pending, Ok(Finding::OtherValue), State::Unknown),
            (Write::Pending, Ok(why()), State::Unknown),
            (Write::None, Err(failure), State::Unknown),
        ] {
            assert_eq!(conclude(write, &inspected).0, state, "{write:?} {inspected:?}");
        }
    }
}
