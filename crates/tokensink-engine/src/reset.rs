//! The reset itself: sent once, and its outcome found out whatever the answer looks like.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokensink_core::{Issued, IssuerError, ResetError, Token, TokenIssuer};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::Timing;

/// How often a request that certainly never left is tried again.
const MOST_UNSENT: usize = 5;

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
    /// It cannot be told.
    Unknown { why: String },
}

/// Sends the reset and finds out what became of it. `before` is the token it replaces.
pub(crate) async fn reset(issuer: Arc<dyn TokenIssuer>, before: &Token, timing: Timing) -> Reset {
    let backoff = ExponentialBuilder::new().with_min_delay(Duration::from_millis(50)).with_jitter();
    let mut pauses = backoff.with_max_times(MOST_UNSENT).build();
    loop {
        let why = match send(issuer.as_ref(), before, timing).await {
            Sent::Answered(Ok(issued)) if issued.token != *before => {
                return Reset::Done { issued, by_reading: false };
            }
            Sent::Answered(Ok(_)) => "the answer carries the old token".to_owned(),
            Sent::SeenToMove(issued) => return Reset::Done { issued, by_reading: true },
            Sent::Answered(Err(ResetError::Refused { message })) => {
                return Reset::NotDone { why: message };
            }
            Sent::Answered(Err(ResetError::NotSent { message })) => match pauses.next() {
                Some(pause) => {
                    sleep(pause).await;
                    continue;
                }
                None => return Reset::NotDone { why: message },
            },
            Sent::Answered(Err(error)) => error.to_string(),
            Sent::NotAnswered => format!("no answer within {:?}", timing.reset_answer),
        };
        return match watch_for_a_move(
            issuer.as_ref(),
            before,
            Instant::now() + timing.settle,
            timing,
        )
        .await
        {
            Some(issued) => Reset::Done { issued, by_reading: true },
            None => Reset::Unknown { why },
        };
    }
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
        moved = &mut alongside => match moved {
            Some(issued) => Sent::SeenToMove(issued),
            None => answered(answer.await),
        },
    }
}

fn answered<E>(answer: Result<Result<Issued, ResetError>, E>) -> Sent {
    answer.map_or(Sent::NotAnswered, Sent::Answered)
}

/// Reads the current token until it is another one that QStash lets in, or `until` has come.
async fn watch_for_a_move(
    issuer: &dyn TokenIssuer,
    before: &Token,
    until: Instant,
    timing: Timing,
) -> Option<Issued> {
    loop {
        let look = async {
            let issued = issuer.current().await?;
            let moved = issued.token != *before && issuer.accepts(&issued.token).await?;
            Ok::<_, IssuerError>(moved.then_some(issued))
        };
        tokio::select! {
            biased;
            () = sleep_until(until) => return None,
            looked = look => match looked {
                Ok(Some(issued)) => return Some(issued),
                Ok(None) => {}
                Err(error) => tracing::debug!(%error, "could not read the current token"),
            },
        }
        sleep(timing.poll).await;
    }
}
