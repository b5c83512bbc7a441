//! Maps GitHub's responses to errors, where the mapping differs from the default.

use std::time::{Duration, UNIX_EPOCH};

use reqwest::{StatusCode, Url};
use tokensink_core::{Secret, SinkError, SinkErrorKind};
use tokensink_http::{Response, retry_after, server_time, status_error};

/// The pause after a secondary limit without `Retry-After`
/// (docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api).
const DEFAULT_PAUSE: Duration = Duration::from_secs(60);

/// The quota is counted per hour, so a longer pause is an error of the server.
const MAX_PAUSE: Duration = Duration::from_secs(3600);

/// Completes the error of a request without a whole response.
pub(crate) fn without_response(error: SinkError) -> SinkError {
    if error.kind() == SinkErrorKind::Transient {
        error.with_help("check the network, a proxy if there is one, and `api_url`")
    } else {
        error
    }
}

/// Returns the error for a refusal. `base` is the API's URL.
pub(crate) fn refused(
    action: &str,
    base: &Url,
    response: &Response,
    secrets: &[&Secret],
) -> SinkError {
    let message = || format!("cannot {action}: {}", response.error_message(secrets));
    if let Some(url) = single_sign_on(base, response) {
        return SinkError::permission_denied(message())
            .with_help(format!("authorize the GitHub token for the organization at {url}"));
    }
    match response.status {
        StatusCode::UNAUTHORIZED => SinkError::permission_denied(message())
            .with_help("create a new GitHub token: this one is wrong or has expired"),
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
            limited_or_denied(message(), response)
        }
        StatusCode::NOT_FOUND => SinkError::not_found(message())
            .with_help("check the name, and that the GitHub token may read it"),
        // The response of a gateway, so it is not known what GitHub did.
        status if status.is_success() => SinkError::transient(message())
            .with_help("check for a proxy that responds in place of GitHub"),
        status if status.is_redirection() => SinkError::conflict(message())
            .with_help("try again: the repository was renamed or moved"),
        _ => status_error(action, response, secrets),
    }
}

fn limited_or_denied(message: String, response: &Response) -> SinkError {
    if let Some(pause) = retry_after(&response.headers) {
        return SinkError::rate_limited(pause, message);
    }
    if header(response, "x-ratelimit-remaining") == Some("0") {
        return SinkError::rate_limited(until_renewal(response).unwrap_or(DEFAULT_PAUSE), message);
    }
    let is_limit = response.status == StatusCode::TOO_MANY_REQUESTS
        || message.to_lowercase().contains("rate limit");
    if is_limit {
        return SinkError::rate_limited(DEFAULT_PAUSE, message);
    }
    let needed =
        header(response, "x-accepted-github-permissions").unwrap_or("write access to secrets");
    SinkError::permission_denied(message)
        .with_help(format!("give the GitHub token this permission: {needed}"))
}

/// Returns the URL at which the user authorizes the token for an organization with SAML single sign-on
/// (docs.github.com/rest/authentication/authenticating-to-the-rest-api). A URL at another host than
/// GitHub's own is not returned, because the user would follow it.
fn single_sign_on(base: &Url, response: &Response) -> Option<Url> {
    let (required, url) = header(response, "x-github-sso")?.split_once(';')?;
    let url = Url::parse(url.trim().strip_prefix("url=")?).ok()?;
    let api_host = base.host_str()?;
    let web_host = match api_host.strip_prefix("api.") {
        Some(web_host) => web_host,
        None => api_host,
    };
    let is_own = |host: &str| host == "github.com" || host == web_host;
    let is_shown = required.trim() == "required"
        && url.scheme() == "https"
        && url.host_str().is_some_and(is_own)
        && url.port().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    is_shown.then_some(url)
}

/// Returns the time from the response's own `Date` to one second after the end of the counted hour.
pub(crate) fn until_renewal(response: &Response) -> Option<Duration> {
    let reset: u64 = header(response, "x-ratelimit-reset")?.parse().ok()?;
    let now = server_time(&response.headers)?.duration_since(UNIX_EPOCH).ok()?;
    let renewed = Duration::from_secs(reset.saturating_add(1));
    Some(renewed.saturating_sub(now).min(MAX_PAUSE))
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers.get(name)?.to_str().ok()
}
