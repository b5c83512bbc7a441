//! One QStash of an Upstash account: found, read, reset.

use std::fmt;
use std::time::Duration;

use reqwest::{Method, StatusCode, Url};
use tokensink_core::{
    Issued, IssuerError, ResetError, Token, TokenIssuer, TokenSource, async_trait,
};
use tokensink_http::{ClientError, Response, shown_host};

use crate::Credentials;
use crate::developer_api::{DeveloperApi, Subject};
use crate::hosts::{DEVELOPER_API, QSTASH};
use crate::probe::{self, Probe};
use crate::user::{TokenKind, User};

/// Which QStash, and where it is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The Developer API, ending with a slash.
    pub api_url: Url,
    /// QStash itself; `None`: the host of the QStash's region.
    pub qstash_url: Option<Url>,
    /// Which QStash, by id.
    pub id: Option<String>,
    /// Which QStash, by region.
    pub region: Option<String>,
    /// How long one request may take.
    pub timeout: Duration,
}

/// Why no QStash could be chosen.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The Developer API could not be asked.
    #[error(transparent)]
    Issuer(#[from] IssuerError),
    /// TLS could not start.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The account has none, none that fits, or several; or id and region contradict each other.
    #[error("{0}")]
    NoChoice(String),
}

/// The issuer: one QStash of one account.
pub struct Upstash {
    api: DeveloperApi,
    id: String,
    region: String,
    /// How the id is known.
    subject: Subject,
    probe: Probe,
}

impl Upstash {
    /// Finds the QStash by id, by region, or as the only one.
    ///
    /// # Errors
    ///
    /// When the API cannot be asked, or the choice is not clear: the message lists what there is.
    pub async fn connect(
        credentials: &Credentials,
        settings: &Settings,
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

    /// Asks the account what `token` may do. A probe of QStash cannot tell: a read-only token reads
    /// as well (upstash.com/docs/qstash/howto/readonly-token).
    ///
    /// # Errors
    ///
    /// When the API cannot be asked.
    pub async fn kind_of(
        token: &Token,
        credentials: &Credentials,
        settings: &Settings,
    ) -> Result<TokenKind, ConnectError> {
        let users = DeveloperApi::new(credentials, settings)?.users().await?;
        Ok(TokenKind::among(&users, token))
    }

    /// The hosts that are not Upstash's own, each as a sentence for the user.
    pub fn foreign_hosts(&self) -> Vec<String> {
        let api = Some(&self.api.base).filter(|url| !DEVELOPER_API.owns(url));
        let qstash = Some(self.probe.url()).filter(|url| !QSTASH.owns(url));
        let api = api.map(|url| format!("the Upstash API is {}", shown_host(url)));
        let qstash = qstash.map(|url| format!("QStash is {}", shown_host(url)));
        api.into_iter().chain(qstash).collect()
    }

    /// The id of the QStash.
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl Upstash {
    fn unknown(&self, said: &str) -> ResetError {
        ResetError::OutcomeUnknown { message: format!("{}: {said}", self.api.host()) }
    }
}

/// Both were given, and one of them is a mistake: nobody can tell which.
fn expect_region(user: User, region: Option<&str>) -> Result<User, ConnectError> {
    match region {
        Some(region) if region != user.region => Err(ConnectError::NoChoice(format!(
            "id {} is in {}, not in {region}; leave out `region` or `id` in [upstash]",
            user.id, user.region
        ))),
        _ => Ok(user),
    }
}

/// One of several, by region or because it is the only one.
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
        (Some(_), true) => "Upstash names no id for this QStash".to_owned(),
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

impl fmt::Display for Upstash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QStash {} ({})", self.id, self.region)
    }
}

impl fmt::Debug for Upstash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstash")
            .field("id", &self.id)
            .field("region", &self.region)
            .field("api_url", &self.api.base.as_str())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenSource for Upstash {
    async fn current(&self) -> Result<Issued, IssuerError> {
        self.api.user(&self.id, self.subject).await?.issued().ok_or_else(|| {
            IssuerError::Permanent {
                message: "Upstash shows no token for this QStash: may the API key manage it?"
                    .to_owned(),
            }
        })
    }

    async fn accepts(&self, token: &Token) -> Result<bool, IssuerError> {
        self.probe.accepts(token).await
    }
}

#[async_trait]
impl TokenIssuer for Upstash {
    async fn reset(&self) -> Result<Issued, ResetError> {
        let path = format!("qstash/rotate-token/{}", self.id);
        let request = self.api.request(Method::POST, &path);
        let request = request.map_err(|message| ResetError::NotSent { message })?;
        let answer = match Response::to(request).await {
            Ok(answer) => answer,
            Err(failure) if failure.is_unsent() => {
                return Err(ResetError::NotSent { message: self.api.unanswered(&failure) });
            }
            Err(failure) => return Err(self.unknown(&failure.to_string())),
        };
        let said = match answer.status {
            StatusCode::OK => match answer.json::<User>() {
                Ok(user) if user.id == self.id || user.id.is_empty() => match user.issued() {
                    Some(issued) => return Ok(issued),
                    None => "the answer carries no token".to_owned(),
                },
                Ok(_) => "the answer is about another QStash".to_owned(),
                Err(_) => "the answer is not what is documented".to_owned(),
            },
            // A proxy may refuse after it has let the request through.
            status if is_refusal(status) && answer.is_error_document() => {
                return Err(ResetError::Refused {
                    message: self.api.explain(&answer, self.subject),
                });
            }
            status if is_refusal(status) => {
                format!("{}, which is not how Upstash refuses", self.api.error_message(&answer))
            }
            _ => self.api.error_message(&answer),
        };
        Err(self.unknown(&said))
    }
}

fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT
}
