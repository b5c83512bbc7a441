//! A pasted token, for marketplace accounts, which have no access to the Developer API.

use std::fmt;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use reqwest::Url;
use tokensink_core::{
    Issued, IssuerError, Secret, Token, TokenSource, async_trait, request_value_problem, trimmed,
};
use tokensink_http::ClientError;

use crate::probe::{self, Probe};

/// QStash's regions (upstash.com/docs/qstash/howto/multi-region).
const REGIONS: [&str; 2] = ["eu-central-1", "us-east-1"];

/// A token that can be probed but not reset.
#[derive(Debug)]
pub struct PastedToken {
    token: Token,
    probes: Vec<Probe>,
}

/// An error in a pasted token or its region.
#[derive(Debug, thiserror::Error)]
pub enum PastedTokenError {
    /// The text is not a token. The reason does not quote it.
    #[error("standard input contains no token: {0}")]
    NotAToken(&'static str),
    /// The region does not exist.
    #[error(transparent)]
    Region(#[from] IssuerError),
    /// The HTTP client could not be built.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl PastedToken {
    /// Parses `text` as it was read. The token is probed at `qstash_url` if that is given, else in
    /// `region` if that is given, else in every region.
    ///
    /// # Errors
    ///
    /// When the text is empty, has several lines or quotes, or contains more than the token; when
    /// the region does not exist.
    pub fn new(
        text: &Secret,
        qstash_url: Option<Url>,
        region: Option<&str>,
        timeout: Duration,
    ) -> Result<Self, PastedTokenError> {
        let text = trimmed(text.expose());
        let problem = if text.is_empty() {
            Some("it is empty")
        } else if text.contains(['\n', '\r']) {
            Some("it has several lines")
        } else if text.starts_with(['"', '\'']) || text.ends_with(['"', '\'']) {
            Some("it is quoted; paste the token alone")
        } else if text.contains(char::is_whitespace) {
            Some("it contains a blank; paste the token alone, without `Bearer`")
        } else if text.contains("QSTASH_TOKEN=") {
            Some("it is an assignment; paste only the value after the `=`")
        } else {
            request_value_problem(text)
        };
        if let Some(problem) = problem {
            return Err(PastedTokenError::NotAToken(problem));
        }
        let hosts = match (qstash_url, region) {
            (Some(url), _) => vec![url],
            (None, Some(region)) => vec![probe::host_of(region)?],
            (None, None) => REGIONS.map(probe::host_of).into_iter().collect::<Result<_, _>>()?,
        };
        let probes = hosts.into_iter().map(|host| Probe::new(host, timeout));
        Ok(Self { token: Token::new(text), probes: probes.collect::<Result<_, _>>()? })
    }

    /// Returns the token.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Returns the key for the journal, which replaces the QStash's unknown id.
    pub fn id(&self) -> String {
        let only = self.probes.first().filter(|_| self.probes.len() == 1);
        format!("pasted-{}", only.map_or("any", Probe::host))
    }
}

impl fmt::Display for PastedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the pasted token's QStash")
    }
}

#[async_trait]
impl TokenSource for PastedToken {
    async fn current(&self) -> Result<Issued, IssuerError> {
        Ok(Issued::new(self.token.clone()))
    }

    async fn accepts(&self, token: &Token) -> Result<bool, IssuerError> {
        // All regions are probed at once, so that one without a response does not delay the others.
        let mut responses: FuturesUnordered<_> =
            self.probes.iter().map(|probe| probe.accepts(token)).collect();
        let mut failure = None;
        while let Some(response) = responses.next().await {
            match response {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(false), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts a server that accepts every token, or never responds. Returns its base URL.
    async fn host(responds: bool) -> Url {
        let router = axum::Router::new().fallback(move || async move {
            if !responds {
                std::future::pending::<()>().await;
            }
            r#"{"parallelismMax":100,"parallelismCount":0}"#
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Url::parse(&url).unwrap()
    }

    #[tokio::test]
    async fn a_region_without_a_response_does_not_delay_the_others() {
        for order in [[false, true], [true, false]] {
            let timeout = Duration::from_secs(600);
            let mut probes = Vec::new();
            for responds in order {
                probes.push(Probe::new(host(responds).await, timeout).unwrap());
            }
            let pasted = PastedToken { token: Token::new("t"), probes };
            let accepted = pasted.accepts(&pasted.token);
            // Much shorter than the timeout of a probe.
            let accepted = tokio::time::timeout(Duration::from_secs(20), accepted).await;
            assert!(accepted.unwrap().unwrap(), "{order:?}");
        }
    }

    #[test]
    fn only_a_bare_token_is_accepted() {
        let paste = |text: &str| {
            PastedToken::new(&Secret::new(text), None, None, Duration::from_secs(1))
                .map(|pasted| pasted.token)
        };
        for text in [" eyJ9PQ==\n", "eyJ9PQ==\r\n", "\u{feff}eyJ9PQ==", "\u{feff} eyJ9PQ==\t"] {
            assert_eq!(paste(text).unwrap(), Token::new("eyJ9PQ=="), "{text:?}");
        }
        for (text, problem) in [
            ("", "empty"),
            ("\n", "empty"),
            ("one\ntwo", "several lines"),
            ("\"eyJ9\"", "quoted"),
            ("Bearer eyJ9", "without `Bearer`"),
            ("QSTASH_TOKEN=eyJ9", "assignment"),
            ("\u{feff}\n", "empty"),
            ("eyJ9\u{200b}x", "invisible character"),
            ("eyJ9\u{1b}[31m", "control character"),
        ] {
            let error = paste(text).unwrap_err().to_string();
            assert!(error.contains(problem) && !error.contains("eyJ9"), "{error}");
        }
    }
}
