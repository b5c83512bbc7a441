//! Sends the reset once and determines its outcome, whatever the response is.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokensink_core::{Issued, ResetError, Token, TokenIssuer};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::abort::Abort;
use crate::fan_out::OUTLASTED_INTERRUPTS;
use crate::faults::{Fault, is_planted};
use crate::journal::Entry;
use crate::observe::{KnownTokens, TokenObservation, observe};
use crate::session::Session;

/// The maximum number of retries of a request that was certainly not sent.
const MAX_UNSENT: usize = 5;

/// The token that replaced the old one.
#[derive(Debug)]
pub(crate) struct Replacement {
    pub(crate) issued: Issued,
    /// Whether the response was not usable and the token was read afterwards. It may then be the result of
    /// another reset than ours.
    pub(crate) by_reading: bool,
}

/// Checks right before the reset that the token is unchanged. This also opens the connection for the reset.
pub(crate) async fn ensure_token_unchanged(session: &Session, token: &Token) -> Result<(), Abort> {
    let current = session.with_issuer_retries(|| session.current());
    match session.interruptible(current).await? {
        Ok(issued) if issued.token == *token || is_planted(Fault::IgnoreReplacement) => {
            if session.is_interrupted() { Err(Abort::Interrupted) } else { Ok(()) }
        }
        Ok(issued) => {
            session.learn(&issued.token);
            Err(Abort::TokenReplaced)
        }
        Err(error) => Err(Abort::Source(error.to_string())),
    }
}

/// Records the intent, sends the reset and determines its outcome. `before` is the token that it replaces.
pub(crate) async fn reset(
    session: &Session,
    before: &Token,
    issuer: &Arc<dyn TokenIssuer>,
) -> Result<Replacement, Abort> {
    let intent = Entry::ResetIntended { before: before.fingerprint() };
    session.record(intent).await.map_err(Abort::Journal)?;
    let abandoned = session.context.interrupt.after(OUTLASTED_INTERRUPTS);
    let replaced = tokio::select! {
        biased;
        replaced = send_and_observe(session, before, issuer) => replaced,
        () = abandoned => Err(Abort::ResetUnknown("abandoned by a second interrupt".to_owned())),
    };
    match &replaced {
        Ok(replacement) => session.learn(&replacement.issued.token),
        Err(Abort::ResetUnknown(_)) => {}
        Err(_) => session.record_if_possible(Entry::NotReset).await,
    }
    replaced
}

async fn send_and_observe(
    session: &Session,
    before: &Token,
    issuer: &Arc<dyn TokenIssuer>,
) -> Result<Replacement, Abort> {
    let backoff = ExponentialBuilder::new().with_min_delay(Duration::from_millis(50)).with_jitter();
    let mut pauses = backoff.with_max_times(MAX_UNSENT).build();
    loop {
        // The user may have interrupted the run while the intent was recorded, or during a pause.
        if session.is_interrupted() && !is_planted(Fault::SendAfterInterrupt) {
            return Err(Abort::Interrupted);
        }
        let (reason, was_refused) = match send(session, before, issuer).await {
            Sent::Responded(Ok(issued)) if issued.token != *before => {
                return Ok(Replacement { issued, by_reading: false });
            }
            Sent::Responded(Ok(_)) => ("the response contains the old token".to_owned(), false),
            Sent::SeenToMove(issued) => return Ok(Replacement { issued, by_reading: true }),
            // A gateway may respond with a refusal after it has forwarded the request.
            Sent::Responded(Err(ResetError::Refused { message })) => {
                if is_planted(Fault::BelieveRefusal) {
                    return Err(Abort::NotReset(message));
                }
                (message, true)
            }
            Sent::Responded(Err(ResetError::NotSent { message })) => {
                match wait_unchanged(session, before, &mut pauses).await {
                    Unchanged::Yes => continue,
                    Unchanged::No => return Err(Abort::TokenReplaced),
                    Unchanged::NotKnown => return Err(Abort::NotReset(message)),
                }
            }
            Sent::Responded(Err(_)) if is_planted(Fault::ResendUnknownReset) => continue,
            Sent::Responded(Err(error)) => (error.to_string(), false),
            Sent::NotResponded => {
                (format!("no response within {:?}", session.timing.reset_answer), false)
            }
        };
        let until = Instant::now() + session.timing.settle;
        return match watch_for_a_move(session, before, until).await {
            Watched { last: TokenObservation::Newer(issued), .. } => {
                Ok(Replacement { issued, by_reading: true })
            }
            watched if was_refused && watched.old_token_held => Err(Abort::NotReset(reason)),
            watched => Err(Abort::ResetUnknown(format!("{reason}; {}", describe(&watched.last)))),
        };
    }
}

