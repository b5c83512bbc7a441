//! Chooses the GitHub token for a host.

use std::process::Stdio;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderValue;
use tokensink_core::{BuildContext, Environment, Origin, Secret, SinkError, request_value_problem};
use tokensink_http::{
    AllowedHost, DefaultCredential, GrantedCredential, HostSetting, VariableName, Vendor,
    authorize, bearer,
};
use tokio::process::Command;
use tokio::sync::OnceCell;

/// GitHub's own hosts. A token of github.com is not sent to other hosts, because an Enterprise Server
/// has its own tokens.
pub(crate) const GITHUB: Vendor =
    Vendor::new("GitHub", is_own_host, DefaultCredential::OwnHostsOnly)
        .with_setting_outside("set GH_HOST to that host and GH_ENTERPRISE_TOKEN to its token");

const PUBLIC_API: &str = "api.github.com";
const PUBLIC_HOST: &str = "github.com";

/// The variables whose tokens GitHub's own tools send to an Enterprise Server.
const ENTERPRISE_VARIABLES: [&str; 2] = ["GH_ENTERPRISE_TOKEN", "GITHUB_ENTERPRISE_TOKEN"];

/// The variables that the GitHub CLI needs to find its login. None of them contains a credential.
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

/// A GitHub token and its source. It is read at the first use.
#[derive(Debug)]
pub(crate) struct Credential {
    origin: String,
    source: Source,
    found: OnceCell<Secret>,
}

#[derive(Debug)]
enum Source {
    Variable(Option<Secret>),
    GitHubCli { host: String, variables: Vec<(&'static str, String)> },
}

impl Credential {
    /// Chooses the token for `base`, the URL in the table's `api_url`.
    ///
    /// # Errors
    ///
    /// When no token may be sent to that host.
    pub(crate) fn choose(
        base: &Url,
        token_env: Option<&str>,
        context: &BuildContext,
    ) -> Result<Self, SinkError> {
        let environment = context.environment();
        let origin = context.origin("api_url");
        let is_named_outside = origin != Origin::ProjectFile || is_gh_host(base, environment);
        let setting = HostSetting::new(base, origin)
            .with_token_env(token_env.map(|name| (name, context.origin("token_env"))))
            .with_vendor_variable(
                first_set(ENTERPRISE_VARIABLES, environment).filter(|_| is_named_outside),
            );
        let grant = authorize(&GITHUB, &setting, context.hosts())
            .map_err(|refusal| refusal.into_sink_error("api_url"))?;
        Ok(match grant.credential {
            GrantedCredential::Variable(name) => Self::in_variable(&name, environment),
            GrantedCredential::VendorDefault => {
                match first_set(["GH_TOKEN", "GITHUB_TOKEN"], environment) {
                    Some(name) => Self::in_variable(name, environment),
                    None => Self::of_cli(base, environment),
                }
            }
        })
    }

    fn in_variable(name: &str, environment: &Environment) -> Self {
        let source = Source::Variable(environment.secret(name).cloned());
        Self { origin: name.to_owned(), source, found: OnceCell::new() }
    }

    fn of_cli(base: &Url, environment: &Environment) -> Self {
        let host = tenant(base.host_str().unwrap_or_default());
        let host =
            host.map_or_else(|| PUBLIC_HOST.to_owned(), |tenant| format!("{tenant}.ghe.com"));
        let source = Source::GitHubCli { host, variables: cli_environment(environment) };
        Self { origin: "gh auth token".to_owned(), source, found: OnceCell::new() }
    }

    /// Returns the name of the token's source.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the token.
    pub(crate) async fn secret(&self, timeout: Duration) -> Result<&Secret, SinkError> {
        self.found
            .get_or_try_init(|| async {
                match &self.source {
                    Source::Variable(Some(secret)) => {
                        ensure_usable(secret, &self.origin)?;
                        Ok(secret.clone())
                    }
                    Source::Variable(None) => Err(SinkError::permission_denied(format!(
                        "the variable {} is not set",
                        self.origin
                    ))
                    .with_help("set it to a GitHub token that may write secrets")),
                    Source::GitHubCli { host, variables } => {
                        ask_cli(host, variables, timeout).await
                    }
                }
            })
            .await
    }

    /// Returns the `Authorization` header with the token.
    pub(crate) async fn header(&self, timeout: Duration) -> Result<HeaderValue, SinkError> {
        let secret = self.secret(timeout).await?;
        bearer(secret.expose()).map_err(|_| {
            SinkError::permission_denied(format!("{} contains no GitHub token", self.origin))
        })
    }
}

/// Returns whether `host` is an API host of GitHub itself: of github.com, or of an organization with a
/// subdomain of ghe.com (docs.github.com/enterprise-cloud@latest/admin/data-residency).
fn is_own_host(host: &str) -> bool {
    host == PUBLIC_API || tenant(host).is_some()
}

/// Returns the subdomain of ghe.com whose API host is `host`.
fn tenant(host: &str) -> Option<&str> {
    let tenant = host.strip_prefix("api.")?.strip_suffix(".ghe.com")?;
    let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    Some(tenant).filter(|tenant| !tenant.is_empty() && tenant.chars().all(is_label))
}

/// Returns whether `GH_HOST` names the host of `base`. Without a port it means the default one.
fn is_gh_host(base: &Url, environment: &Environment) -> bool {
    let named = environment.setting("GH_HOST").and_then(|host| host.parse().ok());
    named.is_some_and(|named: AllowedHost| named.is_exactly(base))
}

fn first_set<'a>(names: [&'a str; 2], environment: &Environment) -> Option<&'a str> {
    names.into_iter().find(|name| environment.secret(name).is_some())
}

/// Returns an error if `name` is not the name of a variable. The error does not contain the text, which
/// may be the token itself.
pub(crate) fn check_variable_name(name: &str) -> Option<SinkError> {
    let error = VariableName::parse(name).err()?;
    let error = SinkError::config(format!("option `token_env`: {error}")).for_option("token_env");
    Some(error.with_help("put the token into a variable, and write that variable's name here"))
}

fn ensure_usable(secret: &Secret, variable: &str) -> Result<(), SinkError> {
    request_value_problem(secret.expose()).map_or(Ok(()), |problem| {
        let message = format!("{variable} does not contain a GitHub token: {problem}");
        Err(SinkError::permission_denied(message).with_help("set it to the token alone"))
    })
}

fn cli_environment(environment: &Environment) -> Vec<(&'static str, String)> {
    let set = CLI_VARIABLES.iter();
    set.filter_map(|name| Some((*name, environment.setting(name)?.to_owned()))).collect()
}

async fn ask_cli(
    host: &str,
    variables: &[(&str, String)],
    timeout: Duration,
) -> Result<Secret, SinkError> {
    let missing = || {
        SinkError::permission_denied("there is no GitHub token")
            .with_help("set GH_TOKEN, or log in with `gh auth login`")
    };
    let asked = Command::new("gh")
        // Without a host, the command returns the token of any login.
        .args(["auth", "token", "--hostname", host])
        .env_clear()
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let Ok(Ok(output)) = tokio::time::timeout(timeout, asked).await else { return Err(missing()) };
    let printed = String::from_utf8(output.stdout).map(Secret::new).map_err(|_| missing())?;
    let token = printed.expose().trim();
    if output.status.success() && !token.is_empty() {
        Ok(Secret::new(token))
    } else {
        Err(missing())
    }
}
