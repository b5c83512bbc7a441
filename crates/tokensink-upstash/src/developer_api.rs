//! Sends requests to the Developer API and interprets the responses.

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use tokensink_core::{IssuerError, Secret};
use tokensink_http::{
    PROXY_CREDENTIAL, Response, TransportError, basic, build_client, retry_after,
};

use crate::account::IssuerSettings;
use crate::user::User;
use crate::{ConnectError, UpstashCredentials};

/// Returns the error for a read that failed in transport. It is permanent if a proxy demands a
/// credential.
pub(crate) fn issuer_error(message: String, error: &TransportError) -> IssuerError {
    match error {
        TransportError::ProxyDenied(_) => IssuerError::Permanent { message },
        _ => IssuerError::Transient { message, retry_after: None },
    }
}

/// The object of a request, which decides what a 404 means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The account's list of QStash.
    Account,
    /// The QStash whose id is in the config.
    ConfiguredId,
    /// A QStash from the account's list.
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
        credentials: &UpstashCredentials,
        settings: &IssuerSettings,
    ) -> Result<Self, ConnectError> {
        let basic = basic(&credentials.email, credentials.api_key.expose());
        let basic = basic.map_err(|error| {
            let message = format!("the Upstash credentials cannot be sent in a header: {error}");
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
        let response =
            self.read("qstash/users", "list the account's QStash", Subject::Account).await?;
        response.json().map_err(|error| self.unreadable("the list of QStash", &error))
    }

    pub(crate) async fn user(&self, id: &str, subject: Subject) -> Result<User, IssuerError> {
        let path = format!("qstash/user/{id}");
        let response = self.read(&path, "read the current token", subject).await?;
        let user: User = response.json().map_err(|error| self.unreadable("the QStash", &error))?;
        if user.id == id {
            return Ok(user);
        }
        let message = format!("Upstash returned another QStash than {id}");
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
        let response = Response::to(request).await.map_err(|error| {
            issuer_error(format!("could not {doing}: {}", self.transport_message(&error)), &error)
        })?;
        if response.status.is_success() {
            return Ok(response);
        }
        let message =
            format!("could not {doing}: {}: {}", self.host(), self.explain(&response, subject));
        let may_pass = response.status.is_server_error()
            || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT]
                .contains(&response.status);
        Err(if may_pass {
            IssuerError::Transient { message, retry_after: retry_after(&response.headers) }
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

    /// Returns the message for a request without a complete response that is safe to send again.
    pub(crate) fn transport_message(&self, error: &TransportError) -> String {
        let host = self.host();
        let help = match error {
            TransportError::ProxyDenied(_) => PROXY_CREDENTIAL,
            _ => "check `api_url` and the network, then try again",
        };
        format!("{host}: {error}; {help}")
    }

    fn unreadable(&self, what: &str, error: &serde_json::Error) -> IssuerError {
        let (host, column) = (self.host(), error.column());
        let message = format!(
            "{host}: the response for {what} does not have the documented form (column {column}); \
             check `api_url` and any proxy in between, then try again"
        );
        IssuerError::Transient { message, retry_after: None }
    }

    /// Returns the server's error message, without the key.
    pub(crate) fn error_message(&self, response: &Response) -> String {
        response.error_message(&[&self.api_key])
    }

    /// Returns the meaning of an error response and what to do about it
    /// (upstash.com/docs/devops/developer-api/http_status_codes).
    pub(crate) fn explain(&self, response: &Response, subject: Subject) -> String {
        let message = self.error_message(response);
        if message.to_lowercase().contains("readonly api key") {
            return format!(
                "{message}; the API key is read-only: create one with write access in the Upstash \
                 console"
            );
        }
        let meaning = match response.status {
            StatusCode::UNAUTHORIZED => {
                "the email address or the API key is wrong: check the keys in the Upstash console"
            }
            StatusCode::FORBIDDEN => {
                "this account may not use the Developer API; if it was created through a \
                 marketplace (Vercel, Fly), reset the token in the console and run `tokensink sync \
                 --token-stdin`"
            }
            StatusCode::NOT_FOUND => match subject {
                Subject::Account => "the Developer API is not at this address: check `api_url`",
                Subject::ConfiguredId => {
                    "there is no such QStash in this account: leave `id` out to choose by region"
                }
                Subject::ListedId => {
                    "this QStash is no longer in the account: check the Upstash console"
                }
            },
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => PROXY_CREDENTIAL,
            StatusCode::TOO_MANY_REQUESTS => "too many requests: try again in a minute",
            status if status.is_redirection() => {
                "a redirect is not followed with credentials: check `api_url`"
            }
            status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
                "try again in a minute"
            }
            _ => "check `api_url` and any proxy in between",
        };
        format!("{message}; {meaning}")
    }
}