/// Whether the reset may be sent again after one that was certainly not sent.
enum Unchanged {
    Yes,
    No,
    NotKnown,
}

/// Waits, and checks that the token is still the one that the user agreed to replace.
async fn wait_unchanged(
    session: &Session,
    before: &Token,
    pauses: &mut impl Iterator<Item = Duration>,
) -> Unchanged {
    for pause in pauses {
        sleep(pause).await;
        match look(session, before).await {
            TokenObservation::Current => return Unchanged::Yes,
            TokenObservation::Newer(_) | TokenObservation::NotAccepted => return Unchanged::No,
            TokenObservation::Superseded | TokenObservation::Unreadable(_) => {}
        }
    }
    Unchanged::NotKnown
}

enum Sent {
    Responded(Result<Issued, ResetError>),
    SeenToMove(Issued),
    NotResponded,
}

/// Sends one request. If the response is late, the current token is read meanwhile.
async fn send(session: &Session, before: &Token, issuer: &Arc<dyn TokenIssuer>) -> Sent {
    let sent_at = Instant::now();
    let alongside = async {
        sleep(session.timing.doubt_after).await;
        watch_for_a_move(session, before, sent_at + session.timing.reset_answer).await
    };
    let response = timeout(session.timing.reset_answer, issuer.reset());
    tokio::pin!(alongside, response);
    tokio::select! {
        biased;
        response = &mut response => responded(response),
        watched = &mut alongside => match watched.last {
            TokenObservation::Newer(issued) => Sent::SeenToMove(issued),
            _ => responded(response.await),
        },
    }
}

fn responded<E>(response: Result<Result<Issued, ResetError>, E>) -> Sent {
    response.map_or(Sent::NotResponded, Sent::Responded)
}

async fn look(session: &Session, before: &Token) -> TokenObservation {
    observe(session, KnownTokens { current: before, superseded: &[] }).await
}

/// Describes an observation. The server's message is not included, because it may contain a token that is
/// not known yet and would not be redacted.
fn describe(observed: &TokenObservation) -> &'static str {
    match observed {
        TokenObservation::Newer(_) => "Upstash shows a new token",
        TokenObservation::NotAccepted => {
            "Upstash shows another token, which QStash does not accept"
        }
        TokenObservation::Current | TokenObservation::Superseded => {
            "Upstash still shows the old token"
        }
        TokenObservation::Unreadable(_) => "the current token could not be read",
    }
}

/// The observations until the token changed or the time was over.
struct Watched {
    last: TokenObservation,
    /// Whether in every successful observation, including the last one, the source showed the old token and
    /// QStash accepted it.
    old_token_held: bool,
}

/// Observes the token until it is another one that QStash accepts, or until `until`.
async fn watch_for_a_move(session: &Session, before: &Token, until: Instant) -> Watched {
    let mut last = TokenObservation::Unreadable(String::new());
    let mut was_contradicted = false;
    loop {
        // Taken before the observation, so that the last one begins after the end of the window.
        let is_over = Instant::now() >= until;
        let looks = async {
            let observed = look(session, before).await;
            let accepted = match observed {
                TokenObservation::Current => Some(session.accepts(before).await),
                _ => None,
            };
            (observed, accepted)
        };
        let (observed, accepted) = if is_over {
            looks.await
        } else {
            tokio::select! {
                biased;
                looked = looks => looked,
                () = sleep_until(until) => continue,
            }
        };
        let holds = matches!(accepted, Some(Ok(true)));
        match observed {
            TokenObservation::Newer(issued) => {
                let last = TokenObservation::Newer(issued);
                return Watched { last, old_token_held: false };
            }
            // A failed read does not invalidate earlier observations.
            TokenObservation::Unreadable(_) => {}
            observed => {
                was_contradicted |= matches!(accepted, None | Some(Ok(false)));
                last = observed;
            }
        }
        if is_over {
            return Watched { last, old_token_held: holds && !was_contradicted };
        }
        sleep_until(until.min(Instant::now() + session.timing.poll)).await;
    }
}
