//! Requests to the GitHub REST API, with one credential. Shared by all sinks that use it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use reqwest::{Client, Method, Url};
use serde::Deserialize;
use serde_json::Value;
use tokensink_core::SinkError;
use tokensink_http::{Answer, build_client};

use crate::config::Limits;
use crate::credential::Credential;
use crate::failure::{header, refused, unanswered};
use crate::sealing::SealingKey;

/// Requests that one sink may still send after its preparation: a write, one with a new key, and
/// an inspection or two.
const REQUESTS_TO_COME: usize = 4;

/// One GitHub, one credential.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) base: Url,
    pub(crate) credential: Credential,
    pub(crate) limits: Limits,
    /// How many sinks share it.
    pub(crate) sinks: AtomicUsize,
    client: OnceLock<Client>,
    timeout: Duration,
}

#[derive(Deserialize)]
struct PublicKeyAnswer {
    key_id: String,
    key: String,
}

impl Api {
    pub(crate) fn new(
        base: Url,
        credential: Credential,
        timeout: Duration,
        limits: Limits,
    ) -> Self {
        let (sinks, client) = (AtomicUsize::new(0), OnceLock::new());
        Self { base, credential, limits, sinks, client, timeout }
    }

    /// Sends one request and returns the answer, whatever its status.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        doing: &str,
    ) -> Result<Answer, SinkError> {
        let url = self.base.join(path).map_err(|error| {
            SinkError::other(format!("could not {doing}: no URL comes of `{path}`")).because(error)
        })?;
        let authorization = self.credential.header(self.timeout).await?;
        let mut request = self
            .client()?
            .request(method, url)
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/vnd.github+json")
            // Understood by github.com and by older Enterprise Servers alike.
            .header("X-GitHub-Api-Version", "2022-11-28");
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::to(request).await.map_err(|failure| unanswered(doing, failure))
    }

    /// A GET that must succeed.
    pub(crate) async fn get(&self, path: &str, doing: &str) -> Result<Answer, SinkError> {
        let answer = self.send(Method::GET, path, None, doing).await?;
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(self.refusal(doing, &answer).await)
        }
    }

    /// What an answer that is no success means, without the credential in it.
    pub(crate) async fn refusal(&self, doing: &str, answer: &Answer) -> SinkError {
        match self.credential.secret(self.timeout).await {
            Ok(secret) => refused(doing, answer, &[secret]),
            Err(_) => refused(doing, answer, &[]),
        }
    }

    /// The key for the secrets at `secrets_path`.
    pub(crate) async fn sealing_key(&self, secrets_path: &str) -> Result<SealingKey, SinkError> {
        let doing = "fetch the public key";
        let answer = self.get(&format!("{secrets_path}/public-key"), doing).await?;
        self.check_remaining(&answer)?;
        let unusable = |why: &str| SinkError::other(format!("could not {doing}: {why}"));
        let key: PublicKeyAnswer =
            answer.json().map_err(|_| unusable("the answer is not what is documented"))?;
        let bytes = STANDARD.decode(&key.key).map_err(|_| unusable("it is no base64"))?;
        let length = bytes.len();
        let bytes: [u8; 32] =
            bytes.try_into().map_err(|_| unusable(&format!("it has {length} bytes, not 32")))?;
        Ok(SealingKey::new(key.key_id, bytes))
    }

    /// Refuses to go on when the hourly quota would not last until the end.
    fn check_remaining(&self, answer: &Answer) -> Result<(), SinkError> {
        let remaining = header(answer, "x-ratelimit-remaining").and_then(|text| text.parse().ok());
        let needed = REQUESTS_TO_COME * self.sinks.load(Ordering::Relaxed);
        match remaining {
            Some(remaining) if needed > remaining => Err(SinkError::denied(format!(
                "{remaining} requests are left to this GitHub token for the hour, and {needed} may be needed"
            ))
            .advise("try again when the hour is over, or use an organization secret")),
            _ => Ok(()),
        }
    }

    fn client(&self) -> Result<&Client, SinkError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = build_client(self.timeout)
            .map_err(|error| SinkError::other("could not start a client").because(error))?;
        Ok(self.client.get_or_init(|| client))
    }
}
