//! Reads a repository and checks whether its secrets may be written.

use reqwest::Method;
use serde::Deserialize;
use tokensink_core::SinkError;
use tokensink_http::Response;

use crate::api::Api;
use crate::failure::header;
use crate::target::App;

const ACTION: &str = "read the repository";

/// A repository, from a single document or from a list.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Repository {
    pub(crate) id: u64,
    /// The current `owner/name`.
    pub(crate) full_name: String,
    #[serde(default)]
    archived: bool,
    permissions: Option<Permissions>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Permissions {
    #[serde(default)]
    admin: bool,
    #[serde(default)]
    maintain: bool,
    #[serde(default)]
    push: bool,
}

impl Repository {
    /// Returns whether the repository has this name. GitHub ignores letter case.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.full_name.eq_ignore_ascii_case(name)
    }

    pub(crate) fn refuse_unwritable(&self, app: App) -> Result<(), SinkError> {
        if self.archived {
            return Err(SinkError::rejected("the repository is archived and accepts no secret")
                .with_help("unarchive it, or remove it from the config"));
        }
        let may_write = |may: Permissions| may.admin || may.maintain || may.push;
        if self.permissions.is_some_and(|may| !may_write(may)) {
            return Err(SinkError::permission_denied(
                "the GitHub token may only read the repository",
            )
            .with_help("use one that may write its secrets"));
        }
        // docs.github.com/rest/codespaces/repository-secrets
        if app == App::Codespaces && self.permissions.is_some_and(|may| !may.admin) {
            return Err(SinkError::permission_denied(
                "the GitHub token is not of an admin of the repository, which Codespaces secrets require",
            )
            .with_help("use the GitHub token of an admin"));
        }
        Ok(())
    }
}

/// Reads one repository, given as `owner/name`. Follows one rename, by id.
pub(crate) async fn read(api: &Api, named: &str) -> Result<Repository, SinkError> {
    let mut response = api.send(Method::GET, &format!("repos/{named}"), None, ACTION).await?;
    if response.status.is_redirection() {
        response = api.get(&path_of_redirect(api, &response)?, ACTION).await?;
    } else if !response.status.is_success() {
        return Err(api.refusal(ACTION, &response).await);
    }
    response.json().map_err(|_| {
        SinkError::other(format!("cannot {ACTION}: the response is not in the documented form"))
    })
}

/// Returns the path of a redirect to the same host. The credential is not sent to another host.
fn path_of_redirect(api: &Api, response: &Response) -> Result<String, SinkError> {
    let base = &api.base;
    let location = header(response, "location").and_then(|to| base.join(to).ok());
    let path = location
        .filter(|to| to.origin() == base.origin())
        .and_then(|to| to.path().strip_prefix(base.path()).map(str::to_owned));
    path.ok_or_else(|| {
        SinkError::other(
            "the repository has moved to another host, and no credential is sent there",
        )
        .with_help("set the repository's new name in the config")
    })
}
