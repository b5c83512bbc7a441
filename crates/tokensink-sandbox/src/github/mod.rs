//! A fake of GitHub: secrets of repositories, environments and organizations.
//!
//! It opens every sealed box with its own key, so that a wrong one is refused as GitHub refuses it.

mod documents;
mod limits;
mod quota;
mod secrets;
mod world;

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
use self::secrets::{Secret, Secrets, Visibility};
use self::world::{RefusedWrite, Repository, Role, World};
use crate::network::Network;
use crate::protocol::Protocol;
use crate::server::{Request, Server, locked};

const TOKEN: &str = "ghp_accepted_by_the_fake_server_only_00";

/// The GitHub REST API, as far as it concerns secrets.
#[derive(Debug)]
pub struct GitHub {
    server: Server,
    world: Shared,
    quota: Arc<Mutex<HourlyQuota>>,
}

type Shared = Arc<Mutex<World>>;

impl GitHub {
    /// Starts it, empty.
    ///
    /// # Errors
    ///
    /// When no loopback port is free.
    pub async fn start() -> io::Result<Self> {
        Self::start_at(&Network::default()).await
    }

    /// Starts it behind `network`.
    ///
    /// # Errors
    ///
    /// When no loopback port is free.
    pub async fn start_at(network: &Network) -> io::Result<Self> {
        let world = World {
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
        let world: Shared = Arc::new(Mutex::new(world));
        let quota = Arc::new(Mutex::new(HourlyQuota::new()));
        let counted = middleware::from_fn_with_state(Arc::clone(&quota), quota::count);
        let dated = middleware::map_response_with_state(Arc::clone(&world), set_date);
        let router = Router::new()
            .fallback(respond)
            .with_state(Arc::clone(&world))
            .layer(counted)
            .layer(dated);
        Ok(Self { server: Server::start(router, network, Protocol::Http2).await?, world, quota })
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The only token that it accepts.
    pub fn token(&self) -> &str {
        TOKEN
    }

    /// Adds a repository, as `owner/name`. Returns its id.
    pub fn add_repository(&self, name: &str) -> u64 {
        let mut world = locked(&self.world);
        let id = 1000 + world.repositories.len() as u64;
        world.repositories.push(Repository {
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

    /// Renames a repository; its old name redirects from then on.
    pub fn rename(&self, repository: &str, name: &str) {
        self.change(repository, |found| {
            found.former_name = Some(std::mem::replace(&mut found.name, name.to_owned()));
        });
    }

    fn change(&self, repository: &str, change: impl FnOnce(&mut Repository)) {
        let mut world = locked(&self.world);
        if let Some(found) = world.repositories.iter_mut().find(|one| one.name == repository) {
            change(found);
        }
    }

    /// Adds an organization.
    pub fn add_organization(&self, name: &str) {
        locked(&self.world).organizations.push(name.to_owned());
    }

    /// Puts a secret at `path` (`repos/acme/api/actions/secrets/NAME`), as another program would.
    pub fn put_externally(&self, path: &str, value: &str) {
        // A minute ahead, so that a clock of whole seconds distinguishes it from earlier writes.
        let seconds = locked(&self.world).now().as_second() + 60;
        self.put_externally_at(path, value, seconds);
    }

    /// The same, at this time of GitHub's clock, in seconds since 1970.
    pub fn put_externally_at(&self, path: &str, value: &str, seconds: i64) {
        let mut world = locked(&self.world);
        let visibility = world.secrets.current(path).and_then(|one| one.visibility.clone());
        let updated_at = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds);
        world.secrets.put(path, Secret { value: value.to_owned(), updated_at, visibility });
    }

    /// Adds an organization secret for `selected` repositories only.
    pub fn add_selected_secret(&self, path: &str, selected: Vec<u64>) {
        let updated_at = Timestamp::UNIX_EPOCH;
        let visibility = Some(Visibility { kind: "selected".to_owned(), selected });
        let secret = Secret { value: String::new(), updated_at, visibility };
        locked(&self.world).secrets.put(path, secret);
    }

    /// Changes who may use an organization secret, as an administrator would: `all`, `private` or
    /// `selected`, and then which repositories.
    pub fn set_visibility(&self, path: &str, kind: &str, selected: &[u64]) {
        let visibility = Visibility { kind: kind.to_owned(), selected: selected.to_vec() };
        locked(&self.world).secrets.set_visibility(path, visibility);
    }

    /// The same, right after the next write to an organization secret, before its response.
    pub fn set_visibility_after_next_write(&self, kind: &str, selected: &[u64]) {
        let visibility = Visibility { kind: kind.to_owned(), selected: selected.to_vec() };
        locked(&self.world).next_visibility = Some(visibility);
    }

    /// `all`, `private` or `selected`, of an organization secret.
    pub fn visibility(&self, path: &str) -> Option<String> {
        Some(locked(&self.world).secrets.current(path)?.visibility.as_ref()?.kind.clone())
    }

    /// The repositories that may use an organization secret.
    pub fn selected(&self, path: &str) -> Vec<u64> {
        let world = locked(&self.world);
        let visibility = world.secrets.current(path).and_then(|one| one.visibility.as_ref());
        visibility.map(|one| one.selected.clone()).unwrap_or_default()
    }

    /// From now on reads show the state of that long ago.
    pub fn lag_reads(&self, lag: Duration) {
        locked(&self.world).secrets.set_lag(lag);
    }

    /// From now on reads show the state of now, whatever is written.
    pub fn freeze_reads(&self) {
        locked(&self.world).secrets.freeze();
    }

    /// From now on reads show the newest state again.
    pub fn thaw_reads(&self) {
        locked(&self.world).secrets.thaw();
    }

    /// From now on the response to a write takes that long after the write.
    pub fn delay_write_responses(&self, delay: Duration) {
        locked(&self.world).write_responses_take = delay;
    }

    /// From now on this server's clock is ahead of the machine's, or behind.
    pub fn shift_clock(&self, ahead: SignedDuration) {
        locked(&self.world).clock_is_ahead = ahead;
    }

    /// From now on the token needs a SAML authorization for this organization.
    pub fn require_sso(&self, organization: &str) {
        locked(&self.world).sso_organizations.push(organization.to_owned());
    }

    /// A secret's value, as a workflow would see it.
    pub fn secret(&self, path: &str) -> Option<String> {
        locked(&self.world).secrets.current(path).map(|secret| secret.value.clone())
    }

    /// Replaces the key with which secrets are sealed.
    pub fn rotate_key(&self) {
        let mut world = locked(&self.world);
        world.key = SecretKey::generate(&mut OsRng);
        world.key_id += 1;
    }

    /// From now on writes are neither done nor responded to, or are again.
    pub fn stall_writes(&self, stalled: bool) {
        locked(&self.world).writes_stall = stalled;
    }

    /// From now on reads of what begins with `path` are refused.
    pub fn refuse_reads(&self, path: &str, status: u16) {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        locked(&self.world).refused = Some((path.to_owned(), status));
    }

    /// Requests left for the hour.
    pub fn remaining(&self) -> u32 {
        locked(&self.quota).remaining()
    }

    /// From now on requests are not counted, as on an Enterprise Server with limits off.
    pub fn count_no_requests(&self) {
        locked(&self.quota).stop_counting();
    }

    /// From now on so many requests are left for the hour.
    pub fn leave(&self, remaining: u32) {
        locked(&self.quota).leave(remaining);
    }

    /// The next writes meet the secondary rate limit: a 403 or a 429, with or without a
    /// `Retry-After`.
    pub fn limit_next_writes(&self, status: u16, refusals: u32, retry_after: Option<&str>) {
        self.refuse_writes(
            status,
            refusals,
            "You have exceeded a secondary rate limit.",
            retry_after,
        );
    }

    /// The next writes are refused with this status.
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
        locked(&self.world).refused_writes =
            std::iter::repeat_n(refused, refusals as usize).collect();
    }

    /// From now on the secondary limits are counted, and enforced.
    pub fn enforce_secondary_limits(&self) {
        locked(&self.world).secondary_limits = Some(SecondaryLimits::default());
    }

    /// From now on the public key lacks its last byte.
    pub fn shorten_key(&self) {
        locked(&self.world).key_is_short = true;
    }

    /// Every sealed box that was accepted, as it arrived: the path of its secret, and the box in base64.
    pub fn boxes(&self) -> Vec<(String, String)> {
        locked(&self.world).boxes.clone()
    }

    /// The private key, in base64: for another implementation to open the boxes with.
    pub fn private_key(&self) -> String {
        STANDARD.encode(locked(&self.world).key.to_bytes())
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// When each connection brought its first request.
    pub fn connections(&self) -> Vec<Instant> {
        self.server.connections()
    }
}

fn message(status: StatusCode, text: &str) -> Response {
    let body = json!({"message": text, "documentation_url": "https://docs.github.com/rest"});
    (status, axum::Json(body)).into_response()
}

async fn within_limits(world: &Shared, method: &Method, path: &str) -> Result<(), Box<Response>> {
    let path = path.trim_start_matches('/');
    let entered = locked(world).secondary_limits.as_mut().map(|limits| limits.enter(method, path));
    if let Some(entered) = entered {
        let _under_way = entered.map_err(Box::new)?;
        tokio::time::sleep(SERVICE_TIME).await;
    }
    Ok(())
}

async fn respond(
    State(world): State<Shared>,
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
    if method == Method::PUT && locked(&world).writes_stall {
        std::future::pending::<()>().await;
    }
    if let Err(refusal) = within_limits(&world, &method, uri.path()).await {
        return *refusal;
    }
    let is_write = method == Method::PUT;
    let query = query.unwrap_or_default();
    let (response, delay) = {
        let mut world = locked(&world);
        let response = route(&mut world, method, uri.path(), &query, &body);
        (response, world.write_responses_take)
    };
    if is_write && !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    response
}

fn route(world: &mut World, method: Method, path: &str, query: &str, body: &[u8]) -> Response {
    let path = match world.resolve(path.trim_start_matches('/')) {
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
    if let Some((refused, status)) = &world.refused
        && method == Method::GET
        && format!("{path}?{query}").starts_with(refused)
    {
        return message(*status, "Resource not accessible by personal access token");
    }
    if let Some(challenge) = sso_challenge(world, &path) {
        return challenge;
    }
    let segments: Vec<&str> = path.split('/').collect();
    let response = match (method, segments.as_slice()) {
        (Method::GET, ["repos", _, _]) => world.show_repository(&path),
        (Method::GET, ["orgs", organization, "repos"]) => {
            world.list_repositories(organization, query)
        }
        (Method::GET, ["repos", _, _, "environments"]) => world.list_environments(&path, query),
        (Method::GET, [.., "secrets", "public-key"]) => world.show_key(&path),
        (Method::GET, [.., "secrets"]) => world.list_secrets(&path, query),
        (Method::GET, [.., "secrets", _, "repositories"]) => world.list_selected(&path, query),
        (Method::GET, [.., "secrets", _]) => world.show_secret(&path),
        (Method::PUT, [.., "secrets", _]) => world.put_secret(&path, body),
        _ => None,
    };
    response.unwrap_or_else(|| message(StatusCode::NOT_FOUND, "Not Found"))
}

/// The response to a token without the organization's SAML authorization
/// (docs.github.com/rest/authentication/authenticating-to-the-rest-api).
fn sso_challenge(world: &World, path: &str) -> Option<Response> {
    let owner = path.split('/').nth(1)?;
    world.sso_organizations.iter().find(|one| *one == owner)?;
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

/// Sets `Date` by this server's clock; without it, hyper does by the machine's.
async fn set_date(State(world): State<Shared>, mut response: Response) -> Response {
    let ahead = locked(&world).clock_is_ahead;
    if !ahead.is_zero() {
        let now = Timestamp::now() + ahead;
        let text = now.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        if let Ok(date) = HeaderValue::from_str(&text) {
            response.headers_mut().insert("date", date);
        }
    }
    response
}
