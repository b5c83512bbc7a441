//! Where the token comes from.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;

use crate::{Fingerprint, IssuerError, ResetError, Token};

/// Where the live token is read. `Display` names the QStash for people; it shows no secret.
#[async_trait]
pub trait TokenSource: fmt::Display + fmt::Debug + Send + Sync {
    /// Returns the live token, as far as the service's management API knows. May lag behind a
    /// reset.
    async fn current(&self) -> Result<Issued, IssuerError>;

    /// Returns whether QStash itself accepts this token.
    async fn accepts(&self, token: &Token) -> Result<bool, IssuerError>;
}

/// A source whose token can be replaced.
#[async_trait]
pub trait TokenIssuer: TokenSource {
    /// Resets the token. The old one is revoked the moment this takes effect, and the service has
    /// no idempotency key: sent at most once, unless [`ResetError::NotSent`] says that it never
    /// left.
    async fn reset(&self) -> Result<Issued, ResetError>;
}

/// What the service shows of an account.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Issued {
    /// The token that publishes messages.
    pub token: Token,
    /// Fingerprints of the other secrets in the same response, by field name: a reset that changes
    /// them too is reported.
    pub others: BTreeMap<String, Fingerprint>,
}

impl Issued {
    /// A token without other secrets beside it.
    pub fn new(token: Token) -> Self {
        Self { token, others: BTreeMap::new() }
    }

    /// Sets [`others`](Self::others).
    #[must_use]
    pub fn with_others(self, others: BTreeMap<String, Fingerprint>) -> Self {
        Self { others, ..self }
    }
}
