//! A fake of GitHub: secrets of repositories, environments and organizations.
//!
//! It decrypts every sealed box with its own key, so that it refuses an invalid one like GitHub.

mod documents;
mod limits;
mod quota;
mod secrets;
mod state;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_box::SecretKey;
use crypto_box::aead::OsRng;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use self::limits::{SERVICE_TIME, SecondaryLimits};
use self::quota::HourlyQuota;
use self::secrets::{FakeVisibility, Secrets, StoredSecret};
use self::state::{FakeRepository, GitHubState, RefusedWrite, Role};
use crate::network::Network;
use crate::protocol::Protocol;
use crate::server::{ReceivedRequest, Server, locked};

const TOKEN: &str = "ghp_accepted_by_the_fake_server_only_00";

/// A fake of the parts of the GitHub REST API for secrets.
#[derive(Debug)]
pub struct GitHub {
    server: Server,
    state: Shared,
    quota: Arc<Mutex<HourlyQuota>>,
}

type Shared = Arc<Mutex<GitHubState>>;

impl GitHub {
    /// Starts the server without repositories and organizations.
    ///
    /// # Errors
    ///
    /// When no loopback port is free.
    pub async fn start() -> io::Result<Self> {
        Self::start_at(&Network::default()).await
    }

    /// Starts the server behind a simulated network.
    ///
    /// # Errors
    ///
    /// When no loopback port is free.
    pub async fn start_at(network: &Network) -> io::Result<Self> {
        let state = GitHubState {
            key: SecretKey::generate(&mut OsRng),
            key_id: 568_250_167_242_549_743,
            repositories: Vec::new(),
            organizations: Vec::new(),
            secrets: Secrets::default(),
            boxes: Vec::new(),
            key_is_short: false,
            writes_stall: false,
            write_responses_take: Duration::ZERO,
            clock_is_ahead: SignedDuration::ZERO,
            refused: None,
            refused_writes: VecDeque::new(),
            next_visibility: None,
            sso_organizations: Vec::new(),
            secondary_limits: None,
        };
        let state: Shared = Arc::new(Mutex::new(state));
        let quota = Arc::new(Mutex::new(HourlyQuota::new()));
        let counted = middleware::from_fn_with_state(Arc::clone(&quota), quota::count);
        let dated = middleware::map_response_with_state(Arc::clone(&state), set_date);
        let router = Router::new()
            .fallback(respond)
            .with_state(Arc::clone(&state))
            .layer(counted)
            .layer(dated);
        Ok(Self { server: Server::start(router, network, Protocol::Http2).await?, state, quota })
    }

    /// Returns the base URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Returns the only token that is accepted.
    pub fn token(&self) -> &str {
        TOKEN
    }

    /// Adds a repository, as `owner/name`. Returns its id.
    pub fn add_repository(&self, name: &str) -> u64 {
        let mut state = locked(&self.state);
        let id = 1000 + state.repositories.len() as u64;
        state.repositories.push(FakeRepository {
            id,
            name: name.to_owned(),
            former_name: None,
            archived: false,
            is_private: true,
            role: Role::Admin,
            environments: Vec::new(),
        });
        id
    }

    /// Adds an environment to a repository.
    pub fn add_environment(&self, repository: &str, environment: &str) {
        self.change(repository, |found| found.environments.push(environment.to_owned()));
    }

    /// Archives a repository.
    pub fn archive(&self, repository: &str) {
        self.change(repository, |found| found.archived = true);
    }

    /// Makes a repository public.
    pub fn make_public(&self, repository: &str) {
        self.change(repository, |found| found.is_private = false);
    }

    /// Removes the permission to write.
    pub fn make_read_only(&self, repository: &str) {
        self.change(repository, |found| found.role = Role::Read);
    }

    /// Removes the permission to administer, and keeps the one to write.
    pub fn make_push_only(&self, repository: &str) {
        self.change(repository, |found| found.role = Role::Write);
    }

