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
    /// The facts about this sink. Cheap, and the same at every call.
    fn info(&self) -> &SinkInfo;

    /// Does everything that a write needs except the token: authenticates, checks that the target
    /// exists and may be written, fetches keys, opens connections, parses files. Changes nothing at
    /// the target and sends nothing that could be a write.
    ///
    /// # Errors
    ///
    /// When a write would not succeed. The reset is not sent then.
    async fn prepare(&self) -> Result<Preparation, SinkError>;

    /// Reads what the target holds now. `last` is the receipt of the newest write that this
    /// program knows of; the engine knows which token that was.
    ///
    /// # Errors
    ///
    /// When the target could not be read. A value other than the token is not an error.
    async fn inspect(&self, last: Option<&Receipt>) -> Result<Inspection, SinkError>;

    /// Looks for what a user should know before a reset and that prevents no write: copies of the
    /// token in closer scopes or sibling files. Called by `check` and by the plan of `reset` only,
    /// and abandoned when it takes long.
    ///
    /// # Errors
    ///
    /// When it could not look. The error becomes a warning.
    async fn survey(&self) -> Result<Survey, SinkError>;
}

/// What [`TokenSink::prepare`] found.
#[derive(Debug)]
#[non_exhaustive]
pub struct Preparation {
    /// Writes the token.
    pub writer: Box<dyn TokenWriter>,
    /// Whether the write is known to be permitted.
    pub readiness: Readiness,
    /// What deserves the user's attention and prevents nothing, as fragments.
    pub warnings: Vec<String>,
    /// What the forecast of the outage needs.
    pub estimate: WriteEstimate,
    /// The target's identity as the provider reports it. Two sinks with the same one are refused.
    pub resolved_target: Option<TargetId>,
    /// Where the token leaves what the user would expect from the config: a file outside the
    /// config's directory, an account of somebody else. Shown, and part of what the user agrees to.
    pub foreign_destination: Option<String>,
}

impl Preparation {
    /// A preparation whose write is known to be permitted.
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

/// A prepared sink: one round trip away from holding a token.
#[async_trait]
pub trait TokenWriter: fmt::Debug + Send + Sync {
    /// Sends a write that changes nothing, where the provider has one, to prove that writes are
    /// permitted. Called after the user agreed and before the token is replaced. A sink without
    /// such a write returns the readiness that it was prepared with.
    ///
    /// # Errors
    ///
    /// When the write was not permitted.
    async fn prove(&self) -> Result<Readiness, SinkError>;

    /// Makes `token` the stored value. Idempotent: may be called again after an error, and with
    /// another token. Sends exactly one request where the provider allows it.
    ///
    /// The engine drops the future when an attempt takes too long. A write that blocks a thread
    /// must not take effect after that.
    ///
    /// # Errors
    ///
    /// By [kind](crate::SinkErrorKind): the engine retries, waits, prepares again or reports.
    async fn write(&self, token: &Token) -> Result<Receipt, SinkError>;
}

/// What a plugin's `[sinks.NAME]` table deserializes into. The doc comments of its fields are what
/// `tokensink sinks KIND` shows.
pub trait SinkConfig: DeserializeOwned + JsonSchema {
    /// The value of `kind`, in kebab-case: the name of the provider or protocol.
    const KIND: &'static str;
    /// One line for `tokensink sinks`.
    const SUMMARY: &'static str;
    /// The permissions a write needs, one per line.
    const PERMISSIONS: &'static str;
    /// When a write takes effect, as a sentence for `tokensink sinks KIND`.
    const TAKES_EFFECT: &'static str;
    /// The options of an example table, as TOML, without the header and `kind`.
    const EXAMPLE: &'static str;
    /// What it builds.
    type Sink: TokenSink;

    /// Builds one sink for each place that the table names. Pure: no file system, no network, no
    /// process environment but what `context` hands out.
    ///
    /// # Errors
    ///
    /// All errors of the table at once, each of kind [`Config`](crate::SinkErrorKind::Config).
    fn build(self, context: &BuildContext) -> Result<Vec<Self::Sink>, Vec<SinkError>>;
}

/// Whether a write is known to be permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Proven.
    Ready,
    /// Everything that could be asked was answered well, but only a write can prove the permission.
    Unknown {
        /// What could not be proven, as a fragment.
        reason: String,
    },
}

/// What one write takes, for the forecast.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WriteEstimate {
    /// A round trip to the target, as measured while preparing.
    pub round_trip: Duration,
    /// How many requests one write sends, one after the other.
    pub requests: u32,
    /// One place that could replace many sinks like this one, if there is such a place.
    pub shared_place: Option<SharedPlace>,
}

impl WriteEstimate {
    /// A write of one request.
    pub fn one_request(round_trip: Duration) -> Self {
        Self { round_trip, requests: 1, shared_place: None }
    }

    /// Sets [`shared_place`](Self::shared_place).
    #[must_use]
    pub fn with_shared_place(self, shared_place: Option<SharedPlace>) -> Self {
        Self { shared_place, ..self }
    }
}

/// One place that could replace many sinks. Equal for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedPlace {
    /// What it would replace, in the plural: `repositories of acme`.
    pub replaces: String,
    /// What it is: `one organization secret`.
    pub place: String,
}

/// The provider's evidence of our write: a version, a time stamp. Carries no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Receipt(BTreeMap<String, String>);

impl Receipt {
    /// The name of a fact that is shown to the user as a warning: what the write found at the target
    /// that deserves attention.
    pub const WARNING: &'static str = "warning";

    /// Adds a fact, such as `version` or `updated_at`.
    #[must_use]
    pub fn with(mut self, fact: &str, value: impl Into<String>) -> Self {
        self.0.insert(fact.to_owned(), value.into());
        self
    }

    /// The value of a fact.
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
