//! Where the token comes from.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;

use crate::{Fingerprint, IssuerError, ResetError, Token};

/// The service that issues the token. `Display` names the QStash for people; it shows no secret.
#[async_trait]
pub trait TokenIssuer: fmt::Display + fmt::Debug + Send + Sync {
    /// The live token, as far as the service's management API knows. May lag behind a reset.
    async fn current(&self) -> Result<Issued, IssuerError>;

    /// Resets the token. The old one is dead the moment this takes effect, and the service has no
    /// idempotency key: sent at most once, unless [`ResetError::NotSent`] says that it never left.
    async fn reset(&self) -> Result<Issued, ResetError>;

    /// Whether QStash itself lets this token in.
    async fn accepts(&self, token: &Token) -> Result<bool, IssuerError>;
}

/// What the issuer shows of an account.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The token that publishes messages.
    pub token: Token,
    /// Fingerprints of the other secrets in the same answer, by field name: a reset that changes
    /// them too is reported.
    pub others: BTreeMap<String, Fingerprint>,
}
