//! The sink: one secret.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use tokensink_core::{
    Content, Inspection, Preparation, RateLimit, RateLimits, Receipt, SinkError, SinkInfo, Survey,
    TakesEffect, TokenSink, WriteEstimate,
};
use tokensink_http::{Response, shown_host};

use crate::api::{Api, Share};
use crate::config::Limits;
use crate::evidence::WriteTime;
use crate::organization::{self, Visibility};
use crate::sealing::SealingKey;
use crate::target::{App, Scope, Target};
use crate::writer::{SecretWriter, readiness};
use crate::{secret_names, survey};

/// A sink at another host than this one is shown with it.
const PUBLIC_HOST: &str = "api.github.com";

/// Concurrent requests, reads of one endpoint, and writes that GitHub accepts
/// (docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api). There is also an hourly
/// limit on writes, and it is not documented whether secrets count: GitHub's response decides.
const CONCURRENT: usize = 100;
const READS: RateLimit = RateLimit { requests: 900, per: Duration::from_secs(60) };
const WRITES: RateLimit = RateLimit { requests: 80, per: Duration::from_secs(60) };

/// An Enterprise Server has no such limits by default; one that is set there responds with a pause,
/// which the engine keeps to.
const CONCURRENT_WITHOUT_LIMITS: usize = 500;

/// How long a public key is used. It is hardly ever replaced, and a write that is refused because
/// of it fetches the new one.
const KEY_IS_VALID_FOR: Duration = Duration::from_secs(600);

/// The time limit of the check whether the secret exists, which only leads to a warning.
const TIME_FOR_NAMES: Duration = Duration::from_secs(2);

/// A write to an organization secret reads its visibility before and after.
const REQUESTS_OF_AN_ORGANIZATION_WRITE: u32 = 3;

/// One secret of one repository, environment or organization.
#[derive(Debug)]
pub struct GitHubSink {
    info: SinkInfo,
    target: Target,
    api: Share,
    /// The current path of the repository, once it was found.
    owner_path: Mutex<Option<String>>,
    memory: Arc<Memory>,
}

/// Responses that later preparations reuse.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    key: Mutex<Option<KnownKey>>,
    announcements: Mutex<Option<Vec<String>>>,
}

/// The public key for the secrets at `secrets_path`.
#[derive(Clone, Debug)]
pub(crate) struct KnownKey {
    since: Instant,
    pub(crate) secrets_path: String,
    pub(crate) key: SealingKey,
    round_trip: Duration,
}

#[derive(Deserialize)]
struct SecretRecord {
    updated_at: Timestamp,
}

impl Memory {
    pub(crate) fn forget_key(&self) {
        *locked(&self.key) = None;
    }

    /// After a write the secret exists.
    pub(crate) fn forget_announcements(&self) {
        *locked(&self.announcements) = Some(Vec::new());
    }
}

impl GitHubSink {
    pub(crate) fn new(target: Target, api: Arc<Api>) -> Self {
        Self {
            info: info(&target, &api),
            api: Share::of(api, &target),
            target,
            owner_path: Mutex::default(),
            memory: Arc::default(),
        }
    }

    /// The path of the repository or organization, under its current name as far as it is known.
    fn owner_path(&self) -> String {
        locked(&self.owner_path).clone().unwrap_or_else(|| self.target.owner_path())
    }

    fn secrets_path(&self) -> String {
        self.target.secrets_path(&self.owner_path())
    }

    fn secret_path(&self) -> String {
        format!("{}/{}", self.secrets_path(), self.target.secret)
    }

    /// Checks that the repository exists and may be written, and finds its current path.
    async fn check_repository(&self, named: &str) -> Result<Vec<String>, SinkError> {
        let repository = self.api.repository(named).await?;
        repository.refuse_unwritable(self.target.app)?;
        if repository.is_called(named) {
            *locked(&self.owner_path) = Some(self.target.owner_path());
            return Ok(Vec::new());
        }
        *locked(&self.owner_path) = Some(format!("repositories/{}", repository.id));
        Ok(vec![format!("the repository is called {} now", repository.full_name)])
    }

    /// Returns the public key. It is cached, because the plan of a large organization is prepared again
    /// after the user's answer, and fetching all keys twice would use up the hourly quota.
    async fn sealing_key(&self, secrets_path: String) -> Result<KnownKey, SinkError> {
        let known = locked(&self.memory.key).clone();
        // If requests are not counted, fetching the key again keeps the HTTP/1.1 connections open.
        let is_valid = |known: &KnownKey| {
            self.api.is_counted()
                && known.secrets_path == secrets_path
                && known.since.elapsed() < KEY_IS_VALID_FOR
        };
        if let Some(known) = known.filter(is_valid) {
            self.api.check_remaining()?;
            return Ok(known);
        }
        let since = Instant::now();
        let key = self.api.sealing_key(&secrets_path).await?;
        self.api.check_remaining()?;
        let known = KnownKey { since, secrets_path, key, round_trip: since.elapsed() };
        *locked(&self.memory.key) = Some(known.clone());
        Ok(known)
    }

    /// Returns a warning if the secret does not exist yet. The result of the first check is reused.
    async fn announcements(&self, secrets_path: &str) -> Vec<String> {
        if let Some(known) = locked(&self.memory.announcements).clone() {
            return known;
        }
        let announcements = self.look_for_secret(secrets_path).await;
        *locked(&self.memory.announcements) = Some(announcements.clone());
        announcements
    }

