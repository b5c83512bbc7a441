//! A token that a person pasted: for accounts of a marketplace, which have no Developer API.

use std::fmt;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};
use reqwest::Url;
use tokensink_core::{
    Issued, IssuerError, Secret, Token, TokenSource, async_trait, request_value_problem, trimmed,
};
use tokensink_http::ClientError;

use crate::probe::{self, Probe};

/// The regions that QStash has (upstash.com/docs/qstash/howto/multi-region).
const REGIONS: [&str; 2] = ["eu-central-1", "us-east-1"];

/// One token, which can be probed and not replaced.
#[derive(Debug)]
pub struct PastedToken {
    token: Token,
    probes: Vec<Probe>,
}

/// Why a pasted text is not a token.
#[derive(Debug, thiserror::Error)]
pub enum PastedTokenError {
    /// What is wrong with it, without quoting it.
    #[error("standard input contains no token: {0}")]
    NotAToken(&'static str),
    /// No region by that name.
    #[error(transparent)]
    Region(#[from] IssuerError),
    /// TLS could not start.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl PastedToken {
    /// `text` as it was read; `qstash_url` or `region` says where to probe it, else each region is.
    ///
    /// # Errors
    ///
    /// When the text is empty, has several lines, quotes, or more than the token.
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
            Some("it has a blank in it; paste the token alone, without `Bearer`")
        } else if text.contains("QSTASH_TOKEN=") {
            Some("it is an assignment; paste what stands behind the `=`")
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

    /// The token.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// The journal's key, in place of the QStash's id, which is not known.
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
        // All at once: one that cannot be reached must not use up the time of the others.
        let mut answers: FuturesUnordered<_> =
            self.probes.iter().map(|probe| probe.accepts(token)).collect();
        let mut failure = None;
        while let Some(answer) = answers.next().await {
            match answer {
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

    /// A server that answers every probe well, or never. Returns its base URL.
    async fn host(is_there: bool) -> Url {
        let router = axum::Router::new().fallback(move || async move {
            if !is_there {
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
    async fn a_region_that_does_not_answer_keeps_no_other_from_it() {
        for order in [[false, true], [true, false]] {
            let patience = Duration::from_secs(600);
            let mut probes = Vec::new();
            for is_there in order {
                probes.push(Probe::new(host(is_there).await, patience).unwrap());
            }
            let pasted = PastedToken { token: Token::new("t"), probes };
            let accepted = pasted.accepts(&pasted.token);
            // Whoever asks waits for a moment only.
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
