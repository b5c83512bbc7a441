//! The state of the fake GitHub, and its responses.

use std::collections::VecDeque;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crypto_box::SecretKey;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::limits::SecondaryLimits;
use super::secrets::{FakeVisibility, Secrets, StoredSecret};
use super::{documents, message, secrets};

const PAGE: usize = 100;

#[derive(Debug)]
pub(super) struct GitHubState {
    pub(super) key: SecretKey,
    pub(super) key_id: u64,
    pub(super) repositories: Vec<FakeRepository>,
    pub(super) organizations: Vec<String>,
    pub(super) secrets: Secrets,
    /// Every sealed box that was accepted, with the path of its secret.
    pub(super) boxes: Vec<(String, String)>,
    pub(super) key_is_short: bool,
    pub(super) writes_stall: bool,
    /// The delay between a write and its response.
    pub(super) write_responses_take: Duration,
    /// The difference between this server's clock and the machine's.
    pub(super) clock_is_ahead: SignedDuration,
    /// The prefix of the paths whose reads are refused, and the status.
    pub(super) refused: Option<(String, StatusCode)>,
    /// The refusals of the next writes.
    pub(super) refused_writes: VecDeque<RefusedWrite>,
    /// The visibility that is set right after the next write to an organization secret.
    pub(super) next_visibility: Option<FakeVisibility>,
    /// Organizations for which the token has no SAML authorization.
    pub(super) sso_organizations: Vec<String>,
    pub(super) secondary_limits: Option<SecondaryLimits>,
}

#[derive(Clone, Debug)]
pub(super) struct RefusedWrite {
    pub(super) status: StatusCode,
    pub(super) message: &'static str,
    pub(super) retry_after: Option<String>,
}

#[derive(Debug)]
pub(super) struct FakeRepository {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) former_name: Option<String>,
    pub(super) archived: bool,
    pub(super) is_private: bool,
    pub(super) role: Role,
    pub(super) environments: Vec<String>,
}

/// The caller's role in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Read,
    Write,
    Admin,
}

