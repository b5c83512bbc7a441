//! The sink: one secret, prepared with its key at hand, written with one request.

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokensink_core::{
    Content, Inspection, Preparation, RateLimit, RateLimits, Readiness, Receipt, SinkError,
    SinkInfo, Survey, TakesEffect, TargetId, Token, TokenSink, TokenWriter, WriteEstimate,
};
use tokensink_http::{Response, server_time};

use crate::api::{Api, Share};
use crate::config::Limits;
use crate::sealing::{Envelope, SealingKey};
use crate::target::{App, Scope, Target};
use crate::{environments, organization};

/// A sink at this host is shown without it.
const PUBLIC_HOST: &str = "api.github.com";

/// Requests under way at once, reads of one endpoint and writes, that GitHub lets in
/// (docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api). There is also an hourly
/// limit on writes, of which it is not said whether secrets count: GitHub's own answer decides.
const CONCURRENT: usize = 100;
const READS: RateLimit = RateLimit { requests: 900, per: Duration::from_secs(60) };
const WRITES: RateLimit = RateLimit { requests: 80, per: Duration::from_secs(60) };

/// An Enterprise Server has no such limit of its own; one that is set there is answered with a
/// pause, which the coordinator keeps to.
const CONCURRENT_WITHOUT_LIMITS: usize = 500;

/// From the answer's `Date` to our own `updated_at`, in seconds. It is taken while the request is
/// carried out, so before the `Date`; but it has whole seconds, and nowhere is it said that they are
/// not rounded up. A stranger's write within one second after ours cannot be told from it.
const OUR_SECONDS: RangeInclusive<i64> = -2..=1;

/// How long a public key is taken for GitHub's own. It is hardly ever replaced, and a write that
/// is refused for it fetches the new one.
const KEY_HOLDS_FOR: Duration = Duration::from_secs(600);

/// Requests that a sink sends after its preparation: where it was the first one, the coordinator
/// looks at the secret before the write; after the write it always does.
const TO_COME_AT_FIRST: usize = 3;
const TO_COME: usize = 2;

/// One secret of one repository, environment or organization.
#[derive(Debug)]
pub struct GitHubSink {
    info: SinkInfo,
    target: Target,
    api: Share,
    /// Where the repository is now, if it was renamed.
    moved_to: Mutex<Option<String>>,
    key: Arc<Mutex<Option<Known>>>,
}

/// A public key, from an earlier preparation.
#[derive(Clone, Debug)]
struct Known {
    since: Instant,
    secrets_path: String,
    key: SealingKey,
    round_trip: Duration,
}

#[derive(Deserialize)]
struct SecretRecord {
    updated_at: Timestamp,
}

impl GitHubSink {
    pub(crate) fn new(target: Target, host: &str, api: Arc<Api>) -> Self {
        let info = sink_info(&target, host, &api);
        let (moved_to, key) = (Mutex::default(), Arc::default());
        let api = Share::of(api, &target);
        Self { info, target, api, moved_to, key }
    }

    /// The path of the repository or organization, whatever it is called now.
    fn owner_path(&self) -> String {
        let moved = self.moved_to.lock().unwrap_or_else(PoisonError::into_inner).clone();
        moved.unwrap_or_else(|| self.target.owner_path())
    }

    fn secrets_path(&self) -> String {
        self.target.secrets_path(&self.owner_path())
    }

    fn secret_path(&self) -> String {
        format!("{}/{}", self.secrets_path(), self.target.secret)
    }

    /// Sees that the repository is there and may be written, and where it is now.
    async fn check_repository(&self, named: &str) -> Result<Vec<String>, SinkError> {
        let repository = self.api.repository(named).await?;
        repository.refuse_unwritable(self.target.app)?;
        if repository.is_called(named) {
            return Ok(Vec::new());
        }
        let by_id = format!("repositories/{}", repository.id);
        *self.moved_to.lock().unwrap_or_else(PoisonError::into_inner) = Some(by_id);
        Ok(vec![format!("it is called {} now", repository.full_name)])
    }

    /// The key that seals: a person who thought for a while must not cost a large organization the
    /// quota of the hour.
    async fn sealing_key(&self, secrets_path: String) -> Result<Known, SinkError> {
        let known = self.key.lock().unwrap_or_else(PoisonError::into_inner).clone();
        // Where nothing is counted asking costs nothing, and keeps each HTTP/1.1 connection alive.
        let holds = |known: &Known| {
            self.api.is_counted()
                && known.secrets_path == secrets_path
                && known.since.elapsed() < KEY_HOLDS_FOR
        };
        if let Some(known) = known.filter(holds) {
            self.api.check_remaining(TO_COME)?;
            return Ok(known);
        }
        let since = Instant::now();
        let key = self.api.sealing_key(&secrets_path).await?;
        self.api.check_remaining(TO_COME_AT_FIRST)?;
        let known = Known { since, secrets_path, key, round_trip: since.elapsed() };
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(known)
    }
}

fn sink_info(target: &Target, host: &str, api: &Api) -> SinkInfo {
    let id = TargetId::new("github-actions", target.identity(host));
    let takes_effect = match target.app {
        App::Actions | App::Dependabot => TakesEffect::OnNextRun,
        App::Codespaces => TakesEffect::OnRestart,
    };
    let info =
        SinkInfo::new(id, target.to_string(), takes_effect).with_rate_limits(rate_limits(api));
    if host == PUBLIC_HOST { info } else { info.with_host(host) }
}

