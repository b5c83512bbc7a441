//! The options of a table of kind `github-actions`.

use reqwest::Url;
use schemars::JsonSchema;
use serde::Deserialize;
use tokensink_core::{BuildContext, SinkConfig, SinkError};
use tokensink_http::parse_base_url;

use crate::GitHubSink;
use crate::api::Api;
use crate::credential::{Credential, check_variable_name};
use crate::target::{App, Scope, Target};

const API_URL: &str = "https://api.github.com";
const DEFAULT_SECRET: &str = "QSTASH_TOKEN";

/// A `[sinks.NAME]` table with `kind = "github-actions"`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct GitHubActionsConfig {
    /// the repositories, as owner/name; each becomes a separate sink
    repositories: Option<Vec<String>>,
    /// the organization that has the secret, instead of repositories
    organization: Option<String>,
    /// the environment of the repositories that has the secret
    environment: Option<String>,
    /// the product that uses the secret: actions (default), dependabot or codespaces
    app: App,
    /// the secret's name; QSTASH_TOKEN by default
    secret: Option<String>,
    /// the REST API of a GitHub Enterprise Server
    api_url: Option<String>,
    /// the environment variable that contains the GitHub token
    token_env: Option<String>,
    /// the rate limits to observe: github.com or none; by default those of the host
    limits: Option<Limits>,
}

/// The rate limits to observe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub(crate) enum Limits {
    /// The limits of github.com, which an Enterprise Server can also have.
    #[serde(rename = "github.com")]
    GitHubCom,
    /// No known limits. Pauses that the server requests are observed.
    #[serde(rename = "none")]
    None,
}

impl SinkConfig for GitHubActionsConfig {
    const KIND: &'static str = "github-actions";
    const SUMMARY: &'static str = "secrets of GitHub Actions, Dependabot and Codespaces";
    const PERMISSIONS: &'static str = "\
repository secret: classic scope `repo`, or fine-grained `Secrets: write`
environment secret: classic scope `repo`, or fine-grained `Environments: write`
organization secret: classic scope `admin:org`, or fine-grained organization `Secrets: write`
with `app = \"dependabot\"`: the same scopes, or fine-grained `Dependabot secrets: write`
with `app = \"codespaces\"`: the same scopes, or fine-grained `Codespaces secrets: write`, of an admin
the GITHUB_TOKEN of a workflow run may not write secrets";
    const TAKES_EFFECT: &'static str =
        "on the next run; a run that is already queued keeps the old token";
    const EXAMPLE: &'static str = "repositories = [\"acme/api\", \"acme/web\"]";
    type Sink = GitHubSink;

    fn build(self, context: &BuildContext) -> Result<Vec<GitHubSink>, Vec<SinkError>> {
        let mut errors = Vec::new();
        let scopes = self.scopes(&mut errors);
        let secret = self.secret.clone().unwrap_or_else(|| DEFAULT_SECRET.to_owned());
        errors.extend(check_secret_name(&secret));
        errors.extend(self.token_env.as_deref().and_then(check_variable_name));
        let base = self.base(&mut errors);
        let (Some(base), true) = (base, errors.is_empty()) else { return Err(errors) };
        let limits = self.limits.unwrap_or(if base.as_str() == format!("{API_URL}/") {
            Limits::GitHubCom
        } else {
            Limits::None
        });
        let credential = Credential::choose(&base, self.token_env.as_deref(), context)
            .map_err(|error| vec![error])?;
        let timeout = context.attempt_timeout();
        let key = format!("github-actions {base} {} {timeout:?} {limits:?}", credential.origin());
        let api = context.shared(&key, || Api::new(base, credential, timeout, limits));
        let sink = |scope| {
            let target = Target { scope, app: self.app, secret: secret.clone() };
            GitHubSink::new(target, std::sync::Arc::clone(&api))
        };
        Ok(scopes.into_iter().map(sink).collect())
    }
}

impl GitHubActionsConfig {
    fn scopes(&self, errors: &mut Vec<SinkError>) -> Vec<Scope> {
        if self.environment.as_deref() == Some("") {
            errors
                .push(SinkError::config("option `environment` is empty").for_option("environment"));
        }
        if self.environment.is_some() && self.app != App::Actions {
            let problem = "`environment` is allowed with `app = \"actions\"` only";
            errors.push(SinkError::config(problem).for_option("environment"));
        }
        match (&self.repositories, &self.organization) {
            (Some(_), Some(_)) => {
                let problem = "`repositories` and `organization` exclude each other";
                errors.push(SinkError::config(problem).for_option("organization"));
                Vec::new()
            }
            (None, None) => {
                let missing =
                    SinkError::config("missing option `repositories`").for_option("repositories");
                errors.push(missing.with_help("or name an `organization`"));
                Vec::new()
            }
            (None, Some(organization)) => {
                if self.environment.is_some() {
                    let problem = "`environment` is allowed with `repositories` only";
                    errors.push(SinkError::config(problem).for_option("environment"));
                }
                if !is_name(organization) {
                    let problem = format!("option `organization`: `{organization}` is not a name");
                    errors.push(SinkError::config(problem).for_option("organization"));
                }
                vec![Scope::Organization(organization.clone())]
            }
            (Some(repositories), None) => self.repository_scopes(repositories, errors),
        }
    }

    fn repository_scopes(
        &self,
        repositories: &[String],
        errors: &mut Vec<SinkError>,
    ) -> Vec<Scope> {
        if repositories.is_empty() {
            errors.push(
                SinkError::config("option `repositories` is empty").for_option("repositories"),
            );
        }
        let mut scopes = Vec::new();
        for repository in repositories {
            match repository.split_once('/') {
                Some((owner, name)) if is_name(owner) && is_name(name) => {
                    scopes.push(Scope::Repository {
                        repository: repository.clone(),
                        environment: self.environment.clone(),
                    });
                }
                _ => {
                    let problem =
                        format!("option `repositories`: `{repository}` is not an owner/name");
                    let error = SinkError::config(problem).for_option("repositories");
                    errors.push(error.with_help("write it like acme/api"));
                }
            }
        }
        scopes
    }

    fn base(&self, errors: &mut Vec<SinkError>) -> Option<Url> {
        match parse_base_url(self.api_url.as_deref().unwrap_or(API_URL)) {
            Ok(base) => Some(base),
            Err(error) => {
                errors.push(
                    SinkError::config(format!("option `api_url`: {error}")).for_option("api_url"),
                );
                None
            }
        }
    }
}

/// Returns whether `text` can be part of a path without escaping.
fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && text.chars().all(allowed) && !text.chars().all(|c| c == '.')
}

/// Checks a secret's name (docs.github.com/actions/reference/secrets-reference).
fn check_secret_name(secret: &str) -> Option<SinkError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let problem = if secret.is_empty() || !secret.chars().all(allowed) {
        "has only letters, digits and _"
    } else if secret.starts_with(|first: char| first.is_ascii_digit()) {
        "does not start with a digit"
    } else if secret.to_uppercase().starts_with("GITHUB_") {
        "does not start with GITHUB_"
    } else {
        return None;
    };
    Some(
        SinkError::config(format!("option `secret`: a secret's name {problem}"))
            .for_option("secret"),
    )
}
