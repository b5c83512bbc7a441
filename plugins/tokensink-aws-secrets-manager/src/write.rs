//! The write: one request, with a version id that makes a repeat of it a no-op.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use tokensink_core::{Readiness, Receipt, SinkError, Token, TokenWriter};

use crate::client::Account;
use crate::sink::{Held, OurWrite, overlooked};
use crate::value::Shape;

/// The lengths that a ClientRequestToken may have.
const TOKEN_LENGTHS: std::ops::RangeInclusive<usize> = 32..=64;

/// A new version of a secret that is there.
pub(crate) struct Put {
    pub(crate) account: Arc<Account>,
    pub(crate) secret_id: String,
    pub(crate) arn: String,
    pub(crate) shape: Shape,
    pub(crate) create: bool,
    /// What the token is merged into; `None` where it may not be read or is not there.
    pub(crate) base: Option<Held>,
    /// The version that was current, readable or not; empty where there is none.
    pub(crate) follows: String,
    /// The version at AWSPREVIOUS: it tells this write from an earlier one of the same token over the
    /// same version, which somebody took back.
    pub(crate) previous: String,
    pub(crate) ours: Arc<Mutex<Option<OurWrite>>>,
    /// What this preparation wrote last.
    pub(crate) written: Mutex<Option<OurWrite>>,
}

/// A secret that is not there yet.
#[derive(Debug)]
pub(crate) struct Create {
    pub(crate) account: Arc<Account>,
    pub(crate) secret_id: String,
    pub(crate) shape: Shape,
}

impl Put {
    async fn put(&self, version: &str, value: &str) -> Result<(), SinkError> {
        let request = self.account.client().await.put_secret_value();
        let request =
            request.secret_id(&self.secret_id).client_request_token(version).secret_string(value);
        let sent = request.send().await;
        sent.map_err(|error| self.account.explain("put the secret's value", &error))?;
        Ok(())
    }

    fn wrote_before(&self) -> bool {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Whether the value that the token is merged into was found, since it was read, to lack what
    /// somebody else wrote.
    fn lacks_theirs(&self) -> bool {
        let Some(base) = self.base.as_ref().filter(|base| !base.is_theirs) else { return false };
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        ours.as_ref().is_some_and(|ours| ours.lacks_theirs && ours.version == base.version)
    }

    /// The version that this write follows: a repeat follows what it followed before, and another
    /// token follows our own last version, which is nobody else's doing.
    fn base_of(&self, value: &str) -> String {
        match &*self.written.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(ours) if self.version_over(&ours.base, value) == ours.version => ours.base.clone(),
            Some(ours) => ours.version.clone(),
            None => self.follows.clone(),
        }
    }

    /// The id of the version that holds `value` and follows `base`.
    fn version_over(&self, base: &str, value: &str) -> String {
        request_token(&[&self.arn, &self.previous, base, value])
    }
}

/// The same for the same write, another one for every other: a later `sync` must not find the
/// version of an earlier one.
fn request_token(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl std::fmt::Debug for Put {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Put").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenWriter for Put {
    /// Puts the current value under its own version id, which AWS documents as a no-op, also when
    /// a newer version was written since.
    async fn prove(&self) -> Result<Readiness, SinkError> {
        let Some(base) = &self.base else { return Ok(unproven()) };
        // A base that was merged from another program's version is not the value of its version id.
        if self.wrote_before() || !TOKEN_LENGTHS.contains(&base.version.len()) {
            return Ok(unproven());
        }
        self.put(&base.version, &base.value).await?;
        Ok(Readiness::Ready)
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        if self.lacks_theirs() {
            return Err(overlooked());
        }
        let current = self.base.as_ref().map_or("", |base| base.value.as_str());
        let value = self.shape.merged(current, token, self.create)?;
        let base = self.base_of(&value);
        let version = self.version_over(&base, &value);
        self.put(&version, &value).await?;
        let ours = OurWrite { version: version.clone(), base: base.clone(), lacks_theirs: false };
        if self.base.is_some() {
            *self.ours.lock().unwrap_or_else(PoisonError::into_inner) = Some(ours.clone());
        }
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(ours);
        Ok(Receipt::default().with("version", version).with("base", base))
    }
}

#[async_trait]
impl TokenWriter for Create {
    async fn prove(&self) -> Result<Readiness, SinkError> {
        Ok(unproven())
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        let value = self.shape.merged("", token, true)?;
        let version = request_token(&[&self.secret_id, "", &value]);
        let request = self.account.client().await.create_secret();
        let request = request
            .name(&self.secret_id)
            .client_request_token(&version)
            .secret_string(value.as_str());
        request.send().await.map_err(|error| self.account.explain("create the secret", &error))?;
        Ok(Receipt::default().with("version", version))
    }
}

pub(crate) fn unproven() -> Readiness {
    Readiness::Unknown { reason: "only a write proves that AWS permits it".to_owned() }
}