    /// Renames a repository. Its old name redirects from now on.
    pub fn rename(&self, repository: &str, name: &str) {
        self.change(repository, |found| {
            found.former_name = Some(std::mem::replace(&mut found.name, name.to_owned()));
        });
    }

    fn change(&self, repository: &str, change: impl FnOnce(&mut FakeRepository)) {
        let mut state = locked(&self.state);
        if let Some(found) = state.repositories.iter_mut().find(|one| one.name == repository) {
            change(found);
        }
    }

    /// Adds an organization.
    pub fn add_organization(&self, name: &str) {
        locked(&self.state).organizations.push(name.to_owned());
    }

    /// Puts a secret at `path` (`repos/acme/api/actions/secrets/NAME`) like another program.
    pub fn put_externally(&self, path: &str, value: &str) {
        // A minute ahead, so that a clock of whole seconds distinguishes it from earlier writes.
        let seconds = locked(&self.state).now().as_second() + 60;
        self.put_externally_at(path, value, seconds);
    }

    /// Puts a secret like [`put_externally`](Self::put_externally), at this time of GitHub's clock, in
    /// seconds since 1970.
    pub fn put_externally_at(&self, path: &str, value: &str, seconds: i64) {
        let mut state = locked(&self.state);
        let visibility = state.secrets.current(path).and_then(|one| one.visibility.clone());
        let updated_at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        state.secrets.put(path, StoredSecret { value: value.to_owned(), updated_at, visibility });
    }

    /// Adds an organization secret for `selected` repositories only.
    pub fn add_selected_secret(&self, path: &str, selected: Vec<u64>) {
        let updated_at = Timestamp::UNIX_EPOCH;
        let visibility = Some(FakeVisibility { kind: "selected".to_owned(), selected });
        let secret = StoredSecret { value: String::new(), updated_at, visibility };
        locked(&self.state).secrets.put(path, secret);
    }

    /// Changes the visibility of an organization secret like an administrator: `all`, `private`, or
    /// `selected` with the ids of repositories.
    pub fn set_visibility(&self, path: &str, kind: &str, selected: &[u64]) {
        let visibility = FakeVisibility { kind: kind.to_owned(), selected: selected.to_vec() };
        locked(&self.state).secrets.set_visibility(path, visibility);
    }

    /// Changes the visibility right after the next write to an organization secret, before its
    /// response.
    pub fn set_visibility_after_next_write(&self, kind: &str, selected: &[u64]) {
        let visibility = FakeVisibility { kind: kind.to_owned(), selected: selected.to_vec() };
        locked(&self.state).next_visibility = Some(visibility);
    }

    /// Returns the visibility of an organization secret: `all`, `private` or `selected`.
    pub fn visibility(&self, path: &str) -> Option<String> {
        Some(locked(&self.state).secrets.current(path)?.visibility.as_ref()?.kind.clone())
    }

    /// Returns the ids of the repositories that may use an organization secret.
    pub fn selected(&self, path: &str) -> Vec<u64> {
        let state = locked(&self.state);
        let visibility = state.secrets.current(path).and_then(|one| one.visibility.as_ref());
        visibility.map(|one| one.selected.clone()).unwrap_or_default()
    }

    /// Makes reads show the state of `lag` ago.
    pub fn lag_reads(&self, lag: Duration) {
        locked(&self.state).secrets.set_lag(lag);
    }

    /// Makes reads show the current state, also after later writes.
    pub fn freeze_reads(&self) {
        locked(&self.state).secrets.freeze();
    }

    /// Makes reads show the newest state again.
    pub fn thaw_reads(&self) {
        locked(&self.state).secrets.thaw();
    }

    /// Delays the responses to writes. The writes themselves are not delayed.
    pub fn delay_write_responses(&self, delay: Duration) {
        locked(&self.state).write_responses_take = delay;
    }

