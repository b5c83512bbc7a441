//! Connects to the source of the token: an Upstash account, or standard input.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use tokensink_core::{Secret, Token, TokenIssuer, TokenSource};
use tokensink_engine::{Command, Outcome, Report};
use tokensink_http::shown_host;
use tokensink_upstash::{
    ConnectError, CredentialsError, IssuerSettings, Named, PastedToken, QSTASH, TokenKind,
    UpstashCredentials, UpstashIssuer,
};

use crate::bounded_io::{self, PIPE_TIMEOUT};
use crate::config::UpstashTable;
use crate::run::{NOTHING_CHANGED, RunRequest, TokenOrigin};
use crate::token_stdin;

/// A fact that a probe does not prove (upstash.com/docs/qstash/howto/readonly-token).
const ONLY_READING: &str =
    "only reading is proven: QStash accepts the read-only token as well, which cannot publish";

const PASTE_ALONE: &str = "put the token alone on standard input, on one line";

/// The maximum size of a file with credentials.
const MAX_CREDENTIAL_BYTES: usize = 64 << 10;

/// The source of the token.
pub(crate) struct ConnectedSource {
    pub(crate) source: Arc<dyn TokenSource>,
    /// Replaces the token; `None` for a pasted one.
    pub(crate) issuer: Option<Arc<dyn TokenIssuer>>,
    /// Identifies the source in the journal.
    pub(crate) id: String,
    pub(crate) warnings: Vec<String>,
}

/// The error for a source that cannot be used.
#[derive(Debug)]
pub(crate) struct SourceError {
    outcome: Outcome,
    error: String,
    help: Option<&'static str>,
}

impl SourceError {
    fn invalid(error: &dyn std::fmt::Display) -> Self {
        Self { outcome: Outcome::Invalid, error: format!("{error}"), help: None }
    }

    fn unchanged(error: &dyn std::fmt::Display) -> Self {
        Self { outcome: Outcome::Unchanged, ..Self::invalid(error) }.with_help(NOTHING_CHANGED)
    }

    fn with_help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }

    /// Creates the report that ends `command`.
    pub(crate) fn report(self, command: Command) -> Report {
        let mut report = Report::refused(command, self.outcome, vec![self.error]);
        report.next.extend(self.help.map(str::to_owned));
        report
    }
}

/// Connects to the source that `request` names.
pub(crate) async fn connect(
    request: &RunRequest<'_>,
    table: &UpstashTable,
) -> Result<ConnectedSource, SourceError> {
    match request.token_origin {
        TokenOrigin::StandardInput => read_pasted(request, table).await,
        TokenOrigin::DeveloperApi => connect_to_account(request, table).await,
    }
}

async fn read_pasted(
    request: &RunRequest<'_>,
    table: &UpstashTable,
) -> Result<ConnectedSource, SourceError> {
    let invalid =
        |error: &dyn std::fmt::Display| SourceError::invalid(error).with_help(PASTE_ALONE);
    let text = token_stdin::read().await.map_err(|problem| invalid(&problem))?;
    let (url, region) = (table.qstash_url.clone(), table.region.as_deref());
    let pasted =
        PastedToken::new(&text, url, region, table.timeout).map_err(|error| invalid(&error))?;
    let foreign = table.qstash_url.as_ref().filter(|url| !QSTASH.owns(url));
    let mut warnings: Vec<String> =
        foreign.map(|url| format!("QStash is {}", shown_host(url))).into_iter().collect();
    warnings.extend(ensure_publishes(pasted.token(), request, table).await?);
    let id = pasted.id();
    Ok(ConnectedSource { source: Arc::new(pasted), issuer: None, id, warnings })
}

/// Compares a pasted token with the account's, if there are credentials. Returns warnings about what is
/// not proven.
///
/// # Errors
///
/// When the account shows that the token is the read-only one.
async fn ensure_publishes(
    token: &Token,
    request: &RunRequest<'_>,
    table: &UpstashTable,
) -> Result<Vec<String>, SourceError> {
    let not_compared = |reason: &dyn std::fmt::Display| {
        vec![format!("{ONLY_READING}; it was not compared with the account: {reason}")]
    };
    let credentials = match find_credentials(request, table).await {
        Ok(credentials) => credentials,
        Err(NoCredentials::Invalid(CredentialsError::None)) => {
            return Ok(vec![format!("{ONLY_READING}; compare it with the console")]);
        }
        Err(error) => return Ok(not_compared(&error)),
    };
    match UpstashIssuer::kind_of(token, &credentials, &settings_of(table)).await {
        Ok(TokenKind::Full) => Ok(Vec::new()),
        Ok(TokenKind::ReadOnly { region, .. }) => {
            let problem = format!(
                "the pasted token is the read-only token of the QStash in {region}: it cannot publish"
            );
            Err(SourceError::unchanged(&problem).with_help("paste QSTASH_TOKEN from the console"))
        }
        Ok(TokenKind::NotOfTheAccount) => {
            Ok(not_compared(&"the account of the Upstash credentials has no such token"))
        }
        Err(error) => Ok(not_compared(&error)),
    }
}

