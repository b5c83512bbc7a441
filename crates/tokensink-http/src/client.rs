//! Base URLs that are safe for a credential, and HTTP clients without redirects and retries.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::{Client, Url, redirect, retry};
use tokensink_core::SinkError;

use crate::network::{Proxy, check_certificates, of_process, proxy_for};

/// The interval of pings on an HTTP/2 connection, and the time limit for the response to one.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// An error while parsing a base URL or building a client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The text is not a URL.
    #[error("`{text}` is not a URL: {source}")]
    NotAUrl {
        /// The text, without a password.
        text: String,
        /// The error of the URL parser.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The scheme is neither `https` nor, for loopback, `http`.
    #[error("`{text}` would send a secret in the clear: use https (http is for loopback only)")]
    NotHttps {
        /// The text, without a password.
        text: String,
    },
    /// The URL contains a user name or a password.
    #[error("the URL for {host} contains credentials: name an environment variable instead")]
    Credentials {
        /// The host alone.
        host: String,
    },
    /// A proxy or certificate setting is not usable.
    #[error("{variable} cannot be used: {problem}")]
    Setting {
        /// The environment variable.
        variable: &'static str,
        /// The problem, without a credential.
        problem: String,
    },
    /// The TLS library could not start.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
}

/// The error of a sink whose client cannot be built.
impl From<ClientError> for SinkError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Tls(_) => SinkError::other(error.to_string()),
            ClientError::Setting { .. } => {
                SinkError::config(error.to_string()).with_help("correct the variable, or unset it")
            }
            ClientError::NotAUrl { .. }
            | ClientError::NotHttps { .. }
            | ClientError::Credentials { .. } => SinkError::config(error.to_string()),
        }
    }
}

/// Parses a base URL to which a credential may be sent: `https`, or `http` to loopback. The result
/// ends with a slash, so that [`Url::join`] appends to it.
///
/// # Errors
///
/// When the text is not a URL, when its scheme is not safe, or when it contains credentials.
pub fn parse_base_url(text: &str) -> Result<Url, ClientError> {
    let mut url = Url::parse(text)
        .map_err(|source| ClientError::NotAUrl { text: shown(text), source: source.into() })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ClientError::Credentials { host: url.host_str().unwrap_or("?").to_owned() });
    }
    let safe = match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(&url),
        _ => false,
    };
    if !safe {
        return Err(ClientError::NotHttps { text: shown(text) });
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// Removes the text before an `@`, because it may contain a password.
fn shown(text: &str) -> String {
    text.rsplit_once('@').map_or_else(|| text.to_owned(), |(_, place)| format!("…@{place}"))
}

/// Returns whether the host of `url` is this machine.
pub fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Builds a client for `base` that does not follow redirects, does not retry, and aborts a request
/// after `attempt_timeout`. It uses the proxy of the environment, except for loopback, where plain
/// HTTP is safe only without a proxy.
///
/// # Errors
///
/// When the environment's proxy or certificate settings are not usable, or when TLS cannot be set
/// up.
pub fn build_client(base: &Url, attempt_timeout: Duration) -> Result<Client, ClientError> {
    check_certificates(base, &of_process)?;
    let mut builder = Client::builder().no_proxy();
    if let Some(Proxy { variable, url }) = proxy_for(base, &of_process)? {
        let proxy = reqwest::Proxy::all(url).map_err(|error| ClientError::Setting {
            variable,
            problem: innermost(&error.without_url()),
        })?;
        builder = builder.proxy(proxy);
    }
    if base.scheme() == "http" {
        // Without TLS, certificates that cannot be loaded must not be an error.
        builder = builder.tls_certs_only([]);
    }
    builder
        .user_agent(concat!("tokensink/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(attempt_timeout.min(Duration::from_secs(5)))
        .timeout(attempt_timeout)
        .pool_max_idle_per_host(usize::MAX)
        .pool_idle_timeout(Duration::from_secs(90))
        .tcp_nodelay(true)
        // Detects a connection that broke while the user was reading the plan.
        .http2_keep_alive_interval(KEEP_ALIVE)
        .http2_keep_alive_timeout(KEEP_ALIVE)
        .http2_keep_alive_while_idle(true)
        .build()
        .map_err(|error| ClientError::Tls(innermost(&error)))
}

/// Returns the innermost cause. The outer errors only repeat the attempted action.
pub(crate) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_loopback_urls_are_accepted() {
        for safe in [
            "https://api.github.com",
            "http://127.0.0.1:4000/x",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert!(parse_base_url(safe).unwrap().path().ends_with('/'), "{safe}");
        }
        for unsafe_url in [
            "http://api.github.com",
            "http://127.0.0.1.evil.example",
            "ftp://localhost",
            "localhost:80",
            "",
            "https://me:pw@host",
        ] {
            assert!(parse_base_url(unsafe_url).is_err(), "{unsafe_url}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_shown() {
        for text in ["https://me:hunter2@host", "https://me:hunter2@", "me:hunter2@host:x"] {
            let error = parse_base_url(text).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
