//! Who issues the token: an Upstash account, or a person who pastes it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokensink_core::{Environment, Secret, TokenIssuer, TokenSource};
use tokensink_engine::{Command, Outcome, Report};
use tokensink_http::reqwest::Url;
use tokensink_http::shown_host;
use tokensink_upstash::{
    ConnectError, Credentials, CredentialsError, Named, PastedToken, QSTASH, Settings, Upstash,
};

use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::config::UpstashTable;
use crate::run::{NOTHING_CHANGED, Request, TokenOrigin};
use crate::token_stdin;

/// What cannot be known of a pasted token (upstash.com/docs/qstash/howto/readonly-token).
const ONLY_READING: &str = "only reading is proven: the read-only token would be accepted here as well, and \
                            cannot publish; compare with the console";

/// The longest wait for a file with credentials: it may be a pipe, or on another machine.
const FILE_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest file with credentials that is read.
const MAX_CREDENTIAL_BYTES: usize = 64 << 10;

/// Where the token is read, and what that is called in the journal.
pub(crate) struct Chosen {
    pub(crate) source: Arc<dyn TokenSource>,
    /// Replaces the token; a pasted one cannot be replaced.
    pub(crate) issuer: Option<Arc<dyn TokenIssuer>>,
    pub(crate) id: String,
    pub(crate) warnings: Vec<String>,
}

/// Why there is no issuer.
#[derive(Debug)]
pub(crate) struct Failure {
    outcome: Outcome,
    error: String,
    advice: Option<&'static str>,
}

impl Failure {
    fn invalid(error: &dyn std::fmt::Display) -> Self {
        Self { outcome: Outcome::Invalid, error: format!("{error}"), advice: None }
    }

    fn unchanged(error: &dyn std::fmt::Display) -> Self {
        Self { outcome: Outcome::Unchanged, ..Self::invalid(error) }.with_help(NOTHING_CHANGED)
    }

    fn with_help(self, advice: &'static str) -> Self {
        Self { advice: Some(advice), ..self }
    }

    /// The report that ends `command`.
    pub(crate) fn report(self, command: Command) -> Report {
        let mut report = Report::refused(command, self.outcome, vec![self.error]);
        report.next.extend(self.advice.map(str::to_owned));
        report
    }
}

pub(crate) async fn choose(request: &Request<'_>, table: &UpstashTable) -> Result<Chosen, Failure> {
    match request.token_origin {
        TokenOrigin::StandardInput => paste(table).await,
        TokenOrigin::DeveloperApi => connect(request, table).await,
    }
}

async fn paste(table: &UpstashTable) -> Result<Chosen, Failure> {
    let again = "put the token alone on standard input, on one line";
    let mistaken = |error: &dyn std::fmt::Display| Failure::invalid(error).with_help(again);
    let text = token_stdin::read().await.map_err(|problem| mistaken(&problem))?;
    let (url, region) = (table.qstash_url.clone(), table.region.as_deref());
    let pasted =
        PastedToken::new(&text, url, region, table.timeout).map_err(|error| mistaken(&error))?;
    let id = pasted.id();
    let foreign = table.qstash_url.as_ref().filter(|url| !QSTASH.owns(url));
    let warnings = foreign.map(|url| format!("QStash is {}", shown_host(url)));
    let warnings = warnings.into_iter().chain([ONLY_READING.to_owned()]).collect();
    Ok(Chosen { source: Arc::new(pasted), issuer: None, id, warnings })
}

/// The credentials for a host that has an API key of its own. The email address is not a secret.
fn key_of_host(request: &Request<'_>, url: &Url, variable: &str) -> Result<Named, Failure> {
    if request.environment.secret(variable).is_none() {
        let host = shown_host(url);
        let problem =
            format!("the variable {variable} is not set: it holds the API key for {host}");
        return Err(Failure::invalid(&problem)
            .with_help("set it, or name another one in TOKENSINK_HOST_TOKENS"));
    }
    let email = request.global.credentials.upstash_email.as_deref();
    let email = email.or_else(|| request.environment.setting("UPSTASH_EMAIL")).map(str::to_owned);
    Ok(Named { email, api_key_file: None, api_key_env: Some(variable.to_owned()) })
}

/// Looks for the credentials away from the async threads: a file may be a pipe that never ends, and an
/// interrupt must end the wait.
async fn find_credentials(
    named: Named,
    environment: &Environment,
) -> Result<Result<Credentials, CredentialsError>, Failure> {
    let environment = environment.clone();
    let looking = tokio::task::spawn_blocking(move || {
        Credentials::find(&named, &environment, &read_credential_file)
    });
    match timeout(FILE_TIMEOUT, looking).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(Failure::unchanged(&error)),
        Err(_) => Err(Failure::unchanged(&format!(
            "the file with the Upstash credentials could not be read within {FILE_TIMEOUT:?}"
        ))),
    }
}

fn read_credential_file(file: &Path) -> io::Result<Secret> {
    let mut text = Zeroizing::new(String::with_capacity(MAX_CREDENTIAL_BYTES + 1));
    File::open(file)?.take(MAX_CREDENTIAL_BYTES as u64 + 1).read_to_string(&mut text)?;
    if text.len() > MAX_CREDENTIAL_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 64 KB"));
    }
    Ok(Secret::new(text.as_str()))
}

async fn connect(request: &Request<'_>, table: &UpstashTable) -> Result<Chosen, Failure> {
    let named = match &table.api_key_variable {
        Some(variable) => key_of_host(request, &table.api_url, variable)?,
        None => {
            let flags = &request.global.credentials;
            Named {
                email: flags.upstash_email.clone(),
                api_key_file: flags.upstash_api_key_file.clone(),
                api_key_env: flags.upstash_api_key_env.clone(),
            }
        }
    };
    let credentials = find_credentials(named, request.environment).await?.map_err(|error| {
        let failure = Failure::invalid(&error);
        match error {
            CredentialsError::None | CredentialsError::Value { .. } => failure,
            CredentialsError::Half { .. } => failure.with_help(
                "set both in one place: UPSTASH_EMAIL and UPSTASH_API_KEY, or --upstash-email with \
                 --upstash-api-key-file or --upstash-api-key-env",
            ),
            CredentialsError::File { .. } => failure
                .with_help("mend that file, or set UPSTASH_EMAIL and UPSTASH_API_KEY instead"),
        }
    })?;
    let settings = Settings {
        api_url: table.api_url.clone(),
        qstash_url: table.qstash_url.clone(),
        id: table.id.clone(),
        region: table.region.clone(),
        timeout: table.timeout,
    };
    let upstash = Upstash::connect(&credentials, &settings).await.map_err(|error| match error {
        ConnectError::NoChoice(_) => Failure::invalid(&error),
        _ => Failure::unchanged(&error),
    })?;
    tracing::info!(credentials = credentials.origin(), issuer = %upstash, "connected");
    let id = upstash.id().to_owned();
    let mut warnings: Vec<String> = credentials.warning().map(str::to_owned).into_iter().collect();
    warnings.extend(upstash.foreign_hosts());
    let upstash = Arc::new(upstash);
    Ok(Chosen { source: Arc::clone(&upstash) as Arc<_>, issuer: Some(upstash), id, warnings })
}
