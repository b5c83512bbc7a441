//! An answer, read only as far as it can be believed.

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

/// The longest body that is read. The largest honest one is a list of a hundred repositories.
pub const MAX_BODY_BYTES: usize = 2 * 1024 * 1024;

/// What hyper-util calls a proxy's 407 to a CONNECT: its error type is private.
const PROXY_AUTHORIZATION_REQUIRED: &str = "proxy authorization required";

/// A whole answer. `Debug` shows no body: it may hold a secret.
pub struct Response {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// From sending the request to the end of the body.
    pub round_trip: Duration,
    body: Zeroizing<Vec<u8>>,
}

/// Why there is no whole answer.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// It is certain that the request never left: no connection could be made.
    #[error("could not connect: {0}")]
    NotSent(String),
    /// The proxy demanded a credential, or another one. The request never left.
    #[error("could not connect: {0}")]
    ProxyDenied(String),
    /// No whole answer in time.
    #[error("no answer in time: {0}")]
    TimedOut(String),
    /// The connection broke, or the answer was no HTTP.
    #[error("no whole answer: {0}")]
    Broken(String),
    /// The body was longer than [`MAX_BODY_BYTES`].
    #[error("the answer is longer than {} MB", MAX_BODY_BYTES / (1024 * 1024))]
    TooLong,
}

impl TransportError {
    /// Returns whether it is certain that the request never left.
    pub fn is_unsent(&self) -> bool {
        matches!(self, Self::NotSent(_) | Self::ProxyDenied(_))
    }
}

impl Response {
    /// Sends `request` and reads the whole answer, whatever its status.
    ///
    /// # Errors
    ///
    /// When there is no whole answer. The texts carry neither the URL's query nor any header.
    pub async fn to(request: RequestBuilder) -> Result<Self, TransportError> {
        let started = Instant::now();
        let (client, request) = request.build_split();
        let request = request.map_err(|error| describe(&error, None))?;
        let proxy = proxy_label(request.url());
        let describe = |error: reqwest::Error| describe(&error, proxy.as_deref());
        let mut response = client.execute(request).await.map_err(describe)?;
        let (status, headers) = (response.status(), response.headers().clone());
        // Sized at once, so that growing leaves no unzeroized copy behind.
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

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// When it is something else. The text names a position, never the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The body as the JSON document that the response to `action` should have. `action` is what the
    /// request does, such as `read the secret`.
    ///
    /// # Errors
    ///
    /// When it is something else. The message contains no part of the body.
    pub fn document<T: DeserializeOwned>(&self, action: &str) -> Result<T, SinkError> {
        self.json().map_err(|_| {
            SinkError::other(format!("cannot {action}: the response is not what is documented"))
        })
    }

    /// What the server says went wrong, in one line without `secrets`: the `error` or `message` of
    /// a JSON body, else the start of a plain text, else the bare status.
    pub fn error_message(&self, secrets: &[&Secret]) -> String {
        let text = self.spoken_error().unwrap_or_default();
        let clean = secrets.iter().fold(text, |text, secret| secret.redact(&text).into_owned());
        let shown = excerpt(&clean);
        if shown.is_empty() { self.status.to_string() } else { format!("{}: {shown}", self.status) }
    }

    /// Whether the body is JSON that says what went wrong: an object with a text as its `error` or
    /// `message`, or a bare text. What stands between a client and an API answers otherwise.
    pub fn is_error_document(&self) -> bool {
        self.json().is_ok_and(|body| error_of(&body).is_some())
    }

    fn spoken_error(&self) -> Option<String> {
        if let Ok(body) = self.json() {
            return error_of(&body).map(str::to_owned);
        }
        let text = std::str::from_utf8(&self.body).ok()?.trim();
        // A proxy's page: its markup tells a reader nothing.
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
    // The innermost cause speaks of sockets and certificates; the outer ones repeat the URL.
    let reason = if error.source().is_some() {
        innermost(error)
    } else {
        "the request could not be made".to_owned()
    };
    let is_proxy_denial = reason == PROXY_AUTHORIZATION_REQUIRED;
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
