//! The reset itself: sent once, and its outcome found out whatever the answer looks like.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokensink_core::{Issued, ResetError, Token, TokenIssuer};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::Timing;

/// How often a request that certainly never left is tried again.
const MAX_UNSENT: usize = 5;

/// What became of the reset.
#[derive(Debug)]
pub(crate) enum Reset {
    /// It happened: this is the token since.
    Done {
        issued: Issued,
        /// The answer was not readable, and the token was learned by reading: a reset of somebody
        /// else's, or a second landing of ours, cannot be told from it yet.
        by_reading: bool,
    },
    /// It certainly did not happen.
    NotDone { why: String },
    /// It never left, and somebody else has reset the token meanwhile.
    Overtaken,
    /// It cannot be told.
    Unknown { why: String },
}

/// Sends the reset and finds out what became of it. `before` is the token it replaces.
pub(crate) async fn reset(issuer: Arc<dyn TokenIssuer>, before: &Token, timing: Timing) -> Reset {
    let backoff = ExponentialBuilder::new().with_min_delay(Duration::from_millis(50)).with_jitter();
    let mut pauses = backoff.with_max_times(MAX_UNSENT).build();
    loop {
        let why = match send(issuer.as_ref(), before, timing).await {
            Sent::Answered(Ok(issued)) if issued.token != *before => {
                return Reset::Done { issued, by_reading: false };
            }
            Sent::Answered(Ok(_)) => "the answer carries the old token".to_owned(),
            Sent::SeenToMove(issued) => return Reset::Done { issued, by_reading: true },
            Sent::Answered(Err(ResetError::Refused { message })) => {
                // Who refuses need not be the one who does it.
                match look(issuer.as_ref(), before, timing).await {
                    Seen::Same => return Reset::NotDone { why: message },
                    Seen::Moved(_) | Seen::NotAccepted | Seen::Nothing => message,
                }
            }
            Sent::Answered(Err(ResetError::NotSent { message })) => {
                match unchanged(issuer.as_ref(), before, &mut pauses, timing).await {
                    Unchanged::Yes => continue,
                    Unchanged::No => return Reset::Overtaken,
                    Unchanged::NotKnown => return Reset::NotDone { why: message },
                }
            }
            Sent::Answered(Err(error)) => error.to_string(),
            Sent::NotAnswered => format!("no answer within {:?}", timing.reset_answer),
        };
        let until = Instant::now() + timing.settle;
        return match watch_for_a_move(issuer.as_ref(), before, until, timing).await {
            Seen::Moved(issued) => Reset::Done { issued, by_reading: true },
            seen => Reset::Unknown { why: format!("{why}; {}", seen.error_chain()) },
        };
    }
}

/// Whether another reset may be sent where the one before never left.
enum Unchanged {
    Yes,
    No,
    NotKnown,
}

/// Waits, and sees whether the token is still the one that the person said yes to.
async fn unchanged(
    issuer: &dyn TokenIssuer,
    before: &Token,
    pauses: &mut impl Iterator<Item = Duration>,
    timing: Timing,
) -> Unchanged {
    for pause in pauses {
        sleep(pause).await;
        match look(issuer, before, timing).await {
            Seen::Same => return Unchanged::Yes,
            Seen::Moved(_) | Seen::NotAccepted => return Unchanged::No,
            Seen::Nothing => {}
        }
    }
    Unchanged::NotKnown
}

enum Sent {
    Answered(Result<Issued, ResetError>),
    SeenToMove(Issued),
    NotAnswered,
}

/// One request; the current token is read alongside once the answer is late.
async fn send(issuer: &dyn TokenIssuer, before: &Token, timing: Timing) -> Sent {
    let sent_at = Instant::now();
    let alongside = async {
        sleep(timing.doubt_after).await;
        watch_for_a_move(issuer, before, sent_at + timing.reset_answer, timing).await
    };
    let answer = timeout(timing.reset_answer, issuer.reset());
    tokio::pin!(alongside, answer);
    tokio::select! {
        biased;
        answer = &mut answer => answered(answer),
        seen = &mut alongside => match seen {
            Seen::Moved(issued) => Sent::SeenToMove(issued),
            _ => answered(answer.await),
        },
    }
}

fn answered<E>(answer: Result<Result<Issued, ResetError>, E>) -> Sent {
    answer.map_or(Sent::NotAnswered, Sent::Answered)
}

/// What a look at the current token showed.
enum Seen {
    /// Another token, and QStash lets it in.
    Moved(Issued),
    /// Another token, which QStash does not let in.
    NotAccepted,
    /// The one that was to be replaced.
    Same,
    /// Nobody could be asked.
    Nothing,
}

impl Seen {
    fn error_chain(&self) -> &'static str {
        match self {
            Self::Moved(_) => "Upstash shows a new token",
            Self::NotAccepted => "Upstash shows another token, which QStash does not accept",
            Self::Same => "Upstash still shows the old token",
            Self::Nothing => "the current token could not be read",
        }
    }
}

/// One look at the current token. What a server says instead is not logged: nobody here knows yet
/// which token it might repeat.
async fn look(issuer: &dyn TokenIssuer, before: &Token, timing: Timing) -> Seen {
    let current = timeout(timing.issuer_answer, issuer.current()).await;
    let Ok(Ok(issued)) = current else { return Seen::Nothing };
    if issued.token == *before {
        return Seen::Same;
    }
    match timeout(timing.issuer_answer, issuer.accepts(&issued.token)).await {
        Ok(Ok(true)) => Seen::Moved(issued),
        _ => Seen::NotAccepted,
    }
}

/// Reads the current token until it is another one that QStash lets in, or `until` has come.
async fn watch_for_a_move(
    issuer: &dyn TokenIssuer,
    before: &Token,
    until: Instant,
    timing: Timing,
) -> Seen {
    let mut last = Seen::Nothing;
    loop {
        tokio::select! {
            biased;
            () = sleep_until(until) => return last,
            seen = look(issuer, before, timing) => match seen {
                Seen::Moved(issued) => return Seen::Moved(issued),
                // One failed look does not undo what was seen before.
                Seen::Nothing => {}
                seen => last = seen,
            },
        }
        sleep(timing.poll).await;
    }
}
