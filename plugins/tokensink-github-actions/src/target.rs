//! The location of a secret: its path in the API, and its name in messages.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Deserialize;
use tokensink_core::{SharedPlace, TargetId};

/// The product that uses the secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum App {
    #[default]
    Actions,
    Dependabot,
    Codespaces,
}

impl App {
    fn segment(self) -> &'static str {
        match self {
            Self::Actions => "actions",
            Self::Dependabot => "dependabot",
            Self::Codespaces => "codespaces",
        }
    }
}

/// The owner of the secret.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    Repository { repository: String, environment: Option<String> },
    Organization(String),
}

/// A secret.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) scope: Scope,
    pub(crate) app: App,
    pub(crate) secret: String,
}

impl Target {
    /// Returns the path of the repository or organization, as the config names it.
    pub(crate) fn owner_path(&self) -> String {
        match &self.scope {
            Scope::Repository { repository, .. } => format!("repos/{repository}"),
            Scope::Organization(organization) => format!("orgs/{organization}"),
        }
    }

    /// Returns the path of the secrets below `owner`.
    pub(crate) fn secrets_path(&self, owner: &str) -> String {
        match &self.scope {
            Scope::Repository { environment: Some(environment), .. } => {
                let environment = utf8_percent_encode(environment, NON_ALPHANUMERIC);
                format!("{owner}/environments/{environment}/secrets")
            }
            _ => format!("{owner}/{}/secrets", self.app.segment()),
        }
    }

    /// Returns the one secret that could replace those of all repositories of an owner.
    pub(crate) fn shared_place(&self) -> Option<SharedPlace> {
        match &self.scope {
            Scope::Repository { repository, environment: None } => {
                let owner = repository.split('/').next()?;
                Some(SharedPlace {
                    replaces: format!("repositories of {owner}"),
                    place: "one organization secret".to_owned(),
                })
            }
            _ => None,
        }
    }

    /// Returns the secret's identity. It ignores letter case, like GitHub.
    pub(crate) fn id(&self, host: &str) -> TargetId {
        let path = self.secrets_path(&self.owner_path().to_lowercase());
        TargetId::new("github-actions", format!("{host}/{path}/{}", self.secret.to_uppercase()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.scope {
            Scope::Repository { repository, environment } => {
                f.write_str(repository)?;
                if let Some(environment) = environment {
                    write!(f, " (environment {environment})")?;
                }
            }
            Scope::Organization(organization) => write!(f, "organization {organization}")?,
        }
        if self.app != App::Actions {
            write!(f, " {}", self.app.segment())?;
        }
        write!(f, " {}", self.secret)
    }
}
