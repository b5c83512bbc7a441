//! Looking at what sinks hold, and what may be concluded from it.

use std::sync::Arc;

use tokensink_core::{Fingerprint, Holds, SinkErrorKind, Token};

use crate::journal::LastWrite;
use crate::limiter::Lane;
use crate::retry::Retry;
use crate::{Failure, Sink, State};

/// What an inspection found, or why it could not look.
pub(crate) type Inspected = Result<Holds, Failure>;

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
        match retry.read(sink.target.inspect(&token, receipt)).await {
            Ok(holds) => return Ok(of_this_token(holds, &token.fingerprint(), last.as_ref())),
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

/// A sink that says "your last write is still there" holds the token only if that write was of it.
fn of_this_token(holds: Holds, token: &Fingerprint, last: Option<&LastWrite>) -> Holds {
    match (holds, last) {
        (Holds::UnchangedSinceOurWrite, Some(last)) if last.token == *token => {
            Holds::UnchangedSinceOurWrite
        }
        (Holds::UnchangedSinceOurWrite, Some(_)) => Holds::AnotherValue,
        (Holds::UnchangedSinceOurWrite, None) => {
            Holds::Unknown { why: "there is no record of a write".to_owned() }
        }
        (holds, _) => holds,
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
        (_, Ok(Holds::Token)) => (State::Current, "read back and equal".to_owned()),
        (_, Ok(Holds::UnchangedSinceOurWrite)) => {
            (State::Current, "our write is the provider's newest".to_owned())
        }
        (Write::Pending, Ok(Holds::AnotherValue | Holds::Nothing)) => {
            (State::Unknown, "a write was not answered and may still take effect".to_owned())
        }
        (_, Ok(Holds::AnotherValue)) => (State::Stale, "holds another value".to_owned()),
        (_, Ok(Holds::Nothing)) => (State::Stale, "holds no value".to_owned()),
        (Write::Acknowledged, Ok(Holds::Unknown { why })) => {
            (State::Current, format!("the write was acknowledged; {why}"))
        }
        (Write::None | Write::Failed | Write::Pending, Ok(Holds::Unknown { why })) => {
            (State::Unknown, why.clone())
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
        let seen =
            |last: Option<&LastWrite>| of_this_token(Holds::UnchangedSinceOurWrite, &live, last);
        assert_eq!(seen(Some(&last_write_of("live"))), Holds::UnchangedSinceOurWrite);
        assert_eq!(seen(Some(&last_write_of("dead"))), Holds::AnotherValue);
        assert!(matches!(seen(None), Holds::Unknown { .. }));
    }

    #[test]
    fn nothing_is_current_without_evidence() {
        let why = || Holds::Unknown { why: "write-only".to_owned() };
        let failure = Failure::panicked();
        for (write, inspected, state) in [
            (Write::None, Ok(Holds::Token), State::Current),
            (Write::Failed, Ok(Holds::Token), State::Current),
            (Write::Acknowledged, Ok(Holds::UnchangedSinceOurWrite), State::Current),
            (Write::Acknowledged, Ok(why()), State::Current),
            (Write::Acknowledged, Ok(Holds::AnotherValue), State::Stale),
            (Write::Acknowledged, Ok(Holds::Nothing), State::Stale),
            (Write::Acknowledged, Err(failure.clone()), State::Unknown),
            (Write::None, Ok(why()), State::Unknown),
            (Write::Failed, Ok(why()), State::Unknown),
            (Write::Failed, Ok(Holds::AnotherValue), State::Stale),
            (Write::Pending, Ok(Holds::AnotherValue), State::Unknown),
            (Write::Pending, Ok(why()), State::Unknown),
            (Write::None, Err(failure), State::Unknown),
        ] {
            assert_eq!(conclude(write, &inspected).0, state, "{write:?} {inspected:?}");
        }
    }
}
