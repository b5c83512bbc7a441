//! What GitHub tells of a repository, and whether its secrets may be written.

use reqwest::Method;
use serde::Deserialize;
use tokensink_core::SinkError;
use tokensink_http::Response;

use crate::api::Api;
use crate::failure::header;
use crate::target::App;

const DOING: &str = "read the repository";

/// A repository, by itself or in a list.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Repository {
    pub(crate) id: u64,
    /// `owner/name`, as it is called now.
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
    /// GitHub's names know no case.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.full_name.eq_ignore_ascii_case(name)
    }

    pub(crate) fn refuse_unwritable(&self, app: App) -> Result<(), SinkError> {
        if self.archived {
            return Err(SinkError::rejected("the repository is archived, and takes no secret")
                .with_help("unarchive it, or take it out of the config"));
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
                "the GitHub token is of no admin of the repository, whose Codespaces secrets take one",
            )
            .with_help("use one of an admin"));
        }
        Ok(())
    }
}

/// Asks for one repository, as `owner/name`. Follows one rename, by id.
pub(crate) async fn ask_for(api: &Api, named: &str) -> Result<Repository, SinkError> {
    let mut answer = api.send(Method::GET, &format!("repos/{named}"), None, DOING).await?;
    if answer.status.is_redirection() {
        answer = api.get(&path_of_redirect(api, &answer)?, DOING).await?;
    } else if !answer.status.is_success() {
        return Err(api.refusal(DOING, &answer).await);
    }
    answer.json().map_err(|_| {
        SinkError::other(format!("cannot {DOING}: the answer is not what is documented"))
    })
}

/// The path that a redirect names, on the same host: a credential goes nowhere else.
fn path_of_redirect(api: &Api, answer: &Response) -> Result<String, SinkError> {
    let base = &api.base;
    let location = header(answer, "location").and_then(|to| base.join(to).ok());
    let path = location
        .filter(|to| to.origin() == base.origin())
        .and_then(|to| to.path().strip_prefix(base.path()).map(str::to_owned));
    path.ok_or_else(|| {
        SinkError::other("the repository has moved to another host, which is not followed")
            .with_help("name the repository by its new name")
    })
}
