//! Who may use an organization's secret: an update that leaves it out would clear it.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokensink_core::SinkError;

use crate::api::Api;
use crate::target::App;

const PAGE: usize = 100;

#[derive(Deserialize)]
struct Secret {
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

/// The fields that a PUT must repeat so that the secret stays as visible as it is.
pub(crate) async fn visibility(
    api: &Api,
    secret_path: &str,
    app: App,
) -> Result<Map<String, Value>, SinkError> {
    let answer = api.get(secret_path, "see who may use the organization's secret").await;
    let secret: Secret = answer
        .map_err(|error| match error.kind() {
            tokensink_core::SinkErrorKind::NotFound => error.with_help(
                "make the organization's secret once by hand: who may use it is for you to decide",
            ),
            _ => error,
        })?
        .json()
        .map_err(|_| SinkError::other("the organization's secret is not what is documented"))?;
    let Some(visibility) = secret.visibility else {
        return Err(SinkError::other("GitHub does not say who may use the organization's secret"));
    };
    let mut fields = Map::new();
    if visibility == "selected" {
        let ids = selected_repositories(api, secret_path).await?;
        let ids: Vec<Value> = match app {
            // Dependabot's are strings (github.com/cli/cli, `DependabotSecretPayload`).
            App::Dependabot => ids.iter().map(|id| json!(id.to_string())).collect(),
            App::Actions | App::Codespaces => ids.iter().map(|id| json!(id)).collect(),
        };
        fields.insert("selected_repository_ids".to_owned(), Value::Array(ids));
    }
    fields.insert("visibility".to_owned(), Value::String(visibility));
    Ok(fields)
}

async fn selected_repositories(api: &Api, secret_path: &str) -> Result<Vec<u64>, SinkError> {
    let mut ids = Vec::new();
    for number in 1.. {
        let path = format!("{secret_path}/repositories?per_page={PAGE}&page={number}");
        let answer = api.get(&path, "list the selected repositories").await?;
        let page: Page = answer.json().map_err(|_| {
            SinkError::other("the selected repositories are not what is documented")
        })?;
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
