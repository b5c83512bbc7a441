//! Requests to the Developer API, and what its responses mean.

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use tokensink_core::{IssuerError, Secret};
use tokensink_http::{Response, TransportError, basic, build_client, retry_after};

use crate::account::Settings;
use crate::user::User;
use crate::{ConnectError, Credentials};

/// The error for a question without a whole response: permanent where a proxy demands a credential.
pub(crate) fn issuer_error(message: String, error: &TransportError) -> IssuerError {
    match error {
        TransportError::ProxyDenied(_) => IssuerError::Permanent { message },
        _ => IssuerError::Transient { message, retry_after: None },
    }
}

/// What a request is about, which decides what a 404 means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The account's list.
    Account,
    /// The QStash whose id the config names.
    ConfiguredId,
    /// A QStash that the list contained.
    ListedId,
}

/// The Developer API, with one account's credentials.
pub(crate) struct DeveloperApi {
    client: Client,
    pub(crate) base: Url,
    basic: HeaderValue,
    api_key: Secret,
}

impl DeveloperApi {
    pub(crate) fn new(
        credentials: &Credentials,
        settings: &Settings,
    ) -> Result<Self, ConnectError> {
        let basic = basic(&credentials.email, credentials.api_key.expose());
        let basic = basic.map_err(|error| {
            let message = format!("the Upstash credentials do not fit into a header: {error}");
            IssuerError::Permanent { message }
        })?;
        Ok(Self {
            client: build_client(&settings.api_url, settings.timeout)?,
            base: settings.api_url.clone(),
            basic,
            api_key: credentials.api_key.clone(),
        })
    }

    pub(crate) async fn users(&self) -> Result<Vec<User>, IssuerError> {
        let answer =
            self.read("qstash/users", "list the account's QStash", Subject::Account).await?;
        answer.json().map_err(|error| self.unreadable("the list of QStash", &error))
    }

    pub(crate) async fn user(&self, id: &str, subject: Subject) -> Result<User, IssuerError> {
        let path = format!("qstash/user/{id}");
        let answer = self.read(&path, "read the current token", subject).await?;
        let user: User = answer.json().map_err(|error| self.unreadable("the QStash", &error))?;
        if user.id == id {
            return Ok(user);
        }
        let message = format!("Upstash answered for another QStash than {id}");
        Err(IssuerError::Permanent { message })
    }

    async fn read(
        &self,
        path: &str,
        doing: &str,
        subject: Subject,
    ) -> Result<Response, IssuerError> {
        let request = self
            .request(Method::GET, path)
            .map_err(|message| IssuerError::Permanent { message })?;
        let answer = Response::to(request).await.map_err(|error| {
            issuer_error(format!("could not {doing}: {}", self.unanswered(&error)), &error)
        })?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let message =
            format!("could not {doing}: {}: {}", self.host(), self.explain(&answer, subject));
        let may_pass = answer.status.is_server_error()
            || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT]
                .contains(&answer.status);
        Err(if may_pass {
            IssuerError::Transient { message, retry_after: retry_after(&answer.headers) }
        } else {
            IssuerError::Permanent { message }
        })
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, String> {
        let url = self.base.join(path).map_err(|error| format!("{}: {error}", self.base))?;
        Ok(self.client.request(method, url).header(AUTHORIZATION, self.basic.clone()))
    }

    pub(crate) fn host(&self) -> &str {
        self.base.host_str().unwrap_or("Upstash")
    }

    /// Why there is no whole answer to a question that may be asked again.
    pub(crate) fn unanswered(&self, failure: &TransportError) -> String {
        let host = self.host();
        format!("{host}: {failure}; see `api_url` and the network, then try again")
    }

    fn unreadable(&self, what: &str, error: &serde_json::Error) -> IssuerError {
        let (host, column) = (self.host(), error.column());
        let message = format!(
            "{host}: the answer about {what} is not what is documented (at column {column}); see \
             `api_url` and what stands in between, then try again"
        );
        IssuerError::Transient { message, retry_after: None }
    }

    /// What the server says went wrong, without the key.
    pub(crate) fn error_message(&self, answer: &Response) -> String {
        answer.error_message(&[&self.api_key])
    }

    /// What an error answer means, and what to do about it
    /// (upstash.com/docs/devops/developer-api/http_status_codes).
    pub(crate) fn explain(&self, answer: &Response, subject: Subject) -> String {
        let said = self.error_message(answer);
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
            StatusCode::NOT_FOUND => match subject {
                Subject::Account => "the Developer API is not at this address: see `api_url`",
                Subject::ConfiguredId => {
                    "there is no such QStash in this account: leave `id` out to choose by region"
                }
                Subject::ListedId => {
                    "this QStash is no longer in the account: see the Upstash console"
                }
            },
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                "put the proxy's user name and password into its URL in HTTPS_PROXY"
            }
            StatusCode::TOO_MANY_REQUESTS => "too many requests: try again in a minute",
            status if status.is_redirection() => {
                "a redirect is not followed with credentials: see `api_url`"
            }
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                "try again in a minute"
            }
            _ => "see `api_url` and what stands in between",
        };
        format!("{said}; {meaning}")
    }
}
