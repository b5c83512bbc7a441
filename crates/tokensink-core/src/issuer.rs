//! The traits for the origin of the token.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;

use crate::{Fingerprint, IssuerError, ResetError, Token};

/// A source of the live token. `Display` names the QStash in messages and shows no secret.
#[async_trait]
pub trait TokenSource: fmt::Display + fmt::Debug + Send + Sync {
    /// Returns the live token according to the service's management API, which may lag behind a
    /// reset.
    async fn current(&self) -> Result<Issued, IssuerError>;

    /// Returns whether QStash itself accepts this token.
    async fn accepts(&self, token: &Token) -> Result<bool, IssuerError>;
}

/// A source whose token can be reset.
#[async_trait]
pub trait TokenIssuer: TokenSource {
    /// Resets the token. The old token is revoked as soon as this takes effect, and the service has
    /// no idempotency key. The engine therefore sends it at most once, except after
    /// [`ResetError::NotSent`].
    async fn reset(&self) -> Result<Issued, ResetError>;
}

/// The service's response for one QStash.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Issued {
    /// The token that publishes messages.
    pub token: Token,
    /// Fingerprints of the other secrets in the same response, by field name. A reset that changes
    /// them is reported.
    pub others: BTreeMap<String, Fingerprint>,
}

impl Issued {
    /// Creates a response with a token and no other secrets.
    pub fn new(token: Token) -> Self {
        Self { token, others: BTreeMap::new() }
    }

    /// Sets [`others`](Self::others).
    #[must_use]
    pub fn with_others(self, others: BTreeMap<String, Fingerprint>) -> Self {
        Self { others, ..self }
    }
}
