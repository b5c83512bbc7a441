//! Writes a secret: with one request for a secret of a repository, three for one of an organization.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value};
use tokensink_core::{Readiness, Receipt, SinkError, Token, TokenWriter};
use tokensink_http::Response;
use tokio::time::{Instant, timeout_at};

use crate::api::Api;
use crate::evidence::WriteTime;
use crate::organization::Visibility;
use crate::sealing::Envelope;
use crate::sink::{KnownKey, Memory};
use crate::target::{App, Scope, Target};

/// The maximum number of writes of an organization secret whose visibility changes during the write.
const MAX_VISIBILITIES: usize = 3;

/// The readiness of every sink. A write that changes nothing is not possible, because the current value
/// cannot be read.
pub(crate) fn readiness() -> Readiness {
    Readiness::Unknown { reason: "only a write proves the permission at GitHub".to_owned() }
}

/// A writer whose public key and encryption are prepared for a token.
#[derive(Debug)]
pub(crate) struct SecretWriter {
    api: Arc<Api>,
    target: Target,
    key: KnownKey,
    /// The envelope for the first write. Later writes create a new one.
    envelope: Mutex<Option<Envelope>>,
    memory: Arc<Memory>,
}

impl SecretWriter {
    pub(crate) fn new(api: Arc<Api>, target: Target, key: KnownKey, memory: Arc<Memory>) -> Self {
        let envelope = Mutex::new(Some(key.key.envelope()));
        Self { api, target, key, envelope, memory }
    }

    fn secret_path(&self) -> String {
        format!("{}/{}", self.key.secrets_path, self.target.secret)
    }

    /// Writes `token` with additional `fields` and returns the acknowledgement.
    async fn put(&self, token: &Token, fields: Map<String, Value>) -> Result<Response, SinkError> {
        let mut response = self.put_once(self.envelope(), token, fields.clone()).await?;
        if response.status == StatusCode::UNPROCESSABLE_ENTITY {
            // The key was replaced after it was fetched.
            let key = self.api.sealing_key(&self.key.secrets_path).await?;
            response = self.put_once(key.envelope(), token, fields).await?;
        }
        if [StatusCode::CREATED, StatusCode::NO_CONTENT].contains(&response.status) {
            self.memory.forget_announcements();
            return Ok(response);
        }
        self.memory.forget_key();
        Err(self.api.refusal("write the secret", &response).await)
    }

    async fn put_once(
        &self,
        envelope: Envelope,
        token: &Token,
        mut body: Map<String, Value>,
    ) -> Result<Response, SinkError> {
        let sealed = envelope.seal(token)?;
        body.insert("encrypted_value".to_owned(), Value::String(sealed.encrypted_value));
        body.insert("key_id".to_owned(), Value::String(sealed.key_id));
        let body = Value::Object(body);
        self.api.send(Method::PUT, &self.secret_path(), Some(&body), "write the secret").await
    }

    fn envelope(&self) -> Envelope {
        let ready = self.envelope.lock().unwrap_or_else(PoisonError::into_inner).take();
        ready.unwrap_or_else(|| self.key.key.envelope())
    }

    /// Writes `token` with the current visibility, and reads the visibility again afterwards.
    ///
    /// GitHub has no write that keeps the visibility, so a concurrent change can be overwritten between
    /// the read and the write, or be missing in a lagging read. If the visibility differs after the
    /// write, an administrator has changed it, and the write is repeated with the new one.
    async fn write_to_organization(&self, app: App, token: &Token) -> Result<Receipt, SinkError> {
        let deadline = Instant::now() + self.time_for_confirmation();
        let path = self.secret_path();
        let mut sent = Vec::new();
        let mut visibility = Visibility::read(&self.api, &path).await?;
        loop {
            let receipt = receipt(&self.put(token, visibility.fields(app)).await?);
            let shown = match timeout_at(deadline, Visibility::read(&self.api, &path)).await {
                Ok(Ok(shown)) => shown,
                Ok(Err(error)) => {
                    return Ok(receipt.with(
                        Receipt::WARNING,
                        format!("cannot confirm the visibility: {error}"),
                    ));
                }
                Err(_) => {
                    return Ok(receipt.with(
                        Receipt::WARNING,
                        "cannot confirm the visibility: no response in time",
                    ));
                }
            };
            sent.push(visibility);
            if sent.contains(&shown) {
                return Ok(match &sent[..] {
                    [.., before, last] => receipt.with(
                        Receipt::WARNING,
                        format!(
                            "its visibility was changed from {before} to {last} during the write"
                        ),
                    ),
                    _ => receipt,
                });
            }
            if sent.len() == MAX_VISIBILITIES {
                return Err(SinkError::conflict(
                    "the visibility of the organization secret changes at every write",
                ));
            }
            visibility = shown;
        }
    }

    /// Returns the time for the confirmation. The engine drops the write after the timeout of one
    /// request.
    fn time_for_confirmation(&self) -> Duration {
        self.api.timeout().mul_f64(0.8)
    }
}

#[async_trait]
impl TokenWriter for SecretWriter {
    async fn prove(&self) -> Result<Readiness, SinkError> {
        Ok(readiness())
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        match self.target.scope {
            Scope::Repository { .. } => Ok(receipt(&self.put(token, Map::new()).await?)),
            Scope::Organization(_) => self.write_to_organization(self.target.app, token).await,
        }
    }
}

fn receipt(response: &Response) -> Receipt {
    let receipt = Receipt::default();
    match WriteTime::of(response) {
        Some(time) => time.record(receipt),
        None => receipt,
    }
}
