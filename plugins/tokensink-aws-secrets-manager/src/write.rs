//! Writes a secret with one request. Its version id makes a repeated request a no-op.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokensink_core::{Readiness, Receipt, SinkError, Token, TokenWriter};

use crate::client::Account;
use crate::sink::{Held, OurWrite, external_write_lost};
use crate::value::Shape;

/// The permitted lengths of a ClientRequestToken.
const TOKEN_LENGTHS: std::ops::RangeInclusive<usize> = 32..=64;

/// Writes a new version of an existing secret.
pub(crate) struct Put {
    pub(crate) account: Arc<Account>,
    pub(crate) secret_id: String,
    pub(crate) arn: String,
    pub(crate) shape: Shape,
    pub(crate) create: bool,
    /// The value that the token is merged into. `None` if it may not be read or does not exist.
    pub(crate) base: Option<Held>,
    /// The current version, also if it may not be read. Empty if there is none.
    pub(crate) follows: String,
    /// The version at AWSPREVIOUS. It distinguishes this write from an earlier one of the same token over
    /// the same version that was undone in the meantime.
    pub(crate) previous: String,
    pub(crate) ours: Arc<Mutex<Option<OurWrite>>>,
    /// The last write of this preparation.
    pub(crate) written: Mutex<Option<OurWrite>>,
}

/// Creates a secret.
#[derive(Debug)]
pub(crate) struct Create {
    pub(crate) account: Arc<Account>,
    pub(crate) secret_id: String,
    pub(crate) shape: Shape,
}

impl Put {
    async fn put(&self, version: &str, value: &str) -> Result<(), SinkError> {
        let request = self.account.client().await?.put_secret_value();
        let request =
            request.secret_id(&self.secret_id).client_request_token(version).secret_string(value);
        let sent = request.send().await;
        sent.map_err(|error| self.account.explain("put the secret's value", &error))?;
        Ok(())
    }

    fn wrote_before(&self) -> bool {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Returns whether an inspection found that our write has overwritten an external one after the base
    /// was read.
    fn lost_external_write(&self) -> bool {
        let Some(base) = self.base.as_ref().filter(|base| !base.is_external) else { return false };
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        ours.as_ref().is_some_and(|ours| ours.lost_external_write && ours.version == base.version)
    }

    /// Returns the version that this write follows. A repeated write follows the same version as before,
    /// and a write of another token follows our last version.
    fn base_of(&self, token: &Token) -> String {
        match &*self.written.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(ours) if self.version_over(&ours.base, token) == ours.version => ours.base.clone(),
            Some(ours) => ours.version.clone(),
            None => self.follows.clone(),
        }
    }

    /// Returns the id of the version that contains `token` and follows `base`.
    fn version_over(&self, base: &str, token: &Token) -> String {
        let source = self.base.as_ref().map_or("", |base| base.version.as_str());
        let is_external = self.base.as_ref().is_some_and(|base| base.is_external);
        // If the base is an external version, that version is `previous`.
        let merged = if is_external { "merged" } else { "" };
        let mut parts = vec![self.arn.as_str(), &self.previous, base, source, merged];
        parts.extend(self.shape.keys().iter().map(String::as_str));
        request_token(token, &parts)
    }
}

/// Returns the id of a write. A repeated write has the same id, also in a later process, and every other
/// write has another one.
///
/// Version ids are visible to everyone who may describe the secret, and in CloudTrail, so the id must not
/// reveal anything about the value. The value is the content of an earlier version with the token put into
/// it. The content of a version never changes, so the version's id identifies it, and the other keys of
/// the secret are not needed here. The id is therefore an HMAC of public ids whose key is the token itself.
/// A token has too much entropy to be guessed, and a process that repeats the write has the token, so no
/// other secret has to be stored for it.
fn request_token(token: &Token, parts: &[&str]) -> String {
    let mut mac = match Hmac::<Sha256>::new_from_slice(token.expose().as_bytes()) {
        Ok(mac) => mac,
        Err(_) => unreachable!("an HMAC accepts a key of any length"),
    };
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl std::fmt::Debug for Put {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Put").field("secret_id", &self.secret_id).finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenWriter for Put {
    /// Puts the current value under its own version id. AWS documents this as a no-op, also if a newer
    /// version was written in the meantime.
    async fn prove(&self) -> Result<Readiness, SinkError> {
        let Some(base) = &self.base else { return Ok(unproven()) };
        // An external base is not the value of the current version id.
        if self.wrote_before() || !TOKEN_LENGTHS.contains(&base.version.len()) {
            return Ok(unproven());
        }
        self.put(&base.version, &base.value).await?;
        Ok(Readiness::Ready)
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        if self.lost_external_write() {
            return Err(external_write_lost());
        }
        let current = self.base.as_ref().map_or("", |base| base.value.as_str());
        let value = self.shape.merged(current, token, self.create)?;
        let base = self.base_of(token);
        let version = self.version_over(&base, token);
        self.put(&version, &value).await?;
        let ours =
            OurWrite { version: version.clone(), base: base.clone(), lost_external_write: false };
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
        let mut parts = vec![self.secret_id.as_str()];
        parts.extend(self.shape.keys().iter().map(String::as_str));
        let version = request_token(token, &parts);
        let request = self.account.client().await?.create_secret();
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
