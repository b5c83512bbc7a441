//! The stand-in for GitHub: secrets of repositories, environments and organizations.
//!
//! It opens every sealed box with its own key, so that a wrong one is refused as GitHub refuses it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_box::SecretKey;
use crypto_box::aead::OsRng;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::server::{Request, Server, locked};

const TOKEN: &str = "ghp_stand_in_for_a_personal_access_token";
const PAGE: usize = 100;

/// The GitHub REST API, as far as it concerns secrets.
#[derive(Debug)]
pub struct GitHub {
    server: Server,
    world: Shared,
}

type Shared = Arc<Mutex<World>>;

#[derive(Debug)]
struct World {
    key: SecretKey,
    key_id: u64,
    repositories: Vec<Repository>,
    organizations: Vec<String>,
    /// By path, such as `repos/acme/api/actions/secrets/NAME`.
    secrets: BTreeMap<String, Secret>,
}

#[derive(Debug)]
struct Repository {
    id: u64,
    name: String,
    former_name: Option<String>,
    archived: bool,
    writable: bool,
    environments: Vec<String>,
}

#[derive(Clone, Debug)]
struct Secret {
    value: String,
    updated_at: Timestamp,
    visibility: Option<String>,
    selected: Vec<u64>,
}

impl GitHub {
    /// Starts it, empty.
    ///
    /// # Errors
    ///
    /// When no loopback port can be had.
    pub async fn start() -> io::Result<Self> {
        let world = World {
            key: SecretKey::generate(&mut OsRng),
            key_id: 568_250_167_242_549_743,
            repositories: Vec::new(),
            organizations: Vec::new(),
            secrets: BTreeMap::new(),
        };
        let world: Shared = Arc::new(Mutex::new(world));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&world));
        Ok(Self { server: Server::start(router).await?, world })
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
            writable: true,
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
        self.change(repository, |found| found.writable = false);
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
    pub fn put_as_stranger(&self, path: &str, value: &str) {
        let mut world = locked(&self.world);
        let (visibility, selected) = world
            .secrets
            .get(path)
            .map(|secret| (secret.visibility.clone(), secret.selected.clone()))
            .unwrap_or_default();
        // A minute ahead, so that a clock of whole seconds tells it from what was before.
        let updated_at = Timestamp::now() + jiff::SignedDuration::from_secs(60);
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

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }
}

