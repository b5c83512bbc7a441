//! The constant facts about a sink.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The constant facts about a sink. The engine captures them when the sink is built, so that it does
/// not have to run code of the plugin for them later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkInfo {
    /// The stable identity of the target: unique in a config, and the key in the journal.
    pub target: TargetId,
    /// The name of the target in messages, such as `acme/api QSTASH_TOKEN`.
    pub label: String,
    /// The host that the token is sent to, if it is not the vendor's public one. It is shown with the
    /// sink and is part of the consent.
    pub host: Option<String>,
    /// When an application that reads the target sees a written value.
    pub takes_effect: TakesEffect,
    /// The limits that this sink shares with other sinks of its provider and credential.
    pub rate_limits: Option<RateLimits>,
}

impl SinkInfo {
    /// Creates the facts about a sink at the vendor's public host, without rate limits.
    pub fn new(target: TargetId, label: impl Into<String>, takes_effect: TakesEffect) -> Self {
        Self { target, label: label.into(), host: None, takes_effect, rate_limits: None }
    }

    /// Sets [`host`](Self::host).
    #[must_use]
    pub fn with_host(self, host: impl Into<String>) -> Self {
        Self { host: Some(host.into()), ..self }
    }

    /// Sets [`takes_effect`](Self::takes_effect).
    #[must_use]
    pub fn with_takes_effect(self, takes_effect: TakesEffect) -> Self {
        Self { takes_effect, ..self }
    }

    /// Sets [`rate_limits`](Self::rate_limits).
    #[must_use]
    pub fn with_rate_limits(self, rate_limits: RateLimits) -> Self {
        Self { rate_limits: Some(rate_limits), ..self }
    }
}

/// The stable identity of a target, for example `dotenv:/srv/app/.env`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TargetId(String);

impl TargetId {
    /// Creates the identity from a sink's kind and the place within it.
    pub fn new(kind: &str, place: impl fmt::Display) -> Self {
        Self(format!("{kind}:{place}"))
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// When an application sees a written value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TakesEffect {
    /// At the application's next read.
    Immediately,
    /// When the next run of a workflow or job starts.
    OnNextRun,
    /// When the application is restarted.
    OnRestart,
    /// When the application is deployed again.
    OnDeploy,
}

impl fmt::Display for TakesEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Immediately => "immediately",
            Self::OnNextRun => "on the next run",
            Self::OnRestart => "on restart",
            Self::OnDeploy => "on deploy",
        })
    }
}

/// A provider's limits on one credential, shared by all sinks that use it. The sink declares the
/// limits, and the engine observes them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimits {
    /// A key that is equal for all sinks that share the limits. It contains no secret.
    pub key: String,
    /// The maximum number of concurrent requests.
    pub concurrent: usize,
    /// The limit on reads (preparations, inspections), if there is one.
    pub reads: Option<RateLimit>,
    /// The limit on writes, if there is one.
    pub writes: Option<RateLimit>,
}

impl RateLimits {
    /// Creates limits of at most `concurrent` requests at once, at any rate.
    pub fn concurrent(key: impl Into<String>, concurrent: usize) -> Self {
        Self { key: key.into(), concurrent, reads: None, writes: None }
    }

    /// Sets [`reads`](Self::reads).
    #[must_use]
    pub fn with_reads(self, reads: RateLimit) -> Self {
        Self { reads: Some(reads), ..self }
    }

    /// Sets [`writes`](Self::writes).
    #[must_use]
    pub fn with_writes(self, writes: RateLimit) -> Self {
        Self { writes: Some(writes), ..self }
    }
}

/// At most `requests` in any period of length `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The maximum number of requests in a period.
    pub requests: u32,
    /// The length of the period.
    pub per: Duration,
}
