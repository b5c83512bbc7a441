//! The traits that a plugin implements.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{BuildContext, Inspection, SinkError, SinkInfo, Survey, TargetId, Token};

/// A place that applications read the token from.
#[async_trait]
pub trait TokenSink: fmt::Debug + Send + Sync + 'static {
    /// Returns the constant facts about this sink. It is cheap and returns the same at every call.
    fn info(&self) -> &SinkInfo;

    /// Does everything for a write that is possible without the token: authenticates, checks that the
    /// target exists and may be written, fetches keys, opens connections, parses files. Changes
    /// nothing at the target and sends no request that could be a write.
    ///
    /// # Errors
    ///
    /// When a write would not succeed. In this case the engine does not send the reset.
    async fn prepare(&self) -> Result<Preparation, SinkError>;

    /// Reads the current content of the target. `last` is the receipt of the newest write by this
    /// program, if there is one.
    ///
    /// # Errors
    ///
    /// When the target cannot be read. A value other than the token is not an error.
    async fn inspect(&self, last: Option<&Receipt>) -> Result<Inspection, SinkError>;

    /// Looks for reasons to warn the user before a reset, such as copies of the token in sibling files
    /// or in scopes with precedence. Only `check` and the plan of `reset` call it, with a short time
    /// limit.
    ///
    /// # Errors
    ///
    /// When the survey fails. The engine turns the error into a warning.
    async fn survey(&self) -> Result<Survey, SinkError>;
}

/// The result of [`TokenSink::prepare`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Preparation {
    /// Writes the token.
    pub writer: Box<dyn TokenWriter>,
    /// Whether the write is known to be permitted.
    pub readiness: Readiness,
    /// Warnings for the user that do not prevent the write, as fragments.
    pub warnings: Vec<String>,
    /// The expected cost of the write, for the forecast of the outage.
    pub estimate: WriteEstimate,
    /// The target's identity as the provider reports it. Two sinks with the same one are rejected.
    pub resolved_target: Option<TargetId>,
    /// A destination that the user would not expect from the config: a file outside the config's
    /// directory, an AWS account that is not the user's. It is shown and is part of the consent.
    pub foreign_destination: Option<String>,
}

impl Preparation {
    /// Creates a preparation whose write is known to be permitted.
    pub fn new(writer: Box<dyn TokenWriter>, estimate: WriteEstimate) -> Self {
        Self {
            writer,
            readiness: Readiness::Ready,
            warnings: Vec::new(),
            estimate,
            resolved_target: None,
            foreign_destination: None,
        }
    }

    /// Sets [`readiness`](Self::readiness).
    #[must_use]
    pub fn with_readiness(self, readiness: Readiness) -> Self {
        Self { readiness, ..self }
    }

    /// Sets [`warnings`](Self::warnings).
    #[must_use]
    pub fn with_warnings(self, warnings: Vec<String>) -> Self {
        Self { warnings, ..self }
    }

    /// Sets [`resolved_target`](Self::resolved_target).
    #[must_use]
    pub fn with_resolved_target(self, target: TargetId) -> Self {
        Self { resolved_target: Some(target), ..self }
    }

    /// Sets [`foreign_destination`](Self::foreign_destination).
    #[must_use]
    pub fn with_foreign_destination(self, destination: Option<String>) -> Self {
        Self { foreign_destination: destination, ..self }
    }
}

/// A prepared sink, which can write a token with one round trip.
#[async_trait]
pub trait TokenWriter: fmt::Debug + Send + Sync {
    /// Proves that writes are permitted by sending a write that changes nothing, where the provider
    /// has one. The engine calls it after the user's consent and before the reset. A sink without
    /// such a write returns the readiness of its preparation.
    ///
    /// # Errors
    ///
    /// When the write is not permitted.
    async fn prove(&self) -> Result<Readiness, SinkError>;

    /// Writes `token` to the target. It is idempotent: the engine may call it again after an error,
    /// or with another token. It sends exactly one request where the provider allows it.
    ///
    /// The engine drops the future when an attempt takes too long. A write that blocks a thread
    /// must not take effect after that.
    ///
    /// # Errors
    ///
    /// When the write fails. The [kind](crate::SinkErrorKind) decides how the engine reacts.
    async fn write(&self, token: &Token) -> Result<Receipt, SinkError>;
}

/// The options of a `[sinks.NAME]` table. `tokensink sinks KIND` shows the doc comments of the fields.
pub trait SinkConfig: DeserializeOwned + JsonSchema {
    /// The value of `kind`, in kebab-case: the name of the provider or protocol.
    const KIND: &'static str;
    /// A description of one line for `tokensink sinks`.
    const SUMMARY: &'static str;
    /// The permissions that a write needs, one per line.
    const PERMISSIONS: &'static str;
    /// When a write takes effect, as a sentence for `tokensink sinks KIND`.
    const TAKES_EFFECT: &'static str;
    /// The options of an example table, as TOML, without the header and `kind`.
    const EXAMPLE: &'static str;
    /// The sink that a table builds.
    type Sink: TokenSink;

    /// Builds one sink for each target in the table. It must be pure: no file system, no network, and
    /// no process environment except through `context`.
    ///
    /// # Errors
    ///
    /// All errors of the table at once, each of kind [`Config`](crate::SinkErrorKind::Config).
    fn build(self, context: &BuildContext) -> Result<Vec<Self::Sink>, Vec<SinkError>>;
}

/// Whether a write is known to be permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// The permission is proven.
    Ready,
    /// All checks passed, but only a write can prove the permission.
    Unknown {
        /// The part that is not proven, as a fragment.
        reason: String,
    },
}

/// The expected cost of one write, for the forecast.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteEstimate {
    /// The round trip to the target, as measured while preparing.
    pub round_trip: Duration,
    /// The number of sequential requests of one write.
    pub requests: u32,
    /// A place that could replace many sinks like this one, if there is one.
    pub shared_place: Option<SharedPlace>,
}

impl WriteEstimate {
    /// Creates the estimate for a write of one request.
    pub fn one_request(round_trip: Duration) -> Self {
        Self { round_trip, requests: 1, shared_place: None }
    }

    /// Sets [`shared_place`](Self::shared_place).
    #[must_use]
    pub fn with_shared_place(self, shared_place: Option<SharedPlace>) -> Self {
        Self { shared_place, ..self }
    }
}

/// A place that could replace many sinks. It is equal for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedPlace {
    /// The replaced targets, in the plural: `repositories of acme`.
    pub replaces: String,
    /// The shared place: `one organization secret`.
    pub place: String,
}

/// The provider's evidence of a write, such as a version or a time stamp. It contains no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Receipt(BTreeMap<String, String>);

impl Receipt {
    /// The name of the fact that is shown to the user as a warning about the target.
    pub const WARNING: &'static str = "warning";

    /// Adds a fact, such as `version` or `updated_at`.
    #[must_use]
    pub fn with(mut self, fact: &str, value: impl Into<String>) -> Self {
        self.0.insert(fact.to_owned(), value.into());
        self
    }

    /// Returns the value of a fact.
    pub fn get(&self, fact: &str) -> Option<&str> {
        self.0.get(fact).map(String::as_str)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (fact, value)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{fact} {value}")?;
        }
        Ok(())
    }
}
