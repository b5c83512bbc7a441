//! The stand-in for GitHub: secrets of repositories, environments and organizations.
//!
//! It opens every sealed box with its own key, so that a wrong one is refused as GitHub refuses it.

mod documents;
mod limits;
mod quota;
mod world;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_box::SecretKey;
use crypto_box::aead::OsRng;
use jiff::Timestamp;
use serde_json::json;

use self::limits::{SERVICE_TIME, SecondaryLimits};
use self::quota::HourlyQuota;
use self::world::{Repository, Role, Secret, World};
use crate::network::Network;
use crate::protocol::Protocol;
use crate::server::{Request, Server, locked};

const TOKEN: &str = "ghp_stand_in_for_a_personal_access_token";

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
    /// When no loopback port can be had.
    pub async fn start() -> io::Result<Self> {
        Self::start_at(&Network::default()).await
    }

    /// Starts it at a distance.
    ///
    /// # Errors
    ///
    /// When no loopback port can be had.
    pub async fn start_at(network: &Network) -> io::Result<Self> {
        let world = World {
            key: SecretKey::generate(&mut OsRng),
            key_id: 568_250_167_242_549_743,
            repositories: Vec::new(),
            organizations: Vec::new(),
            secrets: BTreeMap::new(),
            boxes: Vec::new(),
            key_is_short: false,
            writes_stall: false,
            refused: None,
            limited: (StatusCode::FORBIDDEN, 0, None),
            secondary_limits: None,
        };
        let world: Shared = Arc::new(Mutex::new(world));
        let quota = Arc::new(Mutex::new(HourlyQuota::new()));
        let counted = middleware::from_fn_with_state(Arc::clone(&quota), quota::count);
        let router = Router::new().fallback(answer).with_state(Arc::clone(&world)).layer(counted);
        Ok(Self { server: Server::start(router, network, Protocol::Http2).await?, world, quota })
    }

    /// Its base URL.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// The only token that it lets in.
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

    /// Takes the right to write away.
    pub fn make_read_only(&self, repository: &str) {
        self.change(repository, |found| found.role = Role::Read);
    }

    /// Leaves the right to write, and takes the right to administer away.
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

    /// Puts a secret at `path` (`repos/acme/api/actions/secrets/NAME`), as somebody else would.
    pub fn put_externally(&self, path: &str, value: &str) {
        // A minute ahead, so that a clock of whole seconds tells it from what was before.
        self.put_as_stranger_at(path, value, Timestamp::now().as_second() + 60);
    }

    /// The same, by GitHub's clock in so many seconds since 1970.
    pub fn put_as_stranger_at(&self, path: &str, value: &str, seconds: i64) {
        let mut world = locked(&self.world);
        let (visibility, selected) = world
            .secrets
            .get(path)
            .map(|secret| (secret.visibility.clone(), secret.selected.clone()))
            .unwrap_or_default();
        let updated_at = Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_secs(seconds);
        let secret = Secret { value: value.to_owned(), updated_at, visibility, selected };
        world.secrets.insert(path.to_owned(), secret);
    }

    /// Adds an organization's secret for `selected` repositories only.
    pub fn add_selected_secret(&self, path: &str, selected: Vec<u64>) {
        let updated_at = Timestamp::UNIX_EPOCH;
        let visibility = Some("selected".to_owned());
        let secret = Secret { value: String::new(), updated_at, visibility, selected };
        locked(&self.world).secrets.insert(path.to_owned(), secret);
    }

    /// The repositories that may use an organization's secret.
    pub fn selected(&self, path: &str) -> Vec<u64> {
        locked(&self.world).secrets.get(path).map(|one| one.selected.clone()).unwrap_or_default()
    }

    /// A secret's value, as a workflow would see it.
    pub fn secret(&self, path: &str) -> Option<String> {
        locked(&self.world).secrets.get(path).map(|secret| secret.value.clone())
    }

    /// Replaces the key with which secrets are sealed.
    pub fn rotate_key(&self) {
        let mut world = locked(&self.world);
        world.key = SecretKey::generate(&mut OsRng);
        world.key_id += 1;
    }

    /// From now on writes are neither answered nor carried out, or are again.
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
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FORBIDDEN);
        locked(&self.world).limited = (status, refusals, retry_after.map(str::to_owned));
    }

    /// From now on the secondary limits are counted, and enforced.
    pub fn enforce_secondary_limits(&self) {
        locked(&self.world).secondary_limits = Some(SecondaryLimits::default());
    }

    /// From now on the public key lacks its last byte.
    pub fn shorten_key(&self) {
        locked(&self.world).key_is_short = true;
    }

    /// Every sealed box that was taken, as it came: the path of its secret, and the box in base64.
    pub fn boxes(&self) -> Vec<(String, String)> {
        locked(&self.world).boxes.clone()
    }

    /// The key that opens the boxes of now, in base64: for another implementation to try.
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

async fn answer(
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
    let mut world = locked(&world);
    let path = uri.path().trim_start_matches('/').to_owned();
    let path = match world.resolve(&path) {
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
        && path.starts_with(refused)
    {
        return message(*status, "Resource not accessible by personal access token");
    }
    let segments: Vec<&str> = path.split('/').collect();
    let response = match (method, segments.as_slice()) {
        (Method::GET, ["repos", _, _]) => world.show_repository(&path),
        (Method::GET, ["orgs", organization, "repos"]) => {
            world.list_repositories(organization, query.as_deref().unwrap_or_default())
        }
        (Method::GET, ["repos", _, _, "environments"]) => {
            world.list_environments(&path, query.as_deref().unwrap_or_default())
        }
        (Method::GET, [.., "secrets", "public-key"]) => world.show_key(&path),
        (Method::GET, [.., "secrets", _, "repositories"]) => {
            world.list_selected(&path, query.as_deref().unwrap_or_default())
        }
        (Method::GET, [.., "secrets", _]) => world.show_secret(&path),
        (Method::PUT, [.., "secrets", _]) => world.put_secret(&path, &body),
        _ => None,
    };
    response.unwrap_or_else(|| message(StatusCode::NOT_FOUND, "Not Found"))
}
