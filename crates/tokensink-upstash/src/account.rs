//! One QStash of an Upstash account: found, read, reset.

use std::fmt;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use tokensink_core::{Issued, IssuerError, ResetError, Secret, Token, TokenIssuer, async_trait};
use tokensink_http::{Answer, ClientError, Failure, build_client, requested_pause};

use crate::Credentials;
use crate::probe;
use crate::user::User;

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
    /// The account has none, none that fits, or several.
    #[error("{0}")]
    NoChoice(String),
}

/// The issuer: one QStash of one account.
pub struct Upstash {
    client: Client,
    api_url: Url,
    basic: HeaderValue,
    api_key: Secret,
    id: String,
    region: String,
    qstash_url: Url,
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
        let mut headers = HeaderMap::new();
        let request = Client::new()
            .get(settings.api_url.clone())
            .basic_auth(&credentials.email, Some(credentials.api_key.expose()))
            .build()
            .map_err(ClientError::Tls)?;
        let mut basic = request.headers()[AUTHORIZATION].clone();
        basic.set_sensitive(true);
        headers.insert(AUTHORIZATION, basic.clone());
        let mut upstash = Self {
            client: build_client(settings.timeout)?,
            api_url: settings.api_url.clone(),
            basic,
            api_key: credentials.api_key.clone(),
            id: settings.id.clone().unwrap_or_default(),
            region: settings.region.clone().unwrap_or_default(),
            qstash_url: settings.api_url.clone(),
        };
        let user = match &settings.id {
            Some(_) => upstash.user().await?,
            None => choose(upstash.users().await?, settings.region.as_deref())?,
        };
        upstash.id = user.id;
        upstash.region = user.region;
        upstash.qstash_url = match &settings.qstash_url {
            Some(url) => url.clone(),
            None => probe::host_of(&upstash.region)?,
        };
        Ok(upstash)
    }

    /// The id of the QStash.
    pub fn id(&self) -> &str {
        &self.id
    }

    async fn users(&self) -> Result<Vec<User>, IssuerError> {
        let answer = self.read("qstash/users", "list the account's QStash").await?;
        answer.json().map_err(|error| unreadable("the list of QStash", &error))
    }

    async fn user(&self) -> Result<User, IssuerError> {
        let path = format!("qstash/user/{}", self.id);
        let answer = self.read(&path, "read the current token").await?;
        let user: User = answer.json().map_err(|error| unreadable("the QStash", &error))?;
        if user.id == self.id {
            return Ok(user);
        }
        let message = format!("Upstash answered for another QStash than {}", self.id);
        Err(IssuerError::Permanent { message })
    }

    async fn read(&self, path: &str, doing: &str) -> Result<Answer, IssuerError> {
        let request = self
            .request(Method::GET, path)
            .map_err(|message| IssuerError::Permanent { message })?;
        let answer = Answer::to(request).await.map_err(|failure| IssuerError::Transient {
            message: format!("could not {doing}: {failure}"),
            wait: None,
        })?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let message = format!("could not {doing}: {}", self.explain(&answer));
        let may_pass = answer.status.is_server_error()
            || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT]
                .contains(&answer.status);
        Err(if may_pass {
            IssuerError::Transient { message, wait: requested_pause(&answer.headers) }
        } else {
            IssuerError::Permanent { message }
        })
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, String> {
        let url = self.api_url.join(path).map_err(|error| format!("{}: {error}", self.api_url))?;
        Ok(self.client.request(method, url).header(AUTHORIZATION, self.basic.clone()))
    }

    /// What an error answer means, and what to do about it
    /// (upstash.com/docs/devops/developer-api/http_status_codes).
    fn explain(&self, answer: &Answer) -> String {
        let said = answer.complaint(&[&self.api_key]);
        if said.to_lowercase().contains("readonly api key") {
            return format!(
                "{said}; the API key is read-only: make one that may write in the Upstash console"
            );
        }
        let meaning = match answer.status {
            StatusCode::UNAUTHORIZED => {
                "the email address or the API key is wrong: see the keys in the Upstash console"
            }
            StatusCode::FORBIDDEN => {
                "this account may not use the Developer API; if it was made through a marketplace \
                 (Vercel, Fly), press reset in the console and run `tokensink sync --token-stdin`"
            }
            StatusCode::NOT_FOUND => {
                "there is no such QStash in this account: leave `id` out to choose by region"
            }
            StatusCode::TOO_MANY_REQUESTS => "too many requests: try again in a minute",
            status if status.is_redirection() => {
                "a redirect is not followed with credentials: see `api_url`"
            }
            _ => return said,
        };
        format!("{said}; {meaning}")
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
    let problem = match (users.pop(), users.is_empty()) {
        (Some(user), true) if !user.id.is_empty() => return Ok(user),
        (Some(_), true) => "Upstash names no id for this QStash".to_owned(),
        (None, _) if all.is_empty() => "this account has no QStash".to_owned(),
        (None, _) => format!("there is no QStash in that region; set `region` or `id`: {all}"),
        (Some(_), false) => {
            format!("this account has several QStash; set `region` or `id` in [upstash]: {all}")
        }
    };
    Err(ConnectError::NoChoice(problem))
}

fn unreadable(what: &str, error: &serde_json::Error) -> IssuerError {
    let message =
        format!("the answer about {what} is not what is documented (at column {})", error.column());
    IssuerError::Transient { message, wait: None }
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
            .field("api_url", &self.api_url.as_str())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl TokenIssuer for Upstash {
    async fn current(&self) -> Result<Issued, IssuerError> {
        self.user().await?.issued().ok_or_else(|| IssuerError::Permanent {
            message: "Upstash shows no token for this QStash: may the API key manage it?"
                .to_owned(),
        })
    }

    async fn reset(&self) -> Result<Issued, ResetError> {
        let path = format!("qstash/rotate-token/{}", self.id);
        let request =
            self.request(Method::POST, &path).map_err(|message| ResetError::NotSent { message })?;
        let answer = match Answer::to(request).await {
            Ok(answer) => answer,
            Err(Failure::NotSent(message)) => return Err(ResetError::NotSent { message }),
            Err(failure) => return Err(unknown(failure.to_string())),
        };
        match answer.status {
            StatusCode::OK => match answer.json::<User>() {
                Ok(user) if user.id == self.id || user.id.is_empty() => {
                    user.issued().ok_or_else(|| unknown("the answer carries no token".to_owned()))
                }
                Ok(_) => Err(unknown("the answer is about another QStash".to_owned())),
                Err(_) => Err(unknown("the answer is not what is documented".to_owned())),
            },
            status if status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT => {
                Err(ResetError::Refused { message: self.explain(&answer) })
            }
            _ => Err(unknown(answer.complaint(&[&self.api_key]))),
        }
    }

    async fn accepts(&self, token: &Token) -> Result<bool, IssuerError> {
        probe::accepts(&self.client, &self.qstash_url, token).await
    }
}

fn unknown(message: String) -> ResetError {
    ResetError::OutcomeUnknown { message }
}
