//! Sends requests to the GitHub REST API with one credential, for all sinks that use it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION};
use reqwest::{Client, Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokensink_core::SinkError;
use tokensink_http::{Response, build_client, exchange};
use tokio::sync::Semaphore;

use crate::config::Limits;
use crate::credential::Credential;
use crate::failure::{header, refused, until_renewal, without_response};
use crate::listing::Owner;
use crate::repository::{self, Repository};
use crate::sealing::SealingKey;
use crate::survey;
use crate::target::{Scope, Target};

/// Servers accept one or two hundred concurrent requests on one HTTP/2 connection. A request above that
/// number waits for a whole round trip.
const SINKS_PER_CONNECTION: usize = 150;
const MAX_CONNECTIONS: usize = 8;

/// The number of path segments that identify a repository: `repos`, the owner and the name.
const OWNER_SEGMENTS: usize = 3;

/// Each sink writes its secret and inspects it afterwards.
const REQUESTS_AFTER_PLAN: usize = 2;

/// A second write is expected for one out of this many sinks.
const SINKS_PER_RETRY: usize = 2;

/// A client for one GitHub with one credential.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) base: Url,
    pub(crate) credential: Credential,
    pub(crate) limits: Limits,
    /// The number of sinks that share this API.
    sinks: AtomicUsize,
    /// The number of sinks that were inspected at least once.
    inspected: AtomicUsize,
    owners: Mutex<BTreeMap<String, Arc<Owner>>>,
    /// The path of the sink that reports warnings for all sinks.
    reporter: OnceLock<String>,
    /// The requests left in the hour, according to the last response.
    remaining: AtomicUsize,
    /// The end of the hour, if no request is left.
    closed_until: Mutex<Option<Instant>>,
    /// Clients with separate connections.
    clients: [OnceLock<Client>; MAX_CONNECTIONS],
    timeout: Duration,
    survey_permits: Semaphore,
}

#[derive(Deserialize)]
struct PublicKeyDocument {
    key_id: String,
    key: String,
}

/// Counts a sink as a user of an API until it is dropped. A sink that is not selected is dropped
/// before any is prepared.
#[derive(Debug)]
pub(crate) struct Share {
    api: Arc<Api>,
    owner: Option<Arc<Owner>>,
    is_inspected: AtomicBool,
}

impl Share {
    pub(crate) fn of(api: Arc<Api>, target: &Target) -> Self {
        let owner = match &target.scope {
            Scope::Repository { repository, .. } => Some(api.owner_of(repository).1),
            Scope::Organization(_) => None,
        };
        api.sinks.fetch_add(1, Ordering::Relaxed);
        if let Some(owner) = &owner {
            owner.add_wanted();
        }
        Self { api, owner, is_inspected: AtomicBool::new(false) }
    }

    /// Counts the first inspection of this sink.
    pub(crate) fn note_inspection(&self) {
        if !self.is_inspected.swap(true, Ordering::Relaxed) {
            self.api.inspected.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the API itself, for a value that outlives the sink.
    pub(crate) fn api(&self) -> Arc<Api> {
        Arc::clone(&self.api)
    }
}

impl Deref for Share {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.api.sinks.fetch_sub(1, Ordering::Relaxed);
        if let Some(owner) = &self.owner {
            owner.remove_wanted();
        }
    }
}

impl Api {
    pub(crate) fn new(
        base: Url,
        credential: Credential,
        timeout: Duration,
        limits: Limits,
    ) -> Self {
        let (sinks, remaining) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        let (owners, closed_until) = (Mutex::default(), Mutex::default());
        let (clients, reporter) = Default::default();
        Self {
            base,
            credential,
            limits,
            sinks,
            inspected: AtomicUsize::new(0),
            owners,
            reporter,
            remaining,
            closed_until,
            clients,
            timeout,
            survey_permits: Semaphore::new(survey::CONCURRENT),
        }
    }

    /// Returns the number of sinks that share this API.
    pub(crate) fn sinks(&self) -> usize {
        self.sinks.load(Ordering::Relaxed)
    }

    /// Returns whether the sink at this path reports warnings for all sinks. The first caller does.
    pub(crate) fn reports_for_all(&self, owner_path: &str) -> bool {
        self.reporter.get_or_init(|| owner_path.to_owned()) == owner_path
    }

    /// Returns the repository that is or was called `named`, as `owner/name`.
    pub(crate) async fn repository(&self, named: &str) -> Result<Repository, SinkError> {
        let (name, owner) = self.owner_of(named);
        match owner.find(self, &name, named).await? {
            Some(repository) => Ok(repository),
            None => repository::read(self, named).await,
        }
    }

    fn owner_of(&self, repository: &str) -> (String, Arc<Owner>) {
        let name = repository.split('/').next().unwrap_or_default().to_lowercase();
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = Arc::clone(owners.entry(name.clone()).or_default());
        (name, owner)
    }

    /// Sends one request and returns the response, whatever its status.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        action: &str,
    ) -> Result<Response, SinkError> {
        let url = self.base.join(path).map_err(|error| {
            SinkError::other(format!("cannot {action}: `{path}` is not part of a URL"))
                .with_source(error)
        })?;
        self.refuse_while_closed(action)?;
        let authorization = self.credential.header(self.timeout).await?;
        let mut request = self
            .client(path)?
            .request(method, url)
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/vnd.github+json")
            // Both github.com and older Enterprise Servers support this version.
            .header("X-GitHub-Api-Version", "2022-11-28");
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = exchange(action, request).await.map_err(without_response)?;
        if let Some(remaining) = remaining(&response) {
            self.remaining.store(remaining, Ordering::Relaxed);
            if let Some(pause) = until_renewal(&response).filter(|_| remaining == 0) {
                *self.closed_until() = Some(Instant::now() + pause);
            }
        }
        Ok(response)
    }

