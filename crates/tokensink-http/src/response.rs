//! Complete responses, with a limit on their size.

use std::error::Error as _;
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokensink_core::{Secret, SinkError};
use zeroize::Zeroizing;

use crate::client::innermost;
use crate::excerpt::excerpt;
use crate::network::proxy_label;

/// The maximum size of a body. The largest expected one is a list of a hundred repositories.
pub const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// The end of hyper-util's error for a proxy's 407 to a CONNECT. The error's type is private.
const PROXY_AUTHORIZATION_REQUIRED: &str = "proxy authorization required";

/// A complete response. `Debug` does not show the body, because it may contain a secret.
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The time from sending the request to the end of the body.
    pub round_trip: Duration,
    body: Zeroizing<Vec<u8>>,
}

/// An error of a request without a complete response.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The connection failed, so the request was certainly not sent.
    #[error("could not connect: {0}")]
    NotSent(String),
    /// The proxy demanded a credential or refused the given one. The request was not sent.
    #[error("could not connect: 407 {0}")]
    ProxyDenied(String),
    /// The response was not complete in time.
    #[error("no response in time: {0}")]
    TimedOut(String),
    /// The connection broke, or the response was not HTTP.
    #[error("incomplete response: {0}")]
    Broken(String),
    /// The body was longer than [`MAX_BODY_BYTES`].
    #[error("the response is longer than {} MB", MAX_BODY_BYTES / (1024 * 1024))]
    TooLong,
}

impl TransportError {
    /// Returns whether the request was certainly not sent.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::NotSent(_) | Self::ProxyDenied(_))
    }
}

impl Response {
    /// Sends `request` and reads the complete response, whatever its status.
    ///
    /// # Errors
    ///
    /// When there is no complete response. The messages contain neither the URL's query nor a header.
    pub async fn to(request: RequestBuilder) -> Result<Self, TransportError> {
        let started = Instant::now();
        let (client, request) = request.build_split();
        let request = request.map_err(|error| describe(&error, None))?;
        let proxy = proxy_label(request.url());
        let describe = |error: reqwest::Error| describe(&error, proxy.as_deref());
        let mut response = client.execute(request).await.map_err(describe)?;
        let (status, headers) = (response.status(), response.headers().clone());
        // The buffer is allocated at its final size if possible, because a `Vec` that grows leaves
        // copies of the body that are not zeroized.
        let capacity =
            response.content_length().map_or(64 * 1024, |n| n.min(MAX_BODY_BYTES as u64));
        let mut body = Zeroizing::new(Vec::with_capacity(capacity as usize));
        while let Some(chunk) = response.chunk().await.map_err(describe)? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(TransportError::TooLong);
            }
            if body.len() + chunk.len() > body.capacity() {
                let mut larger = Zeroizing::new(Vec::with_capacity(2 * (body.len() + chunk.len())));
                larger.extend_from_slice(&body);
                body = larger;
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self { status, headers, round_trip: started.elapsed(), body })
    }

    /// Parses the body as JSON.
    ///
    /// # Errors
    ///
    /// When the body is not JSON of type `T`. The message contains a position but not the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// Parses the body as the JSON document that the provider documents. `action` is what the request
    /// does, such as `read the secret`; it begins the message of an error.
    ///
    /// # Errors
    ///
    /// When the body is not JSON of type `T`. The message does not contain the body.
    pub fn document<T: DeserializeOwned>(&self, action: &str) -> Result<T, SinkError> {
        self.json().map_err(|_| {
            SinkError::other(format!("cannot {action}: the response is not what is documented"))
        })
    }

    /// Returns the status and the server's error message in one line, without `secrets`. The message
    /// is the `error` or `message` of a JSON body, or the start of a plain text.
    pub fn error_message(&self, secrets: &[&Secret]) -> String {
        let text = self.body_message().unwrap_or_default();
        let clean = secrets.iter().fold(text, |text, secret| secret.redact(&text).into_owned());
        let shown = excerpt(&clean);
        if shown.is_empty() { self.status.to_string() } else { format!("{}: {shown}", self.status) }
    }

    /// Returns whether the body is a JSON error message: an object with a text as its `error` or
    /// `message`, or a JSON string. Proxies in front of an API respond in other forms.
    pub fn is_error_document(&self) -> bool {
        self.json().is_ok_and(|body| error_of(&body).is_some())
    }

    fn body_message(&self) -> Option<String> {
        if let Ok(body) = self.json() {
            return error_of(&body).map(str::to_owned);
        }
        let text = std::str::from_utf8(&self.body).ok()?.trim();
        // The HTML page of a proxy is not useful in a message.
        (!text.starts_with('<')).then(|| text.to_owned())
    }
}

impl std::fmt::Debug for Response {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

fn error_of(body: &Value) -> Option<&str> {
    body.as_str().or_else(|| ["error", "message"].iter().find_map(|key| body.get(key)?.as_str()))
}

fn describe(error: &reqwest::Error, proxy: Option<&str>) -> TransportError {
    // The innermost cause names the problem; the outer errors repeat the URL.
    let reason = if error.source().is_some() {
        innermost(error)
    } else {
        "the request could not be built".to_owned()
    };
    let is_proxy_denial = reason.ends_with(PROXY_AUTHORIZATION_REQUIRED);
    let reason = match proxy {
        Some(proxy) => format!("{reason}, through {proxy}"),
        None => reason,
    };
    if error.is_connect() && is_proxy_denial {
        TransportError::ProxyDenied(reason)
    } else if error.is_connect() {
        TransportError::NotSent(reason)
    } else if error.is_timeout() {
        TransportError::TimedOut(reason)
    } else {
        TransportError::Broken(reason)
    }
}
