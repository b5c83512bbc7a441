//! The issuer of one QStash in an Upstash account: finds it, reads its token and resets it.

use std::fmt;
use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use tokensink_core::{
    Issued, IssuerError, ResetError, Token, TokenIssuer, TokenSource, async_trait,
};
use tokensink_http::{ClientError, Response, shown_host};

use crate::UpstashCredentials;
use crate::developer_api::{DeveloperApi, Subject};
use crate::hosts::{DEVELOPER_API, QSTASH};
use crate::probe::{self, Probe};
use crate::user::{TokenKind, User};

/// Which QStash to use, and the addresses of its APIs.
#[derive(Clone, Debug)]
pub struct IssuerSettings {
    /// The base URL of the Developer API. It ends with a slash.
    pub api_url: Url,
    /// The base URL of QStash. `None` means the host of the QStash's region.
    pub qstash_url: Option<Url>,
    /// The id of the QStash, if it is chosen by id.
    pub id: Option<String>,
    /// The region of the QStash, if it is chosen by region.
    pub region: Option<String>,
    /// The time limit of one request.
    pub timeout: Duration,
}

/// An error while choosing a QStash.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A request to the Developer API failed.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// The HTTP client could not be built.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The account has no QStash, no matching one, or several; or id and region contradict each
    /// other.
    #[error("{0}")]
    NoChoice(String),
}

/// A token issuer for one QStash of one account.
pub struct UpstashIssuer {
    api: DeveloperApi,
    id: String,
    region: String,
    /// Where the id comes from: it decides what a 404 means.
    subject: Subject,
    probe: Probe,
}

impl UpstashIssuer {
    /// Finds the QStash by id, by region, or as the account's only one.
    ///
    /// # Errors
    ///
    /// When a request fails, or when no QStash or several match: the message then lists the ones
    /// that the account has.
    pub async fn connect(
        credentials: &UpstashCredentials,
        settings: &IssuerSettings,
    ) -> Result<Self, ConnectError> {
        let api = DeveloperApi::new(credentials, settings)?;
        let region = settings.region.as_deref();
        let (user, subject) = match &settings.id {
            Some(id) => {
                let subject = Subject::ConfiguredId;
                (expect_region(api.user(id, subject).await?, region)?, subject)
            }
            None => (choose(api.users().await?, region)?, Subject::ListedId),
        };
        let qstash_url = match &settings.qstash_url {
            Some(url) => url.clone(),
            None => probe::host_of(&user.region)?,
        };
        let probe = Probe::new(qstash_url, settings.timeout)?;
        Ok(Self { api, id: user.id, region: user.region, subject, probe })
    }

    /// Returns what `token` may do, according to the account. A probe of QStash cannot show it,
    /// because a read-only token is accepted there too
    /// (upstash.com/docs/qstash/howto/readonly-token).
    ///
    /// # Errors
    ///
    /// When a request to the Developer API fails.
    pub async fn kind_of(
        token: &Token,
        credentials: &UpstashCredentials,
        settings: &IssuerSettings,
    ) -> Result<TokenKind, ConnectError> {
        let users = DeveloperApi::new(credentials, settings)?.users().await?;
        Ok(TokenKind::among(&users, token))
    }

    /// Returns the hosts that are not Upstash's own, each as a phrase for the user.
    pub fn foreign_hosts(&self) -> Vec<String> {
        let api = Some(&self.api.base).filter(|url| !DEVELOPER_API.owns(url));
        let qstash = Some(self.probe.url()).filter(|url| !QSTASH.owns(url));
        let api = api.map(|url| format!("the Upstash API is {}", shown_host(url)));
        let qstash = qstash.map(|url| format!("QStash is {}", shown_host(url)));
        api.into_iter().chain(qstash).collect()
    }

    pub fn id(&self) -> &str {
        &self.id
    }
}