    /// Moves this server's clock ahead of the machine's, or behind it.
    pub fn shift_clock(&self, ahead: SignedDuration) {
        locked(&self.state).clock_is_ahead = ahead;
    }

    /// Requires a SAML authorization for this organization, which the token does not have.
    pub fn require_sso(&self, organization: &str) {
        locked(&self.state).sso_organizations.push(organization.to_owned());
    }

    /// Returns a secret's value, as a workflow would read it.
    pub fn secret(&self, path: &str) -> Option<String> {
        locked(&self.state).secrets.current(path).map(|secret| secret.value.clone())
    }

    /// Replaces the key with which secrets are sealed.
    pub fn rotate_key(&self) {
        let mut state = locked(&self.state);
        state.key = SecretKey::generate(&mut OsRng);
        state.key_id += 1;
    }

    /// Makes writes neither take effect nor return, or ends that.
    pub fn stall_writes(&self, stalled: bool) {
        locked(&self.state).writes_stall = stalled;
    }

    /// Refuses reads of paths that begin with `path`.
    pub fn refuse_reads(&self, path: &str, status: u16) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        locked(&self.state).refused = Some((path.to_owned(), status));
    }

    /// Returns the number of requests left in the hour.
    pub fn remaining(&self) -> u32 {
        locked(&self.quota).remaining()
    }

    /// Stops counting requests, like an Enterprise Server without limits.
    pub fn count_no_requests(&self) {
        locked(&self.quota).stop_counting();
    }

    /// Sets the number of requests left in the hour.
    pub fn leave(&self, remaining: u32) {
        locked(&self.quota).leave(remaining);
    }

    /// Refuses the next writes with the secondary rate limit: a 403 or a 429, with or without a
    /// `Retry-After`.
    pub fn limit_next_writes(&self, status: u16, refusals: u32, retry_after: Option<&str>) {
        self.refuse_writes(
            status,
            refusals,
            "You have exceeded a secondary rate limit.",
            retry_after,
        );
    }

    /// Refuses the next writes with this status.
    pub fn refuse_next_writes(&self, status: u16, refusals: u32) {
        self.refuse_writes(status, refusals, "Refused.", None);
    }

    fn refuse_writes(
        &self,
        status: u16,
        refusals: u32,
        message: &'static str,
        retry_after: Option<&str>,
    ) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        let refused = RefusedWrite { status, message, retry_after: retry_after.map(str::to_owned) };
        locked(&self.state).refused_writes =
            std::iter::repeat_n(refused, refusals as usize).collect();
    }

    /// Enforces the secondary limits from now on.
    pub fn enforce_secondary_limits(&self) {
        locked(&self.state).secondary_limits = Some(SecondaryLimits::default());
    }

    /// Removes the last byte of the public key.
    pub fn shorten_key(&self) {
        locked(&self.state).key_is_short = true;
    }

    /// Returns every accepted sealed box in base64, with the path of its secret.
    pub fn boxes(&self) -> Vec<(String, String)> {
        locked(&self.state).boxes.clone()
    }

    /// Returns the private key in base64, so that another implementation can decrypt the boxes.
    pub fn private_key(&self) -> String {
        STANDARD.encode(locked(&self.state).key.to_bytes())
    }

    /// Returns every request so far.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.server.requests()
    }

    /// Returns the time of each connection's first request.
    pub fn connections(&self) -> Vec<Instant> {
        self.server.connections()
    }
}

fn message(status: StatusCode, text: &str) -> Response {
    let body = json!({"message": text, "documentation_url": "https://docs.github.com/rest"});
    (status, axum::Json(body)).into_response()
}

async fn within_limits(state: &Shared, method: &Method, path: &str) -> Result<(), Box<Response>> {
    let path = path.trim_start_matches('/');
    let entered = locked(state).secondary_limits.as_mut().map(|limits| limits.enter(method, path));
    if let Some(entered) = entered {
        let _concurrent = entered.map_err(Box::new)?;
        tokio::time::sleep(SERVICE_TIME).await;
    }
    Ok(())
}

