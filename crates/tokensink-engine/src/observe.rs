//! Observes the token: reads it from the source, compares it with the known tokens, and checks whether
//! QStash accepts a new one.

use tokensink_core::{Issued, Token};

use crate::faults::{Fault, is_planted};
use crate::session::Session;

/// The tokens that a run knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KnownTokens<'a> {
    /// The token that the run considers live.
    pub(crate) current: &'a Token,
    /// The tokens that were replaced during the run. They are revoked, even if a lagging read shows one.
    pub(crate) superseded: &'a [Token],
}

/// The result of an observation.
#[derive(Debug)]
pub(crate) enum TokenObservation {
    /// The source shows the current token.
    Current,
    /// The source shows a superseded token, so the read lags.
    Superseded,
    /// The source shows an unknown token, and QStash accepts it.
    Newer(Issued),
    /// The source shows an unknown token, and QStash does not accept it (yet).
    NotAccepted,
    /// The source could not be read.
    Unreadable(String),
}

/// Observes the token once.
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
