//! Probes whether QStash accepts a token.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Client, StatusCode, Url};
use serde_json::{Map, Value};
use tokensink_core::{IssuerError, Secret, Token};
use tokensink_http::{ClientError, Response, bearer, build_client, retry_after};

use crate::developer_api::issuer_error;
use crate::hosts::QSTASH;

/// The smallest authenticated read of the QStash API whose response contains no secret.
const PROBE: &str = "v2/globalParallelism";

/// One QStash host. It has its own client, because a proxy may apply to only one of the Developer
/// API and QStash.
#[derive(Debug)]
pub(crate) struct Probe {
    client: Client,
    base: Url,
}

impl Probe {
    pub(crate) fn new(base: Url, timeout: Duration) -> Result<Self, ClientError> {
        Ok(Self { client: build_client(&base, timeout)?, base })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.base
    }

    pub(crate) fn host(&self) -> &str {
        self.base.host_str().unwrap_or("QStash")
    }

    /// Returns whether QStash accepts `token`.
    ///
    /// The response to a revoked token is 401; to a valid one of another region it is 401 or 404
    /// (upstash.com/docs/qstash/howto/multi-region).
    pub(crate) async fn accepts(&self, token: &Token) -> Result<bool, IssuerError> {
        let host = self.host();
        let permanent = |message: String| IssuerError::Permanent { message };
        let url = self.base.join(PROBE);
        let url = url.map_err(|error| permanent(format!("{}: {error}", self.base)))?;
        let Ok(bearer) = bearer(token.expose()) else {
            // The token cannot be sent in a header, so applications cannot use it either.
            return Ok(false);
        };
        let asked = Response::to(self.client.get(url).header(AUTHORIZATION, bearer)).await;
        let response = asked.map_err(|error| {
            let message = format!("could not probe the token at {host}: {error}");
            issuer_error(message, &error)
        })?;
        let secret = Secret::new(token.expose());
        let error_message =
            format!("{host} responded to the probe with {}", response.error_message(&[&secret]));
        match response.status {
            status if status.is_success() && is_parallelism(&response) => Ok(true),
            status if status.is_success() => Err(permanent(format!(
                "{host} responded to the probe with {status}, but not as QStash does; check \
                 `qstash_url` and any proxy in between"
            ))),
            StatusCode::UNAUTHORIZED => Ok(false),
            StatusCode::NOT_FOUND if is_of_another_region(&response) => Ok(false),
            // The daily limit of messages is used up, which is checked after the token.
            StatusCode::TOO_MANY_REQUESTS if is_daily_limit(&response.headers) => Ok(true),
            status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                let retry_after = retry_after(&response.headers);
                Err(IssuerError::Transient { message: error_message, retry_after })
            }
            _ => Err(permanent(error_message)),
        }
    }
}

/// Recognizes QStash's error for a token of another region: `user (…) not found in this region
/// (eu-central-1)`. Any other 404 comes from a host that is not QStash.
fn is_of_another_region(response: &Response) -> bool {
    response.is_error_document() && response.error_message(&[]).contains("not found in this region")
}

/// Checks for the documented response: a network with a sign-in page answers every
/// request with 200.
fn is_parallelism(response: &Response) -> bool {
    response.json::<Map<String, Value>>().is_ok_and(|body| body.contains_key("parallelismMax"))
}

/// Recognizes the daily limit: the per-second limit has other headers
/// (upstash.com/docs/qstash/api/api-ratelimiting).
fn is_daily_limit(headers: &HeaderMap) -> bool {
    headers.contains_key("ratelimit-limit") && !headers.contains_key("burst-ratelimit-limit")
}

/// Returns the URL of QStash in a region.
pub(crate) fn host_of(region: &str) -> Result<Url, IssuerError> {
    Url::parse(&format!("https://qstash-{region}.upstash.io/"))
        .ok()
        .filter(|url| QSTASH.owns(url))
        .ok_or_else(|| IssuerError::Permanent {
            message: "this QStash has no known region; set `qstash_url`".to_owned(),
        })
}