    /// Sends a GET and returns the response if it is a success.
    pub(crate) async fn get(&self, path: &str, action: &str) -> Result<Response, SinkError> {
        let response = self.send(Method::GET, path, None, action).await?;
        if response.status.is_success() {
            Ok(response)
        } else {
            Err(self.refusal(action, &response).await)
        }
    }

    /// Sends a GET and returns the document of the response.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        action: &str,
    ) -> Result<T, SinkError> {
        self.get(path, action).await?.document(action)
    }

    /// Returns the host, without the port.
    pub(crate) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// Returns the time limit of one request.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Runs a request of a survey. Only a few run at once, so that they do not delay other requests.
    pub(crate) async fn in_survey<T>(&self, request: impl Future<Output = T>) -> T {
        // The semaphore is never closed, so this does not fail.
        let _permit = self.survey_permits.acquire().await;
        request.await
    }

    /// Returns the error for a refusal. It does not contain the credential.
    pub(crate) async fn refusal(&self, action: &str, response: &Response) -> SinkError {
        match self.credential.secret(self.timeout).await {
            Ok(secret) => refused(action, &self.base, response, &[secret]),
            Err(_) => refused(action, &self.base, response, &[]),
        }
    }

    /// Fetches the public key for the secrets at `secrets_path`.
    pub(crate) async fn sealing_key(&self, secrets_path: &str) -> Result<SealingKey, SinkError> {
        let action = "fetch the public key";
        let response = self.get(&format!("{secrets_path}/public-key"), action).await?;
        let unusable = |why: &str| SinkError::other(format!("cannot {action}: {why}"));
        let key: PublicKeyDocument =
            response.json().map_err(|_| unusable("the response is not in the documented form"))?;
        let bytes = STANDARD.decode(&key.key).map_err(|_| unusable("it is not base64"))?;
        let length = bytes.len();
        let bytes: [u8; 32] =
            bytes.try_into().map_err(|_| unusable(&format!("it has {length} bytes, not 32")))?;
        Ok(SealingKey::new(key.key_id, bytes))
    }

    /// Returns whether GitHub counts the requests per hour. Some Enterprise Servers do not.
    pub(crate) fn is_counted(&self) -> bool {
        self.remaining.load(Ordering::Relaxed) != usize::MAX
    }

    /// Checks that the hourly quota suffices for the rest of the run.
    pub(crate) fn check_remaining(&self) -> Result<(), SinkError> {
        let remaining = self.remaining.load(Ordering::Relaxed);
        let needed = self.needed(REQUESTS_AFTER_PLAN);
        if needed <= remaining {
            return Ok(());
        }
        Err(SinkError::permission_denied(format!(
            "this GitHub token has {remaining} requests left in this hour, and {needed} may be needed"
        ))
        .with_help("try again when the hour is over, or use an organization secret"))
    }

    /// Returns whether the hourly quota suffices for the rest of the run and for `requests` optional
    /// requests.
    pub(crate) fn can_spare(&self, requests: usize) -> bool {
        // Each sink also fetches a public key.
        self.needed(REQUESTS_AFTER_PLAN + 1) + requests <= self.remaining.load(Ordering::Relaxed)
    }

    /// Returns the number of requests that all sinks may still send: `to_come` each, and the first
    /// inspection of those not inspected yet. Sinks are inspected while others are prepared.
    fn needed(&self, to_come: usize) -> usize {
        let sinks = self.sinks();
        let uninspected = sinks.saturating_sub(self.inspected.load(Ordering::Relaxed));
        to_come * sinks + uninspected + sinks.div_ceil(SINKS_PER_RETRY)
    }

    /// Returns an error until the end of the hour if no request is left.
    fn refuse_while_closed(&self, action: &str) -> Result<(), SinkError> {
        let until = *self.closed_until();
        let wait = until.map(|until| until.saturating_duration_since(Instant::now()));
        match wait.filter(|wait| !wait.is_zero()) {
            Some(wait) => Err(SinkError::rate_limited(
                wait,
                format!("cannot {action}: this GitHub token has no request left in this hour"),
            )),
            None => Ok(()),
        }
    }

    fn closed_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.closed_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the client for `path`. All requests for one repository use the same client, so that the
    /// write reuses the connection of the preparation.
    fn client(&self, path: &str) -> Result<&Client, SinkError> {
        let connections = 1 + self.sinks() / SINKS_PER_CONNECTION;
        let mut hasher = DefaultHasher::new();
        path.split('/').take(OWNER_SEGMENTS).for_each(|segment| segment.hash(&mut hasher));
        let client = &self.clients[hasher.finish() as usize % connections.min(MAX_CONNECTIONS)];
        if let Some(client) = client.get() {
            return Ok(client);
        }
        let built = build_client(&self.base, self.timeout)?;
        Ok(client.get_or_init(|| built))
    }
}

/// Returns the requests left in the hour. Other resources of the API are counted separately
/// (docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api).
fn remaining(response: &Response) -> Option<usize> {
    let is_core =
        header(response, "x-ratelimit-resource").is_none_or(|resource| resource == "core");
    header(response, "x-ratelimit-remaining").filter(|_| is_core)?.parse().ok()
}
