//! Sends a sink's request and maps every failure to the error kind that decides how the engine
//! reacts.

use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use tokensink_core::{Secret, SinkError, SinkErrorKind};

use crate::response::{Response, TransportError};
use crate::retry_after::retry_after;

/// The pause after a 429 without `Retry-After`.
const DEFAULT_PAUSE: Duration = Duration::from_secs(5);

/// What to do when a proxy demands a credential.
pub const PROXY_CREDENTIAL: &str =
    "put the proxy's user name and password into its URL in HTTPS_PROXY, percent-encoded";

/// Sends `request` and returns the response if its status is a success.
///
/// `action` names the request in error messages, such as `write the secret`. `secrets` are removed
/// from the server's message.
///
/// # Errors
///
/// [`transport_error`] if there is no complete response, [`status_error`] for any other status.
pub async fn send(
    action: &str,
    request: RequestBuilder,
    secrets: &[&Secret],
) -> Result<Response, SinkError> {
    let response = exchange(action, request).await?;
    if response.status.is_success() {
        Ok(response)
    } else {
        Err(status_error(action, &response, secrets))
    }
}

/// Sends `request` and returns the response whatever its status: for a provider whose refusals say
/// more than a status. Elsewhere, [`send`] is what a sink needs.
///
/// # Errors
///
/// [`transport_error`] where there is no whole response.
pub async fn exchange(action: &str, request: RequestBuilder) -> Result<Response, SinkError> {
    let (client, request) = request.build_split();
    let request = request.map_err(|error| {
        SinkError::other(format!("cannot {action}: the request cannot be built"))
            .with_source(error.without_url())
    })?;
    let host = request.url().host_str().unwrap_or_default().to_owned();
    Response::to(RequestBuilder::from_parts(client, request))
        .await
        .map_err(|error| transport_error(action, &host, error))
}

/// Returns the default error kind for a status that is not a success. A plugin uses another kind where
/// the provider documents another meaning.
pub fn error_kind(status: StatusCode, headers: &HeaderMap) -> SinkErrorKind {
    match status.as_u16() {
        401 | 403 | 407 => SinkErrorKind::PermissionDenied,
        404 | 410 => SinkErrorKind::NotFound,
        408 | 500.. => SinkErrorKind::Transient,
        409 => SinkErrorKind::Conflict,
        413 | 422 => SinkErrorKind::Rejected,
        429 => SinkErrorKind::RateLimited {
            retry_after: retry_after(headers).unwrap_or(DEFAULT_PAUSE),
        },
        _ => SinkErrorKind::Other,
    }
}

/// Returns the error for a response whose status is not a success, with the kind of [`error_kind`] and
/// the server's message without `secrets`.
pub fn status_error(action: &str, response: &Response, secrets: &[&Secret]) -> SinkError {
    let message = format!("cannot {action}: {}", response.error_message(secrets));
    let error = SinkError::of_kind(error_kind(response.status, &response.headers), message);
    match response.status.as_u16() {
        401 => error.with_help("check that the credential is right and has not expired"),
        403 => error.with_help("give the credential the permission that the sink needs"),
        407 => error.with_help(PROXY_CREDENTIAL),
        300..=399 => {
            error.with_help("use the address that it redirects to: redirects are not followed")
        }
        _ => error,
    }
}

/// Returns the error for a request without a complete response. It is transient, unless a proxy
/// demands a credential.
pub fn transport_error(action: &str, host: &str, error: TransportError) -> SinkError {
    let message = format!("cannot {action} at {host}");
    let sink_error = match &error {
        TransportError::ProxyDenied(_) => {
            SinkError::permission_denied(message).with_help(PROXY_CREDENTIAL)
        }
        _ => SinkError::transient(message)
            .with_help("check the host name, the network, and a proxy if there is one"),
    };
    sink_error.with_source(error)
}
