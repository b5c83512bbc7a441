//! Requests to the GitHub REST API, with one credential. Shared by all sinks that use it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
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
use tokensink_http::{Response, build_client};
use tokio::sync::Semaphore;

use crate::config::Limits;
use crate::credential::Credential;
use crate::failure::{header, refused, until_renewal, without_response};
use crate::listing::Owner;
use crate::repository::{self, Repository};
use crate::sealing::SealingKey;
use crate::sink::TO_COME_AT_FIRST;
use crate::survey;
use crate::target::{Scope, Target};

/// So many sinks for one HTTP/2 connection: servers let a hundred or two requests on it at once, and
/// what comes after them waits for a whole round trip.
const SINKS_TO_A_CONNECTION: usize = 150;
const MAX_CONNECTIONS: usize = 8;

/// `repos`, the owner and the name.
const OWNER_SEGMENTS: usize = 3;

/// Of so many sinks one may have to write again.
const SINKS_TO_A_RETRY: usize = 2;

/// One GitHub, one credential.
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) base: Url,
    pub(crate) credential: Credential,
    pub(crate) limits: Limits,
    /// How many sinks share it.
    sinks: AtomicUsize,
    owners: Mutex<BTreeMap<String, Arc<Owner>>>,
    /// The path of the one that says what is true of all.
    speaker: OnceLock<String>,
    /// Requests left for the hour, as the last answer said.
    remaining: AtomicUsize,
    /// The end of the hour, once nothing is left.
    closed_until: Mutex<Option<Instant>>,
    /// Each has its own connections.
    clients: [OnceLock<Client>; MAX_CONNECTIONS],
    timeout: Duration,
    survey_permits: Semaphore,
}

#[derive(Deserialize)]
struct PublicKeyAnswer {
    key_id: String,
    key: String,
}

/// One more sink that shares an API, for as long as it lives: a sink that does not take part is
/// dropped before any is prepared.
#[derive(Debug)]
pub(crate) struct Share {
    api: Arc<Api>,
    owner: Option<Arc<Owner>>,
}

impl Share {
    pub(crate) fn of(api: Arc<Api>, target: &Target) -> Self {
        let owner = match &target.scope {
            Scope::Repository { repository, .. } => Some(api.owner_of(repository).1),
            Scope::Organization(_) => None,
        };
        api.sinks.fetch_add(1, Ordering::Relaxed);
        if let Some(owner) = &owner {
            owner.want_one_more();
        }
        Self { api, owner }
    }

