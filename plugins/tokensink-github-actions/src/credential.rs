//! Which GitHub token is sent, and where it may be sent to.
//!
//! A token that a person has lying about for github.com goes to github.com and to loopback, and
//! nowhere else: a config that came with a cloned repository must not be able to collect it.

use std::process::Stdio;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use tokensink_core::{Environment, Secret, SinkError};
use tokensink_http::{bearer, is_loopback, looks_like_a_token};
use tokio::process::Command;
use tokio::sync::OnceCell;

const GITHUB: &str = "api.github.com";

/// Variables that people have set for a service of their own. A table that sends one of them to
/// another host is a theft, or a mistake. Vercel and Fly are where QStash is sold too.
const DEFAULTS: &[&str] = &["GH_", "GITHUB_", "UPSTASH_", "QSTASH_", "AWS_", "VERCEL_", "FLY_"];

/// With several regions each has one of its own, such as `US_EAST_1_QSTASH_TOKEN`.
const OF_QSTASH: &str = "QSTASH_TOKEN";

/// How GitHub's tokens begin (github.blog/2021-04-05-behind-githubs-new-authentication-token-formats).
const TOKEN_PREFIXES: &[&str] = &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"];

/// What the GitHub command line needs to find its login: no credential is among it.
const CLI_VARIABLES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "GH_CONFIG_DIR",
    "XDG_CONFIG_HOME",
    "XDG_STATE_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
];

/// A GitHub token, or how to get at one.
#[derive(Debug)]
pub(crate) struct Credential {
    origin: String,
    source: Source,
    found: OnceCell<Secret>,
}

#[derive(Debug)]
enum Source {
    Variable(Option<Secret>),
    GitHubCli(Vec<(&'static str, String)>),
}

impl Credential {
    /// `named`, where the table names a variable; else what belongs to the host by default.
    pub(crate) fn choose(
        base: &Url,
        named: Option<&str>,
        environment: &Environment,
    ) -> Result<Self, SinkError> {
        let variable = |name: &str| {
            let source = Source::Variable(environment.secret(name).cloned());
            Self { origin: name.to_owned(), source, found: OnceCell::new() }
        };
        let first_set = |names: [&str; 2]| {
            names.into_iter().find(|name| environment.secret(name).is_some()).map(variable)
        };
        let host = base.host_str().unwrap_or_default();
        let is_home = host == GITHUB || is_loopback(base);
        if let Some(name) = named {
            if is_default(name) && !is_home {
                return Err(SinkError::config(format!("{name} does not belong to {host}"))
                    .with_help("put a token for that host into a variable of its own"));
            }
            return Ok(variable(name));
        }
        if is_home {
            let cli = Self {
                origin: "gh auth token".to_owned(),
                source: Source::GitHubCli(cli_environment(environment)),
                found: OnceCell::new(),
            };
            return Ok(first_set(["GH_TOKEN", "GITHUB_TOKEN"]).unwrap_or(cli));
        }
        let is_own_host = environment.setting("GH_HOST") == Some(host);
        let enterprise = first_set(["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"]);
        enterprise.filter(|_| is_own_host).ok_or_else(|| {
            SinkError::config(format!("no GitHub token belongs to {host}")).with_help(
                "name its variable with `token_env`, or set GH_HOST and GH_ENTERPRISE_TOKEN",
            )
        })
    }

    /// Where it comes from; shows no secret.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The token itself.
    pub(crate) async fn secret(&self, patience: Duration) -> Result<&Secret, SinkError> {
        self.found
            .get_or_try_init(|| async {
                match &self.source {
                    Source::Variable(Some(secret)) => Ok(secret.clone()),
                    Source::Variable(None) => Err(SinkError::permission_denied(format!(
                        "the variable {} is not set",
                        self.origin
                    ))
                    .with_help("set it to a GitHub token that may write secrets")),
                    Source::GitHubCli(variables) => ask_cli(variables, patience).await,
                }
            })
            .await
    }

    /// The header that carries it.
    pub(crate) async fn header(&self, patience: Duration) -> Result<HeaderValue, SinkError> {
        let secret = self.secret(patience).await?;
        bearer(secret.expose().trim()).map_err(|_| {
            SinkError::permission_denied(format!("{} holds no GitHub token", self.origin))
        })
    }
}

/// Refuses what is no variable's name, without repeating it: it may be the token itself.
pub(crate) fn check_variable_name(name: &str) -> Option<SinkError> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(is_word)
        && !TOKEN_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        // As the oldest tokens are: forty hexadecimal digits.
        && (name.contains('_') || !looks_like_a_token(name));
    (!is_name).then(|| {
        SinkError::config("option `token_env`: expected the name of an environment variable")
            .with_help("put the token into a variable, and write that variable's name here")
    })
}

/// Whether a variable of this name belongs to a service of its own.
fn is_default(name: &str) -> bool {
    let name = name.to_uppercase();
    name.ends_with(OF_QSTASH) || DEFAULTS.iter().any(|prefix| name.starts_with(prefix))
}

fn cli_environment(environment: &Environment) -> Vec<(&'static str, String)> {
    let set = CLI_VARIABLES.iter();
    set.filter_map(|name| Some((*name, environment.setting(name)?.to_owned()))).collect()
}

async fn ask_cli(variables: &[(&str, String)], patience: Duration) -> Result<Secret, SinkError> {
    let missing = || {
        SinkError::permission_denied("there is no GitHub token")
            .with_help("set GH_TOKEN, or log in with `gh auth login`")
    };
    let asked = Command::new("gh")
        // Without a host it answers with whatever login there is.
        .args(["auth", "token", "--hostname", "github.com"])
        .env_clear()
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let Ok(Ok(output)) = tokio::time::timeout(patience, asked).await else { return Err(missing()) };
    let said = String::from_utf8(output.stdout).map(Secret::new).map_err(|_| missing())?;
    let token = said.expose().trim();
    if output.status.success() && !token.is_empty() {
        Ok(Secret::new(token))
    } else {
        Err(missing())
    }
}