impl UpstashIssuer {
    fn unknown(&self, problem: &str) -> ResetError {
        ResetError::OutcomeUnknown { message: format!("{}: {problem}", self.api.host()) }
    }
}

/// Checks the region of a QStash that was chosen by id. If the two contradict each other, either
/// may be the wrong one, so neither is preferred.
fn expect_region(user: User, region: Option<&str>) -> Result<User, ConnectError> {
    match region {
        Some(region) if region != user.region => Err(ConnectError::NoChoice(format!(
            "id {} is in {}, not in {region}; leave out `region` or `id` in [upstash]",
            user.id, user.region
        ))),
        _ => Ok(user),
    }
}

/// Returns the QStash in `region`, or the account's only one.
fn choose(mut users: Vec<User>, region: Option<&str>) -> Result<User, ConnectError> {
    let all = users
        .iter()
        .map(|user| format!("id {} in {}", user.id, user.region))
        .collect::<Vec<_>>()
        .join("; ");
    users.retain(|user| region.is_none_or(|region| user.region == region));
    let there = region.map_or_else(String::new, |region| format!(" in {region}"));
    let problem = match (users.pop(), users.is_empty()) {
        (Some(user), true) if !user.id.is_empty() => return Ok(user),
        (Some(_), true) => "Upstash returned this QStash without an id".to_owned(),
        (None, _) if all.is_empty() => "this account has no QStash".to_owned(),
        (None, _) => format!("there is no QStash{there}; set `region` or `id` in [upstash]: {all}"),
        (Some(_), false) => {
            format!(
                "this account has several QStash{there}; set `region` or `id` in [upstash]: {all}"
            )
        }
    };
    Err(ConnectError::NoChoice(problem))
}

impl fmt::Display for UpstashIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QStash {} ({})", self.id, self.region)
    }
}

impl fmt::Debug for UpstashIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstashIssuer")
            .field("id", &self.id)
            .field("region", &self.region)
            .field("api_url", &self.api.base.as_str())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenSource for UpstashIssuer {
    async fn current(&self) -> Result<Issued, IssuerError> {
        self.api.user(&self.id, self.subject).await?.issued().ok_or_else(|| {
            IssuerError::Permanent {
                message: "Upstash returned this QStash without a token: check that the API key \
                          may manage it"
                    .to_owned(),
            }
        })
    }

    async fn accepts(&self, token: &Token) -> Result<bool, IssuerError> {
        self.probe.accepts(token).await
    }
}

#[async_trait]
impl TokenIssuer for UpstashIssuer {
    async fn reset(&self) -> Result<Issued, ResetError> {
        let path = format!("qstash/rotate-token/{}", self.id);
        let request = self.api.request(Method::POST, &path);
        let request = request.map_err(|message| ResetError::NotSent { message })?;
        let response = match Response::to(request).await {
            Ok(response) => response,
            Err(failure) if failure.is_unsent() => {
                return Err(ResetError::NotSent { message: self.api.transport_message(&failure) });
            }
            Err(failure) => return Err(self.unknown(&failure.to_string())),
        };
        let problem = match response.status {
            StatusCode::OK => match response.json::<User>() {
                Ok(user) if user.id == self.id || user.id.is_empty() => match user.issued() {
                    Some(issued) => return Ok(issued),
                    None => "the response contains no token".to_owned(),
                },
                Ok(_) => "the response is about another QStash".to_owned(),
                Err(_) => "the response does not have the documented form".to_owned(),
            },
            // Only Upstash's own error document proves that nothing was reset: a proxy may answer
            // with an error after it has forwarded the request.
            status if is_refusal(status) && response.is_error_document() => {
                return Err(ResetError::Refused {
                    message: self.api.explain(&response, self.subject),
                });
            }
            status if is_refusal(status) => {
                format!("{}, which is not an error of Upstash", self.api.error_message(&response))
            }
            _ => self.api.error_message(&response),
        };
        Err(self.unknown(&problem))
    }
}

fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT
}
