//! Who issues the token: an Upstash account, or a person who pastes it.

use std::io::Read as _;
use std::sync::Arc;

use tokensink_core::{Secret, TokenIssuer};
use tokensink_engine::Outcome;
use tokensink_upstash::{ConnectError, Credentials, Named, Pasted, Settings, Upstash};

use crate::config::UpstashTable;
use crate::run::{Request, TokenSource};

/// The longest text that is read as a token.
const MAX_PASTED_BYTES: u64 = 64 * 1024;

/// The issuer, and what it is called in the journal.
pub(crate) struct Chosen {
    pub(crate) issuer: Arc<dyn TokenIssuer>,
    pub(crate) id: String,
    pub(crate) warnings: Vec<String>,
}

/// Why there is no issuer.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) outcome: Outcome,
    pub(crate) errors: Vec<String>,
}

impl Failure {
    fn invalid(error: &dyn std::fmt::Display) -> Self {
        Self { outcome: Outcome::Invalid, errors: vec![format!("{error}")] }
    }

    fn unchanged(error: &dyn std::fmt::Display) -> Self {
        Self { outcome: Outcome::Unchanged, errors: vec![format!("{error}")] }
    }
}

pub(crate) async fn choose(request: &Request<'_>, table: &UpstashTable) -> Result<Chosen, Failure> {
    match request.token_source {
        TokenSource::StandardInput => paste(table).await,
        TokenSource::DeveloperApi => connect(request, table).await,
    }
}

async fn paste(table: &UpstashTable) -> Result<Chosen, Failure> {
    let read = tokio::task::spawn_blocking(|| {
        let mut text = String::with_capacity(MAX_PASTED_BYTES as usize);
        std::io::stdin().take(MAX_PASTED_BYTES).read_to_string(&mut text).map(|_| Secret::new(text))
    });
    let text = match read.await {
        Ok(Ok(text)) => text,
        Ok(Err(error)) => {
            return Err(Failure::invalid(&format_args!("could not read standard input: {error}")));
        }
        Err(_) => return Err(Failure::invalid(&"could not read standard input")),
    };
    let (url, region) = (table.qstash_url.clone(), table.region.as_deref());
    let pasted =
        Pasted::new(&text, url, region, table.timeout).map_err(|error| Failure::invalid(&error))?;
    let id = pasted.id();
    Ok(Chosen { issuer: Arc::new(pasted), id, warnings: Vec::new() })
}

async fn connect(request: &Request<'_>, table: &UpstashTable) -> Result<Chosen, Failure> {
    let flags = &request.global.credentials;
    let named = Named {
        email: flags.upstash_email.clone(),
        api_key_file: flags.upstash_api_key_file.clone(),
        api_key_env: flags.upstash_api_key_env.clone(),
    };
    let credentials =
        Credentials::find(&named, request.environment).map_err(|error| Failure::invalid(&error))?;
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
    let warnings = credentials.warning().map(str::to_owned).into_iter().collect();
    Ok(Chosen { issuer: Arc::new(upstash), id, warnings })
}