    async fn look_for_secret(&self, secrets_path: &str) -> Vec<String> {
        let secret = &self.target.secret;
        let sinks = self.api.sinks();
        if !self.api.can_spare(sinks) {
            let warning = format!(
                "not checked which of the secrets of {sinks} sinks exist: too few requests are left \
                 to the GitHub token for the hour"
            );
            let reports = sinks > 1 && self.api.reports_for_all(&self.target.owner_path());
            return Vec::from_iter(reports.then_some(warning));
        }
        let listed = secret_names::list(&self.api, secrets_path);
        let reason = match tokio::time::timeout(TIME_FOR_NAMES, listed).await {
            Ok(Ok(names)) if secret_names::contains(&names, secret) => return Vec::new(),
            Ok(Ok(names)) => {
                let suggestion = secret_names::similar(&names, secret).map(|similar| {
                    format!("; set `secret = \"{similar}\"` if you meant the existing {similar}")
                });
                return vec![format!(
                    "the secret {secret} does not exist yet and will be created{}",
                    suggestion.unwrap_or_default()
                )];
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no response within {TIME_FOR_NAMES:?}"),
        };
        vec![format!("not checked whether the secret {secret} exists: {reason}")]
    }

    async fn prepare_repository(&self, named: &str) -> Result<Preparation, SinkError> {
        let mut warnings = self.check_repository(named).await?;
        let secrets_path = self.secrets_path();
        let (key, announcements) = futures::join!(
            self.sealing_key(secrets_path.clone()),
            self.announcements(&secrets_path)
        );
        warnings.extend(announcements);
        let key = key?;
        let estimate = WriteEstimate::one_request(key.round_trip)
            .with_shared_place(self.target.shared_place());
        Ok(self.preparation(key, estimate).with_warnings(warnings))
    }

    async fn prepare_organization(&self) -> Result<Preparation, SinkError> {
        let secrets_path = self.secrets_path();
        // The write reads the visibility again, because it can change until then.
        if let Err(error) = Visibility::read(&self.api, &self.secret_path()).await {
            let secret = &self.target.secret;
            return Err(
                organization::explain_missing(error, &self.api, &secrets_path, secret).await
            );
        }
        let key = self.sealing_key(secrets_path).await?;
        let mut estimate = WriteEstimate::one_request(key.round_trip);
        estimate.requests = REQUESTS_OF_AN_ORGANIZATION_WRITE;
        Ok(self.preparation(key, estimate))
    }

    fn preparation(&self, key: KnownKey, estimate: WriteEstimate) -> Preparation {
        let (api, memory) = (self.api.api(), Arc::clone(&self.memory));
        let writer = SecretWriter::new(api, self.target.clone(), key, memory);
        Preparation::new(Box::new(writer), estimate).with_readiness(readiness())
    }

    /// Requests the secret's document under the current name of its repository.
    async fn record(&self, action: &str) -> Result<Response, SinkError> {
        let response = self.api.send(Method::GET, &self.secret_path(), None, action).await?;
        match &self.target.scope {
            Scope::Repository { repository, .. } if response.status.is_redirection() => {
                self.check_repository(repository).await?;
                self.api.send(Method::GET, &self.secret_path(), None, action).await
            }
            _ => Ok(response),
        }
    }
}

#[async_trait]
impl TokenSink for GitHubSink {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    async fn prepare(&self) -> Result<Preparation, SinkError> {
        match &self.target.scope {
            Scope::Repository { repository, .. } => self.prepare_repository(repository).await,
            Scope::Organization(_) => self.prepare_organization().await,
        }
    }

    async fn inspect(&self, last: Option<&Receipt>) -> Result<Inspection, SinkError> {
        let action = "read when the secret was written";
        let response = self.record(action).await?;
        self.api.note_inspection();
        let written = last.and_then(WriteTime::recorded);
        if response.status == StatusCode::NOT_FOUND {
            let content = written.map(|time| time.content_without_secret(&response));
            return Ok(content.unwrap_or(Content::Absent).into());
        }
        if !response.status.is_success() {
            return Err(self.api.refusal(action, &response).await);
        }
        let record: SecretRecord = response.document(action)?;
        let content = match written {
            Some(time) => time.content_at(record.updated_at),
            None => Content::Unknown { reason: "GitHub does not show values".to_owned() },
        };
        Ok(content.into())
    }

    async fn survey(&self) -> Result<Survey, SinkError> {
        if let Scope::Repository { repository, environment: None } = &self.target.scope
            && self.target.app == App::Actions
            && locked(&self.owner_path).is_none()
        {
            self.check_repository(repository).await?;
        }
        survey::closer_secrets(&self.api, &self.target, &self.owner_path()).await
    }
}

fn info(target: &Target, api: &Api) -> SinkInfo {
    let takes_effect = match target.app {
        App::Actions | App::Dependabot => TakesEffect::OnNextRun,
        App::Codespaces => TakesEffect::OnRestart,
    };
    let info = SinkInfo::new(target.id(api.host()), target.to_string(), takes_effect)
        .with_rate_limits(rate_limits(api));
    let host = shown_host(&api.base);
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

fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