/// The error for missing or unusable credentials.
#[derive(Debug, thiserror::Error)]
enum NoCredentials {
    #[error(transparent)]
    Invalid(CredentialsError),
    #[error("the variable {variable} is not set: it holds the API key for {host}")]
    Unset { variable: String, host: String },
    #[error("cannot read the Upstash credentials: {0}")]
    Unreadable(io::Error),
}

impl From<NoCredentials> for SourceError {
    fn from(error: NoCredentials) -> Self {
        let invalid = Self::invalid(&error);
        match error {
            NoCredentials::Unset { .. } => {
                invalid.with_help("set it, or name another one in TOKENSINK_HOST_TOKENS")
            }
            NoCredentials::Unreadable(_) => Self::unchanged(&error),
            NoCredentials::Invalid(CredentialsError::Half { .. }) => invalid.with_help(
                "set both in one place: UPSTASH_EMAIL and UPSTASH_API_KEY, or --upstash-email with \
                 --upstash-api-key-file or --upstash-api-key-env",
            ),
            NoCredentials::Invalid(CredentialsError::File { .. }) => {
                invalid.with_help("fix that file, or set UPSTASH_EMAIL and UPSTASH_API_KEY instead")
            }
            NoCredentials::Invalid(_) => invalid,
        }
    }
}

/// Returns the credentials for the host of the Developer API: the host's own ones, if there are any.
async fn find_credentials(
    request: &RunRequest<'_>,
    table: &UpstashTable,
) -> Result<UpstashCredentials, NoCredentials> {
    let flags = &request.global.credentials;
    let environment = request.environment.clone();
    let named = match &table.api_key_variable {
        Some(variable) if environment.secret(variable).is_none() => {
            let host = shown_host(&table.api_url);
            return Err(NoCredentials::Unset { variable: variable.clone(), host });
        }
        Some(variable) => {
            // The email address is not a secret.
            let email = flags.upstash_email.as_deref().or(environment.setting("UPSTASH_EMAIL"));
            let email = email.map(str::to_owned);
            Named { email, api_key_file: None, api_key_env: Some(variable.clone()) }
        }
        None => Named {
            email: flags.upstash_email.clone(),
            api_key_file: flags.upstash_api_key_file.clone(),
            api_key_env: flags.upstash_api_key_env.clone(),
        },
    };
    // The key file may be a pipe.
    let found = bounded_io::within(PIPE_TIMEOUT, move || {
        Ok(UpstashCredentials::find(&named, &environment, &read_credential_file))
    });
    found.await.map_err(NoCredentials::Unreadable)?.map_err(NoCredentials::Invalid)
}

fn read_credential_file(file: &Path) -> io::Result<Secret> {
    let bytes = bounded_io::read_to_end(File::open(file)?, MAX_CREDENTIAL_BYTES)?;
    let text =
        str::from_utf8(&bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
    Ok(Secret::new(text))
}

fn settings_of(table: &UpstashTable) -> IssuerSettings {
    IssuerSettings {
        api_url: table.api_url.clone(),
        qstash_url: table.qstash_url.clone(),
        id: table.id.clone(),
        region: table.region.clone(),
        timeout: table.timeout,
    }
}

async fn connect_to_account(
    request: &RunRequest<'_>,
    table: &UpstashTable,
) -> Result<ConnectedSource, SourceError> {
    let credentials = find_credentials(request, table).await?;
    let upstash = UpstashIssuer::connect(&credentials, &settings_of(table)).await.map_err(
        |error| match error {
            ConnectError::NoChoice(_) => SourceError::invalid(&error),
            _ => SourceError::unchanged(&error),
        },
    )?;
    tracing::info!(credentials = credentials.origin(), issuer = %upstash, "connected");
    let id = upstash.id().to_owned();
    let mut warnings: Vec<String> = credentials.warning().map(str::to_owned).into_iter().collect();
    warnings.extend(upstash.foreign_hosts());
    let upstash = Arc::new(upstash);
    Ok(ConnectedSource {
        source: Arc::clone(&upstash) as Arc<_>,
        issuer: Some(upstash),
        id,
        warnings,
    })
}