    /// The API itself, for what outlives the sink.
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
            owner.want_one_less();
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
        let (clients, speaker) = Default::default();
        Self {
            base,
            credential,
            limits,
            sinks,
            owners,
            speaker,
            remaining,
            closed_until,
            clients,
            timeout,
            survey_permits: Semaphore::new(survey::CONCURRENT),
        }
    }

    /// How many sinks share it.
    pub(crate) fn sinks(&self) -> usize {
        self.sinks.load(Ordering::Relaxed)
    }

    /// Whether this is the one that says what is true of all: the first that asked.
    pub(crate) fn speaks_for_all(&self, owner_path: &str) -> bool {
        self.speaker.get_or_init(|| owner_path.to_owned()) == owner_path
    }

    /// The repository that `named` means, as `owner/name`, whatever it is called now.
    pub(crate) async fn repository(&self, named: &str) -> Result<Repository, SinkError> {
        let (name, owner) = self.owner_of(named);
        match owner.find(self, &name, named).await? {
            Some(repository) => Ok(repository),
            None => repository::ask_for(self, named).await,
        }
    }

    fn owner_of(&self, repository: &str) -> (String, Arc<Owner>) {
        let name = repository.split('/').next().unwrap_or_default().to_lowercase();
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = Arc::clone(owners.entry(name.clone()).or_default());
        (name, owner)
    }

    /// Sends one request and returns the answer, whatever its status.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        doing: &str,
    ) -> Result<Response, SinkError> {
        let url = self.base.join(path).map_err(|error| {
            SinkError::other(format!("cannot {doing}: no URL comes of `{path}`")).with_source(error)
        })?;
        self.refuse_while_closed(doing)?;
        let authorization = self.credential.header(self.timeout).await?;
        let mut request = self
            .client(path)?
            .request(method, url)
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/vnd.github+json")
            // Understood by github.com and by older Enterprise Servers alike.
            .header("X-GitHub-Api-Version", "2022-11-28");
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = Response::to(request).await;
        let host = self.base.host_str().unwrap_or_default();
        let answer = answer.map_err(|error| without_response(doing, host, error))?;
        if let Some(remaining) = remaining(&answer) {
            self.remaining.store(remaining, Ordering::Relaxed);
            if let Some(pause) = until_renewal(&answer).filter(|_| remaining == 0) {
                *self.closed_until() = Some(Instant::now() + pause);
            }
        }
        Ok(answer)
    }

    /// A GET that must succeed.
    pub(crate) async fn get(&self, path: &str, doing: &str) -> Result<Response, SinkError> {
        let answer = self.send(Method::GET, path, None, doing).await?;
        if answer.status.is_success() {
            Ok(answer)
        } else {
            Err(self.refusal(doing, &answer).await)
        }
    }

    /// A GET that must succeed, as a document.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        doing: &str,
    ) -> Result<T, SinkError> {
        Self::document(doing, &self.get(path, doing).await?)
    }

    /// The document in a response.
    pub(crate) fn document<T: DeserializeOwned>(
        doing: &str,
        response: &Response,
    ) -> Result<T, SinkError> {
        response.json().map_err(|_| {
            SinkError::other(format!("cannot {doing}: the response is not what is documented"))
        })
    }

    /// The host, without the port.
    pub(crate) fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// The host, with the port where it is not the default one.
    pub(crate) fn host_and_port(&self) -> String {
        let port = self.base.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port}", self.host())
    }

    /// How long one request may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Runs a request of a survey: few at once, so that they delay nothing else.
    pub(crate) async fn in_survey<T>(&self, request: impl Future<Output = T>) -> T {
        // Never closed, so there is always a permit in the end.
        let _permit = self.survey_permits.acquire().await;
        request.await
    }

    /// What an answer that is no success means, without the credential in it.
    pub(crate) async fn refusal(&self, doing: &str, answer: &Response) -> SinkError {
        match self.credential.secret(self.timeout).await {
            Ok(secret) => refused(doing, &self.base, answer, &[secret]),
            Err(_) => refused(doing, &self.base, answer, &[]),
        }
    }

    /// The key for the secrets at `secrets_path`.
    pub(crate) async fn sealing_key(&self, secrets_path: &str) -> Result<SealingKey, SinkError> {
        let doing = "fetch the public key";
        let answer = self.get(&format!("{secrets_path}/public-key"), doing).await?;
        let unusable = |why: &str| SinkError::other(format!("cannot {doing}: {why}"));
        let key: PublicKeyAnswer =
            answer.json().map_err(|_| unusable("the answer is not what is documented"))?;
        let bytes = STANDARD.decode(&key.key).map_err(|_| unusable("it is no base64"))?;
        let length = bytes.len();
        let bytes: [u8; 32] =
            bytes.try_into().map_err(|_| unusable(&format!("it has {length} bytes, not 32")))?;
        Ok(SealingKey::new(key.key_id, bytes))
    }

    /// Whether GitHub counts the requests of an hour. An Enterprise Server need not.
    pub(crate) fn is_counted(&self) -> bool {
        self.remaining.load(Ordering::Relaxed) != usize::MAX
    }

    /// Refuses to go on when the hourly quota would not last until the end. `to_come`: how many
    /// requests each sink will still send if all goes well.
    pub(crate) fn check_remaining(&self, to_come: usize) -> Result<(), SinkError> {
        let (remaining, needed) = (self.remaining.load(Ordering::Relaxed), self.needed(to_come));
        if needed <= remaining {
            return Ok(());
        }
        Err(SinkError::permission_denied(format!(
            "{remaining} requests are left to this GitHub token for the hour, and {needed} may be needed"
        ))
        .with_help("try again when the hour is over, or use an organization secret"))
    }

    /// Whether the hourly quota lasts until the end if `requests` of it are spent on advice.
    pub(crate) fn can_spare(&self, requests: usize) -> bool {
        // And a public key each.
        self.needed(TO_COME_AT_FIRST + 1) + requests <= self.remaining.load(Ordering::Relaxed)
    }

    fn needed(&self, to_come: usize) -> usize {
        let sinks = self.sinks();
        to_come * sinks + sinks.div_ceil(SINKS_TO_A_RETRY)
    }

    /// A request that GitHub has said beforehand it will refuse is not sent.
    fn refuse_while_closed(&self, doing: &str) -> Result<(), SinkError> {
        let until = *self.closed_until();
        let wait = until.map(|until| until.saturating_duration_since(Instant::now()));
        match wait.filter(|wait| !wait.is_zero()) {
            Some(wait) => Err(SinkError::rate_limited(
                wait,
                format!("cannot {doing}: no request is left to this GitHub token for the hour"),
            )),
            None => Ok(()),
        }
    }

    fn closed_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.closed_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client for `path`: the same one for all requests about one repository, so that the
    /// connection of its preparation serves its write.
    fn client(&self, path: &str) -> Result<&Client, SinkError> {
        let connections = 1 + self.sinks() / SINKS_TO_A_CONNECTION;
        let mut hasher = DefaultHasher::new();
        path.split('/').take(OWNER_SEGMENTS).for_each(|segment| segment.hash(&mut hasher));
        let client = &self.clients[hasher.finish() as usize % connections.min(MAX_CONNECTIONS)];
        if let Some(client) = client.get() {
            return Ok(client);
        }
        let built = build_client(&self.base, self.timeout)
            .map_err(|error| SinkError::other("cannot start a client").with_source(error))?;
        Ok(client.get_or_init(|| built))
    }
}

/// Requests left for the hour. Other resources of the API are counted by themselves
/// (docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api).
fn remaining(answer: &Response) -> Option<usize> {
    let is_core = header(answer, "x-ratelimit-resource").is_none_or(|resource| resource == "core");
    header(answer, "x-ratelimit-remaining").filter(|_| is_core)?.parse().ok()
}
