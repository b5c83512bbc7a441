//! The traits that a plugin implements, and the words they speak.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{BuildContext, SinkError, Token};

/// A place where the token must arrive. `Display` names that place for people.
#[async_trait]
pub trait TokenSink: fmt::Display + fmt::Debug + Send + Sync + 'static {
    /// Stable identity of the place.
    fn target(&self) -> TargetId;

    /// When an application that reads this place sees a written value.
    fn takes_effect(&self) -> TakesEffect;

    /// The limit that this sink shares with others of its provider and credential, if there is one.
    fn quota(&self) -> Option<Quota>;

    /// Everything a write needs except the token: authenticate, see that the target exists and may
    /// be written, fetch keys, open connections, parse files. Changes nothing at the target.
    ///
    /// # Errors
    ///
    /// When a write would not succeed. The reset is not sent then.
    async fn prepare(&self) -> Result<Box<dyn PreparedSink>, SinkError>;

    /// What the target holds now, compared with `token`. `last` is what our last write there left
    /// behind, if it is known; the coordinator knows which token that was. A mismatch is an answer,
    /// not an error.
    ///
    /// # Errors
    ///
    /// When the target could not be asked.
    async fn inspect(&self, token: &Token, last: Option<&Receipt>) -> Result<Holds, SinkError>;
}

/// A sink that is one round trip away from holding a token. There is no write without a prepare.
#[async_trait]
pub trait PreparedSink: fmt::Debug + Send + Sync {
    /// How sure it is that a write will be let in.
    fn readiness(&self) -> Readiness;

    /// Things worth a person's attention that stop nothing, such as a value that hides this one.
    fn warnings(&self) -> Vec<String>;

    /// What the forecast of the outage needs to know.
    fn cost(&self) -> WriteCost;

    /// Makes `token` the stored value. Idempotent: it may be called again after an error.
    ///
    /// The coordinator drops the future when an attempt takes too long. A write that blocks a
    /// thread must see to it that it does not land after that.
    ///
    /// # Errors
    ///
    /// By [kind](crate::SinkErrorKind): the coordinator retries, waits, prepares again or reports.
    async fn write(&self, token: &Token) -> Result<Receipt, SinkError>;
}

/// What a plugin's `[sinks.NAME]` table deserializes into. The doc comments of its fields are what
/// `tokensink sinks KIND` shows.
pub trait SinkConfig: DeserializeOwned + JsonSchema {
    /// The value of `kind`, in kebab-case: the name of the provider or protocol.
    const KIND: &'static str;
    /// One line for `tokensink sinks`.
    const SUMMARY: &'static str;
    /// The permissions a write needs, one a line.
    const PERMISSIONS: &'static str;
    /// When a write takes effect, as a sentence.
    const TAKES_EFFECT: &'static str;
    /// The options of an example table, as TOML, without the header and `kind`.
    const EXAMPLE: &'static str;
    /// What it builds.
    type Sink: TokenSink;

    /// Pure: no file system, no network, no process environment but what `context` hands out.
    /// A table that names several places (a list of repositories) gives one sink for each.
    ///
    /// # Errors
    ///
    /// All mistakes of the table at once, each of kind [`Config`](crate::SinkErrorKind::Config).
    fn build(self, context: &BuildContext) -> Result<Vec<Self::Sink>, Vec<SinkError>>;
}

/// Stable identity of a target: unique in a config, and the key under which the journal knows it.
/// Legible, for example `dotenv:/srv/app/.env`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TargetId(String);

impl TargetId {
    /// `kind` and the place within it.
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
    /// At its next read.
    Immediately,
    /// When the next run (of a workflow, a job) starts.
    OnNextRun,
    /// When the application is started again.
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

/// How sure a prepared sink is that its write will be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Proven.
    Ready,
    /// All that could be asked was answered well, but only a write can prove the permission.
    Unknown {
        /// What could not be proven.
        why: String,
    },
}

/// What one write costs, for the forecast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteCost {
    /// A round trip to the target, as seen while preparing.
    pub round_trip: Duration,
    /// How many requests one write sends, one after the other.
    pub requests: u32,
    /// Where one write could do for many of these, if there is such a place: what they are and what
    /// it is, as in `repositories of acme: one organization secret`. Equal for all of them.
    pub shared_place: Option<String>,
}

/// A provider's limit on one credential, shared by all sinks that use it. The coordinator keeps to
/// it; a sink only describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Equal for all sinks that share the limit; shows no secret.
    pub key: String,
    /// Requests under way at once.
    pub concurrent: usize,
    /// How many reads (preparations, inspections) are let in; `None`: as many as come.
    pub reads: Option<Pace>,
    /// How many writes are let in; `None`: as many as come.
    pub writes: Option<Pace>,
}

/// So many requests in any stretch of so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// How many.
    pub requests: u32,
    /// In which time.
    pub per: Duration,
}

/// What a target was found to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The token: its value was read and compared.
    Token,
    /// The value cannot be read, but the provider says that our last write is still the newest.
    LastWriteIsOurs,
    /// Something else.
    AnotherValue,
    /// No value at all.
    Nothing,
    /// It cannot be told.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// The provider's proof of our write: a version, a time stamp. Carries no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Receipt(BTreeMap<String, String>);

impl Receipt {
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