async fn respond(
    State(state): State<Shared>,
    method: Method,
    uri: Uri,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !headers.contains_key("user-agent") {
        return message(StatusCode::FORBIDDEN, "Request forbidden by administrative rules.");
    }
    if headers.get("authorization").is_none_or(|sent| sent != &format!("Bearer {TOKEN}")) {
        return message(StatusCode::UNAUTHORIZED, "Bad credentials");
    }
    if method == Method::PUT && locked(&state).writes_stall {
        std::future::pending::<()>().await;
    }
    if let Err(refusal) = within_limits(&state, &method, uri.path()).await {
        return *refusal;
    }
    let is_write = method == Method::PUT;
    let query = query.unwrap_or_default();
    let (response, delay) = {
        let mut state = locked(&state);
        let response = route(&mut state, method, uri.path(), &query, &body);
        (response, state.write_responses_take)
    };
    if is_write && !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    response
}

fn route(
    state: &mut GitHubState,
    method: Method,
    path: &str,
    query: &str,
    body: &[u8],
) -> Response {
    let path = match state.resolve(path.trim_start_matches('/')) {
        Ok(path) => path,
        Err(redirect) => {
            let status = if method == Method::GET {
                StatusCode::MOVED_PERMANENTLY
            } else {
                StatusCode::TEMPORARY_REDIRECT
            };
            return (status, [("location", redirect)]).into_response();
        }
    };
    if let Some((refused, status)) = &state.refused
        && method == Method::GET
        && format!("{path}?{query}").starts_with(refused)
    {
        return message(*status, "Resource not accessible by personal access token");
    }
    if let Some(challenge) = sso_challenge(state, &path) {
        return challenge;
    }
    let segments: Vec<&str> = path.split('/').collect();
    let response = match (method, segments.as_slice()) {
        (Method::GET, ["repos", _, _]) => state.show_repository(&path),
        (Method::GET, ["orgs", organization, "repos"]) => {
            state.list_repositories(organization, query)
        }
        (Method::GET, ["repos", _, _, "environments"]) => state.list_environments(&path, query),
        (Method::GET, [.., "secrets", "public-key"]) => state.show_key(&path),
        (Method::GET, [.., "secrets"]) => state.list_secrets(&path, query),
        (Method::GET, [.., "secrets", _, "repositories"]) => state.list_selected(&path, query),
        (Method::GET, [.., "secrets", _]) => state.show_secret(&path),
        (Method::PUT, [.., "secrets", _]) => state.put_secret(&path, body),
        _ => None,
    };
    response.unwrap_or_else(|| message(StatusCode::NOT_FOUND, "Not Found"))
}

/// Returns the response to a token without the organization's SAML authorization
/// (docs.github.com/rest/authentication/authenticating-to-the-rest-api).
fn sso_challenge(state: &GitHubState, path: &str) -> Option<Response> {
    let owner = path.split('/').nth(1)?;
    state.sso_organizations.iter().find(|one| *one == owner)?;
    let challenge = format!(
        "required; url=https://github.com/orgs/{owner}/sso?authorization_request=AZSCKL3EWQ"
    );
    let response = message(
        StatusCode::FORBIDDEN,
        "Resource protected by organization SAML enforcement. You must grant your Personal Access \
         token access to this organization.",
    );
    Some(([("x-github-sso", challenge)], response).into_response())
}

/// Sets the header `Date` by this server's clock. By default, hyper uses the machine's.
async fn set_date(State(state): State<Shared>, mut response: Response) -> Response {
    let ahead = locked(&state).clock_is_ahead;
    if !ahead.is_zero() {
        let now = Timestamp::now() + ahead;
        let text = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if let Ok(date) = HeaderValue::from_str(&text) {
            response.headers_mut().insert("date", date);
        }
    }
    response
}