fn rate_limits(api: &Api) -> RateLimits {
    let Api { base, limits, credential, .. } = api;
    let key = format!("github-actions {base} {} {limits:?}", credential.origin());
    match limits {
        Limits::GitHubCom => {
            RateLimits::concurrent(key, CONCURRENT).with_reads(READS).with_writes(WRITES)
        }
        Limits::None => RateLimits::concurrent(key, CONCURRENT_WITHOUT_LIMITS),
    }
}

fn readiness() -> Readiness {
    Readiness::Unknown { reason: "only a write proves the permission at GitHub".to_owned() }
}

#[async_trait]
impl TokenSink for GitHubSink {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    async fn prepare(&self) -> Result<Preparation, SinkError> {
        let mut warnings = Vec::new();
        let mut extra = Map::new();
        match &self.target.scope {
            Scope::Repository { repository, .. } => {
                warnings.extend(self.check_repository(repository).await?);
            }
            Scope::Organization(_) => {
                let app = self.target.app;
                extra = organization::visibility(&self.api, &self.secret_path(), app).await?;
            }
        }
        let known = self.sealing_key(self.secrets_path()).await?;
        let estimate = WriteEstimate::one_request(known.round_trip)
            .with_shared_place(self.target.shared_place());
        let writer = Prepared {
            api: self.api.api(),
            secret: self.target.secret.clone(),
            envelope: Mutex::new(Some(known.key.envelope())),
            known,
            remembered: Arc::clone(&self.key),
            extra,
        };
        Ok(Preparation::new(Box::new(writer), estimate)
            .with_readiness(readiness())
            .with_warnings(warnings))
    }

    async fn inspect(&self, last: Option<&Receipt>) -> Result<Inspection, SinkError> {
        let doing = "see when the secret was written";
        let answer = self.api.send(Method::GET, &self.secret_path(), None, doing).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(Content::Absent.into());
        }
        if !answer.status.is_success() {
            return Err(self.api.refusal(doing, &answer).await);
        }
        let record: SecretRecord = answer.json().map_err(|_| {
            SinkError::other(format!("could not {doing}: the answer is not what is documented"))
        })?;
        let written = last.and_then(|last| last.get("written_at")?.parse::<i64>().ok());
        let Some(written) = written else {
            let reason = "GitHub does not show values".to_owned();
            return Ok(Content::Unknown { reason }.into());
        };
        let later = record.updated_at.as_second() - written;
        Ok(if OUR_SECONDS.contains(&later) {
            Content::UnchangedSinceOurWrite.into()
        } else {
            Content::ChangedSinceOurWrite.into()
        })
    }

    async fn survey(&self) -> Result<Survey, SinkError> {
        let Scope::Repository { repository, environment: None } = &self.target.scope else {
            return Ok(Survey::default());
        };
        if self.target.app != App::Actions {
            return Ok(Survey::default());
        }
        self.check_repository(repository).await?;
        let owner_path = self.owner_path();
        let warnings = environments::warnings(&self.api, &self.target, repository, &owner_path);
        Ok(Survey::new(Vec::new(), warnings.await))
    }
}

/// A secret whose key is at hand, and whose box lacks nothing but the token.
#[derive(Debug)]
struct Prepared {
    api: Arc<Api>,
    secret: String,
    known: Known,
    /// The sink's, to be forgotten when a write fails.
    remembered: Arc<Mutex<Option<Known>>>,
    /// For the first write; another one is sealed from the key.
    envelope: Mutex<Option<Envelope>>,
    /// What the PUT must repeat beside the value.
    extra: Map<String, Value>,
}

impl Prepared {
    async fn put(&self, envelope: Envelope, token: &Token) -> Result<Response, SinkError> {
        let sealed = envelope.seal(token)?;
        let mut body = self.extra.clone();
        body.insert("encrypted_value".to_owned(), Value::String(sealed.encrypted_value));
        body.insert("key_id".to_owned(), Value::String(sealed.key_id));
        let path = format!("{}/{}", self.known.secrets_path, self.secret);
        self.api.send(Method::PUT, &path, Some(&Value::Object(body)), "put the secret").await
    }

    fn envelope(&self) -> Envelope {
        let ready = self.envelope.lock().unwrap_or_else(PoisonError::into_inner).take();
        ready.unwrap_or_else(|| self.known.key.envelope())
    }
}

#[async_trait]
impl TokenWriter for Prepared {
    /// GitHub has no write that changes nothing: a value cannot be read, and so not repeated.
    async fn prove(&self) -> Result<Readiness, SinkError> {
        Ok(readiness())
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        let mut answer = self.put(self.envelope(), token).await?;
        if answer.status == StatusCode::UNPROCESSABLE_ENTITY {
            // The key was rotated since it was fetched.
            let key = self.api.sealing_key(&self.known.secrets_path).await?;
            answer = self.put(key.envelope(), token).await?;
        }
        if ![StatusCode::CREATED, StatusCode::NO_CONTENT].contains(&answer.status) {
            *self.remembered.lock().unwrap_or_else(PoisonError::into_inner) = None;
            return Err(self.api.refusal("put the secret", &answer).await);
        }
        let at = server_time(&answer.headers).and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let receipt = Receipt::default();
        Ok(match at {
            Some(at) => receipt.with("written_at", at.as_secs().to_string()),
            None => receipt,
        })
    }
}
