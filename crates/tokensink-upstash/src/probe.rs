//! Does QStash let a token in?

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap};
use reqwest::{Client, StatusCode, Url};
use serde_json::{Map, Value};
use tokensink_core::{IssuerError, Secret, Token};
use tokensink_http::{ClientError, Response, bearer, build_client, retry_after};

use crate::developer_api::issuer_error;
use crate::hosts::QSTASH;

/// The smallest authenticated read of the QStash API that carries no secret in its answer.
const PROBE: &str = "v2/globalParallelism";

/// One QStash, and a client of its own: a proxy may stand in front of the Developer API and not of
/// this, or the other way round.
#[derive(Debug)]
pub(crate) struct Probe {
    client: Client,
    base: Url,
}

impl Probe {
    pub(crate) fn new(base: Url, timeout: Duration) -> Result<Self, ClientError> {
        Ok(Self { client: build_client(&base, timeout)?, base })
    }

    /// Where the probe goes.
    pub(crate) fn url(&self) -> &Url {
        &self.base
    }

    pub(crate) fn host(&self) -> &str {
        self.base.host_str().unwrap_or("QStash")
    }

    /// Asks whether `token` is let in.
    ///
    /// A revoked token gets 401; a good one of another region 401 or 404
    /// (upstash.com/docs/qstash/howto/multi-region).
    pub(crate) async fn accepts(&self, token: &Token) -> Result<bool, IssuerError> {
        let host = self.host();
        let permanent = |message: String| IssuerError::Permanent { message };
        let url = self.base.join(PROBE);
        let url = url.map_err(|error| permanent(format!("{}: {error}", self.base)))?;
        let Ok(bearer) = bearer(token.expose()) else {
            // No header can carry it, so no application can send it either.
            return Ok(false);
        };
        let asked = Response::to(self.client.get(url).header(AUTHORIZATION, bearer)).await;
        let answer = asked.map_err(|error| {
            let message = format!("could not ask {host} whether it accepts the token: {error}");
            issuer_error(message, &error)
        })?;
        let secret = Secret::new(token.expose());
        let error_message =
            format!("{host} answered the probe with {}", answer.error_message(&[&secret]));
        match answer.status {
            status if status.is_success() && is_parallelism(&answer) => Ok(true),
            status if status.is_success() => Err(permanent(format!(
                "{host} answered the probe with {status}, but not as QStash does; see `qstash_url` \
                 and what stands in between"
            ))),
            StatusCode::UNAUTHORIZED => Ok(false),
            StatusCode::NOT_FOUND if is_of_another_region(&answer) => Ok(false),
            // Out of messages for today, but known.
            StatusCode::TOO_MANY_REQUESTS if is_daily_limit(&answer.headers) => Ok(true),
            status if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() => {
                let retry_after = retry_after(&answer.headers);
                Err(IssuerError::Transient { message: error_message, retry_after })
            }
            _ => Err(permanent(error_message)),
        }
    }
}

/// What QStash says of a token of another region: `user (…) not found in this region (eu-central-1)`.
/// A 404 in other words comes from a host that is not QStash.
fn is_of_another_region(answer: &Response) -> bool {
    answer.is_error_document() && answer.error_message(&[]).contains("not found in this region")
}

/// The documented answer. A network that wants its users to sign in says 200 to everything.
fn is_parallelism(answer: &Response) -> bool {
    answer.json::<Map<String, Value>>().is_ok_and(|body| body.contains_key("parallelismMax"))
}

/// The per-second limit has headers of its own (upstash.com/docs/qstash/api/api-ratelimiting).
fn is_daily_limit(headers: &HeaderMap) -> bool {
    headers.contains_key("ratelimit-limit") && !headers.contains_key("burst-ratelimit-limit")
}

/// The QStash of a region.
pub(crate) fn host_of(region: &str) -> Result<Url, IssuerError> {
    Url::parse(&format!("https://qstash-{region}.upstash.io/"))
        .ok()
        .filter(|url| QSTASH.owns(url))
        .ok_or_else(|| IssuerError::Permanent {
            message: "Upstash names no usable region for this QStash; set `qstash_url`".to_owned(),
        })
}