fn message(status: StatusCode, text: &str) -> Response {
    let body = json!({"message": text, "documentation_url": "https://docs.github.com/rest"});
    (status, axum::Json(body)).into_response()
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
    let segments: Vec<&str> = path.split('/').collect();
    let response = match (method, segments.as_slice()) {
        (Method::GET, ["repos", _, _]) => world.show_repository(&path),
        (Method::GET, ["repos", _, _, "environments"]) => world.list_environments(&path),
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

impl World {
    /// The path by name, or where a renamed repository is to be found.
    fn resolve(&self, path: &str) -> Result<String, String> {
        if let Some((id, rest)) = path.strip_prefix("repositories/").map(|path| {
            path.split_once('/')
                .map_or((path, String::new()), |(id, rest)| (id, format!("/{rest}")))
        }) {
            let found = self.repositories.iter().find(|one| one.id.to_string() == id);
            return Ok(
                found.map_or_else(|| path.to_owned(), |one| format!("repos/{}{rest}", one.name))
            );
        }
        let moved = self.repositories.iter().find_map(|one| {
            let former = format!("repos/{}", one.former_name.as_ref()?);
            let rest = path.strip_prefix(&former)?;
            (rest.is_empty() || rest.starts_with('/'))
                .then(|| format!("/repositories/{}{rest}", one.id))
        });
        moved.map_or_else(|| Ok(path.to_owned()), Err)
    }

    fn repository_of(&self, path: &str) -> Option<&Repository> {
        let mut parts = path.strip_prefix("repos/")?.split('/');
        let name = format!("{}/{}", parts.next()?, parts.next()?);
        self.repositories.iter().find(|one| one.name.eq_ignore_ascii_case(&name))
    }

    /// Whether there is something whose secrets the path names.
    fn has_owner_of(&self, path: &str) -> bool {
        if let Some(organization) =
            path.strip_prefix("orgs/").and_then(|path| path.split('/').next())
        {
            return self.organizations.iter().any(|one| one == organization);
        }
        let Some(repository) = self.repository_of(path) else { return false };
        let environment =
            path.split("/environments/").nth(1).and_then(|rest| rest.split('/').next());
        environment.is_none_or(|wanted| {
            repository.environments.iter().any(|one| percent_encoded(one) == wanted)
        })
    }

    fn show_repository(&self, path: &str) -> Option<Response> {
        let found = self.repository_of(path)?;
        let may = found.writable;
        let body = json!({
            "id": found.id,
            "full_name": found.name,
            "archived": found.archived,
            "permissions": {"admin": may, "maintain": may, "push": may, "triage": may, "pull": true},
        });
        Some(axum::Json(body).into_response())
    }

    fn list_environments(&self, path: &str) -> Option<Response> {
        let found = self.repository_of(path)?;
        let environments: Vec<Value> =
            found.environments.iter().map(|name| json!({"name": name})).collect();
        let body = json!({"total_count": environments.len(), "environments": environments});
        Some(axum::Json(body).into_response())
    }

    fn show_key(&self, path: &str) -> Option<Response> {
        self.has_owner_of(path).then(|| {
            let key = STANDARD.encode(self.key.public_key().as_bytes());
            let headers = [("x-ratelimit-remaining", "4990"), ("x-ratelimit-limit", "5000")];
            let body = json!({"key_id": self.key_id.to_string(), "key": key});
            (headers, axum::Json(body)).into_response()
        })
    }

    fn show_secret(&self, path: &str) -> Option<Response> {
        let secret = self.secrets.get(path).filter(|_| self.has_owner_of(path))?;
        let mut body = json!({
            "name": path.rsplit('/').next(),
            "created_at": "2026-01-01T00:00:00Z",
            "updated_at": secret.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        if let Some(visibility) = &secret.visibility {
            body["visibility"] = json!(visibility);
        }
        Some(axum::Json(body).into_response())
    }

    fn list_selected(&self, path: &str, query: &str) -> Option<Response> {
        let secret = self.secrets.get(path.strip_suffix("/repositories")?)?;
        let number = |name: &str, default: usize| {
            let given =
                query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            given.and_then(|text| text.parse().ok()).unwrap_or(default)
        };
        let (size, page) = (number("per_page", 30).min(PAGE), number("page", 1).max(1));
        let ids = secret.selected.iter().skip((page - 1) * size).take(size);
        let repositories: Vec<Value> = ids.map(|id| json!({"id": id})).collect();
        let body = json!({"total_count": secret.selected.len(), "repositories": repositories});
        Some(axum::Json(body).into_response())
    }

    fn put_secret(&mut self, path: &str, body: &[u8]) -> Option<Response> {
        if !self.has_owner_of(path) {
            return None;
        }
        let unprocessable = |text| Some(message(StatusCode::UNPROCESSABLE_ENTITY, text));
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Some(message(StatusCode::BAD_REQUEST, "Problems parsing JSON"));
        };
        if body["key_id"].as_str() != Some(self.key_id.to_string().as_str()) {
            return unprocessable("Bad request - key_id is not the current public key");
        }
        let sealed = body["encrypted_value"].as_str().and_then(|text| STANDARD.decode(text).ok());
        let opened = sealed.and_then(|sealed| self.key.unseal(&sealed).ok());
        let Some(value) = opened.and_then(|opened| String::from_utf8(opened).ok()) else {
            return unprocessable(
                "Bad request - validation failed due to an improperly encrypted secret",
            );
        };
        let visibility = body["visibility"].as_str().map(str::to_owned);
        if path.starts_with("orgs/") && visibility.is_none() {
            return unprocessable("Invalid request. \"visibility\" wasn't supplied.");
        }
        // An update that omits the selected repositories clears them.
        let ids = body["selected_repository_ids"].as_array().map(Vec::as_slice).unwrap_or_default();
        let as_id = |id: &Value| id.as_u64().or_else(|| id.as_str()?.parse().ok());
        let secret = Secret {
            value,
            updated_at: Timestamp::now(),
            visibility,
            selected: ids.iter().filter_map(as_id).collect(),
        };
        let is_new = self.secrets.insert(path.to_owned(), secret).is_none();
        let status = if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
        Some(status.into_response())
    }
}

fn percent_encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