impl GitHubState {
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::now() + self.clock_is_ahead
    }

    /// Returns the path with the repository's current name, or as an error the path to redirect to.
    pub(super) fn resolve(&self, path: &str) -> Result<String, String> {
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

    fn repository_of(&self, path: &str) -> Option<&FakeRepository> {
        let mut parts = path.strip_prefix("repos/")?.split('/');
        let name = format!("{}/{}", parts.next()?, parts.next()?);
        self.repositories.iter().find(|one| one.name.eq_ignore_ascii_case(&name))
    }

    /// Returns whether the owner of the secrets at `path` exists.
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

    pub(super) fn show_repository(&self, path: &str) -> Option<Response> {
        let found = self.repository_of(path)?;
        Some(axum::Json(documents::full_repository(found)).into_response())
    }

    pub(super) fn list_environments(&self, path: &str, query: &str) -> Option<Response> {
        let found = self.repository_of(path)?;
        let names = page(&found.environments, query).iter();
        let environments: Vec<Value> =
            names.map(|name| documents::environment(found, name)).collect();
        let total = found.environments.len();
        let body = json!({"total_count": total, "environments": environments});
        Some(axum::Json(body).into_response())
    }

    pub(super) fn show_key(&self, path: &str) -> Option<Response> {
        self.has_owner_of(path).then(|| {
            let whole = self.key.public_key();
            let length = if self.key_is_short { 31 } else { 32 };
            let key = STANDARD.encode(&whole.as_bytes()[..length]);
            axum::Json(json!({"key_id": self.key_id.to_string(), "key": key})).into_response()
        })
    }

    pub(super) fn list_repositories(&self, organization: &str, query: &str) -> Option<Response> {
        self.organizations.iter().find(|one| *one == organization)?;
        let mut owned: Vec<&FakeRepository> = self.repositories.iter().collect();
        owned.retain(|one| one.name.split('/').next() == Some(organization));
        if query.contains("sort=pushed") {
            // In this fake, the newest repository has the latest push.
            owned.sort_by_key(|one| std::cmp::Reverse(one.id));
        } else {
            owned.sort_by_key(|one| &one.name);
        }
        let page = page(&owned, query);
        let listed: Vec<Value> = page.iter().map(|one| documents::listed_repository(one)).collect();
        Some(axum::Json(listed).into_response())
    }

    pub(super) fn show_secret(&self, path: &str) -> Option<Response> {
        let secret = self.secrets.shown(path).filter(|_| self.has_owner_of(path))?;
        Some(axum::Json(secrets::document(path, secret)).into_response())
    }

    pub(super) fn list_secrets(&self, path: &str, query: &str) -> Option<Response> {
        if !self.has_owner_of(path) {
            return None;
        }
        let all = self.secrets.shown_below(path);
        let listed: Vec<Value> = page(&all, query)
            .iter()
            .map(|(name, secret)| secrets::document(&format!("{path}/{name}"), secret))
            .collect();
        let body = json!({"total_count": all.len(), "secrets": listed});
        Some(axum::Json(body).into_response())
    }

    pub(super) fn list_selected(&self, path: &str, query: &str) -> Option<Response> {
        let secret = self.secrets.shown(path.strip_suffix("/repositories")?)?;
        let ids = &secret.visibility.as_ref()?.selected;
        let repositories: Vec<Value> =
            page(ids, query).iter().map(|id| self.describe(*id)).collect();
        let body = json!({"total_count": ids.len(), "repositories": repositories});
        Some(axum::Json(body).into_response())
    }

    fn describe(&self, id: u64) -> Value {
        let known = self.repositories.iter().find(|one| one.id == id);
        let name = known.map_or_else(|| format!("acme/repository-{id}"), |one| one.name.clone());
        documents::minimal_repository(id, &name)
    }

    pub(super) fn put_secret(&mut self, path: &str, body: &[u8]) -> Option<Response> {
        if !self.has_owner_of(path) {
            return None;
        }
        if let Some(refused) = self.refused_writes.pop_front() {
            let response = message(refused.status, refused.message);
            return Some(match refused.retry_after {
                Some(pause) => ([("retry-after", pause)], response).into_response(),
                None => response,
            });
        }
        // docs.github.com/rest/codespaces/repository-secrets
        let is_admin = self.repository_of(path).is_none_or(|one| one.role == Role::Admin);
        if path.contains("/codespaces/") && !is_admin {
            return Some(message(StatusCode::FORBIDDEN, "Must have admin rights to Repository."));
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
        self.boxes.push((
            path.to_owned(),
            body["encrypted_value"].as_str().unwrap_or_default().to_owned(),
        ));
        let visibility = body["visibility"].as_str();
        if path.starts_with("orgs/") && visibility.is_none() {
            return unprocessable("Invalid request. \"visibility\" wasn't supplied.");
        }
        // An update that omits the selected repositories clears them.
        let ids = body["selected_repository_ids"].as_array().map(Vec::as_slice).unwrap_or_default();
        let as_id = |id: &Value| id.as_u64().or_else(|| id.as_str()?.parse().ok());
        let visibility = visibility.map(|kind| FakeVisibility {
            kind: kind.to_owned(),
            selected: ids.iter().filter_map(as_id).collect(),
        });
        let secret = StoredSecret { value, updated_at: self.now(), visibility };
        let is_new = self.secrets.put(path, secret);
        if path.starts_with("orgs/")
            && let Some(visibility) = self.next_visibility.take()
        {
            self.secrets.set_visibility(path, visibility);
        }
        let status = if is_new { StatusCode::CREATED } else { StatusCode::NO_CONTENT };
        Some(status.into_response())
    }
}

/// Returns the page of a list that a query selects.
fn page<'a, T>(all: &'a [T], query: &str) -> &'a [T] {
    let number = |name: &str, default: usize| {
        let given = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        given.and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (size, page) = (number("per_page", 30).min(PAGE), number("page", 1).max(1));
    let start = page.saturating_sub(1).saturating_mul(size).min(all.len());
    &all[start..all.len().min(start.saturating_add(size))]
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
