//! One look at the token: read what the source shows, compare it with the known tokens, and ask QStash
//! whether it accepts a new one.

use tokensink_core::{Issued, Token};

use crate::faults::{Fault, is_planted};
use crate::session::Session;

/// The tokens that a run knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownTokens<'a> {
    /// The one that the run takes for the live one.
    pub(crate) current: &'a Token,
    /// Those that it saw replaced: revoked, whatever a lagging read may show.
    pub(crate) superseded: &'a [Token],
}

/// What a look showed.
#[derive(Debug)]
pub(crate) enum TokenObservation {
    /// The source shows the current token.
    Current,
    /// The source shows a token that was superseded: the read lags.
    Superseded,
    /// The source shows a token that the run did not know, and QStash accepts it.
    Newer(Issued),
    /// The source shows a token that the run did not know, and QStash does not accept it (yet).
    NotAccepted,
    /// The source could not be read.
    Unreadable(String),
}

/// Looks at the token once.
pub(crate) async fn observe(session: &Session, known: KnownTokens<'_>) -> TokenObservation {
    match session.current().await {
        Err(error) => TokenObservation::Unreadable(error.to_string()),
        Ok(issued) if issued.token == *known.current => TokenObservation::Current,
        Ok(issued) if known.superseded.contains(&issued.token) => TokenObservation::Superseded,
        Ok(issued) => match session.accepts(&issued.token).await {
            Ok(true) => TokenObservation::Newer(issued),
            _ if is_planted(Fault::BelieveUnacceptedToken) => TokenObservation::Newer(issued),
            _ => TokenObservation::NotAccepted,
        },
    }
}
