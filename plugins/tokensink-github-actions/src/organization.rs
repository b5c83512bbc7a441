//! The visibility of an organization secret. A write without it would clear it.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokensink_core::{SinkError, SinkErrorKind};

use crate::api::Api;
use crate::secret_names;
use crate::target::App;

const PAGE: usize = 100;

#[derive(Deserialize)]
struct SecretDocument {
    visibility: Option<String>,
}

#[derive(Deserialize)]
struct Page {
    total_count: usize,
    repositories: Vec<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
}

/// The repositories of an organization that may use a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Visibility {
    /// `all`, `private` or `selected`.
    kind: String,
    /// The ids of the repositories in order, with `selected`.
    selected: Vec<u64>,
}

impl Visibility {
    pub(crate) async fn read(api: &Api, secret_path: &str) -> Result<Self, SinkError> {
        let kind = Self::read_kind(api, secret_path).await?;
        let mut selected = Vec::new();
        if kind == "selected" {
            selected = selected_repositories(api, secret_path).await?;
            selected.sort_unstable();
        }
        Ok(Self { kind, selected })
    }

    /// Reads the kind: `all`, `private` or `selected`.
    pub(crate) async fn read_kind(api: &Api, secret_path: &str) -> Result<String, SinkError> {
        let action = "read the visibility of the organization secret";
        let secret: SecretDocument = api.read(secret_path, action).await?;
        secret
            .visibility
            .ok_or_else(|| SinkError::other(format!("cannot {action}: GitHub does not show it")))
    }

    /// Returns the fields that make a write keep this visibility.
    pub(crate) fn fields(&self, app: App) -> Map<String, Value> {
        let mut fields = Map::new();
        fields.insert("visibility".to_owned(), Value::String(self.kind.clone()));
        if self.kind == "selected" {
            let ids = self.selected.iter();
            let ids = match app {
                // Dependabot's are strings (github.com/cli/cli, `DependabotSecretPayload`).
                App::Dependabot => ids.map(|id| json!(id.to_string())).collect(),
                App::Actions | App::Codespaces => ids.map(|id| json!(id)).collect(),
            };
            fields.insert("selected_repository_ids".to_owned(), Value::Array(ids));
        }
        fields
    }
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind.as_str(), self.selected.len()) {
            ("selected", 1) => f.write_str("1 selected repository"),
            ("selected", count) => write!(f, "{count} selected repositories"),
            (kind, _) => write!(f, "{kind} repositories"),
        }
    }
}

/// Adds the help for an organization secret that does not exist. It is not created, because the user
/// must decide which repositories may use it.
pub(crate) async fn explain_missing(
    error: SinkError,
    api: &Api,
    secrets_path: &str,
    secret: &str,
) -> SinkError {
    if error.kind() != SinkErrorKind::NotFound {
        return error;
    }
    // If the list cannot be read, there is no suggestion. `error` is reported in any case.
    let names = secret_names::list(api, secrets_path).await.unwrap_or_default();
    error.with_help(match secret_names::similar(&names, secret) {
        Some(similar) => format!(
            "create the organization secret {secret} once, or set `secret = \"{similar}\"` if you \
             meant that one"
        ),
        None => format!(
            "create the organization secret {secret} once and choose the repositories that may use it"
        ),
    })
}

async fn selected_repositories(api: &Api, secret_path: &str) -> Result<Vec<u64>, SinkError> {
    let mut ids = Vec::new();
    for number in 1.. {
        let path = format!("{secret_path}/repositories?per_page={PAGE}&page={number}");
        let page: Page = api.read(&path, "list the selected repositories").await?;
        let is_last = page.repositories.len() < PAGE;
        ids.extend(page.repositories.iter().map(|repository| repository.id));
        if is_last || ids.len() >= page.total_count {
            if ids.len() == page.total_count {
                break;
            }
            return Err(SinkError::conflict(
                "the selected repositories changed while they were listed",
            ));
        }
    }
    Ok(ids)
}
