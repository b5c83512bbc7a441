//! The report of a run, which is shown as a table or as JSON. It contains no secret.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokensink_core::{Fingerprint, TakesEffect, TargetId};

use crate::Sink;

/// The name of the JSON format.
const SCHEMA: &str = "tokensink.report/1";

/// A command of the CLI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Reset the token and write the new one.
    Reset,
    /// Write the current token.
    Sync,
    /// Check whether a reset could finish.
    Check,
    /// Show which sinks contain the current token.
    Status,
    /// List the linked sink kinds.
    Sinks,
    /// Write a config to start from.
    Init,
    /// List the runs so far.
    History,
    /// Run the fake servers.
    Sandbox,
    /// Reset a token in the fake servers.
    Demo,
}

/// The outcome of a command. Each group of outcomes has its own exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The usage or the config is invalid. Nothing was started.
    Invalid,
    /// It is not known whether the token was reset, or which token is live.
    Unknown,
    /// A required sink is not proven current, or the old token is still accepted.
    Partial,
    /// Nothing was changed.
    Unchanged,
    /// A sink does not contain the live token.
    Drift,
    /// All required sinks contain the live token, as far as that can be proven.
    Complete,
    /// A reset could finish, and no sink has drifted.
    Ready,
}

impl Outcome {
    /// Returns the exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Complete | Self::Ready => 0,
            Self::Unchanged => 1,
            Self::Invalid => 2,
            Self::Partial => 3,
            Self::Unknown => 4,
            Self::Drift => 5,
        }
    }
}

/// Whether a sink contains the live token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// There is evidence that it does.
    Current,
    /// There is evidence that it does not.
    Stale,
    /// It is not known.
    Unknown,
}

/// The report of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The name of the JSON format.
    pub schema: &'static str,
    /// The command. `None` if it could not be parsed.
    pub command: Option<Command>,
    /// The outcome.
    pub outcome: Outcome,
    /// The exit code.
    pub exit_code: u8,
    /// The run's name in the journal.
    pub run_id: Option<String>,
    /// The live token before and after the run.
    pub token: TokenChange,
    /// The time from sending the reset to the acknowledgement of the last current sink, in milliseconds.
    /// No current sink was without the live token for longer.
    pub outage_ms: Option<u64>,
    /// The forecast of `outage_ms`.
    pub forecast_ms: Option<u64>,
    /// The cause that takes longest. In `check` only.
    pub dominated_by: Option<String>,
    /// One entry for each target.
    pub sinks: Vec<SinkReport>,
    /// The names of the required sinks that were not part of the run.
    pub left_out: Vec<String>,
    /// The reasons for an outcome other than `complete` and `ready`.
    pub errors: Vec<String>,
    /// Warnings, which did not affect the outcome.
    pub warnings: Vec<String>,
    /// The next steps, most important first.
    pub next: Vec<String>,
}

/// Fingerprints of the live token.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TokenChange {
    /// The token before the run.
    pub before: Option<Fingerprint>,
    /// The token after the run. It is the same if there was no reset.
    pub after: Option<Fingerprint>,
}

/// The report on one target.
#[derive(Clone, Debug, Serialize)]
pub struct SinkReport {
    /// The table's name.
    pub name: String,
    /// The table's kind.
    pub kind: String,
    /// The identity of the target, which is unique in the report.
    pub target: TargetId,
    /// The name of the target in messages.
    pub place: String,
    /// Whether the run's outcome depends on the sink.
    pub required: bool,
    /// Whether the sink contains the live token.
    pub state: State,
    /// The evidence for the state.
    pub evidence: String,
    /// The host that the token is sent to, if it is not the vendor's public one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When an application sees the value.
    pub takes_effect: TakesEffect,
    /// The time from sending the reset to the acknowledgement of the write, in milliseconds.
    pub outage_ms: Option<u64>,
    /// The forecast of `outage_ms`.
    pub forecast_ms: Option<u64>,
    /// The number of attempts to write.
    pub attempts: u32,
    /// The time of the last write in this machine's journal. In `status` only.
    pub written_at: Option<Timestamp>,
    /// The last error, if no later attempt succeeded.
    pub error: Option<String>,
}

const NOT_ASKED: &str = "not asked";

impl SinkReport {
    pub(crate) fn not_inspected(sink: &Sink) -> Self {
        Self::of(sink, State::Unknown, NOT_ASKED)
    }

    /// Returns whether the run ended before the sink was inspected.
    pub fn is_unasked(&self) -> bool {
        self.evidence == NOT_ASKED
    }

    pub(crate) fn of(sink: &Sink, state: State, evidence: impl Into<String>) -> Self {
        Self {
            name: sink.name.clone(),
            kind: sink.kind.clone(),
            target: sink.info.target.clone(),
            place: sink.info.label.clone(),
            required: sink.required,
            state,
            evidence: evidence.into(),
            host: sink.info.host.clone(),
            takes_effect: sink.info.takes_effect,
            outage_ms: None,
            forecast_ms: None,
            attempts: 0,
            written_at: None,
            error: None,
        }
    }
}

impl Report {
    /// Creates an empty report.
    pub fn new(command: impl Into<Option<Command>>, outcome: Outcome) -> Self {
        Self {
            schema: SCHEMA,
            command: command.into(),
            outcome,
            exit_code: outcome.exit_code(),
            run_id: None,
            token: TokenChange::default(),
            outage_ms: None,
            forecast_ms: None,
            dominated_by: None,
            sinks: Vec::new(),
            left_out: Vec::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            next: Vec::new(),
        }
    }

    /// Creates the report of a command that could not start.
    pub fn refused(
        command: impl Into<Option<Command>>,
        outcome: Outcome,
        errors: Vec<String>,
    ) -> Self {
        Self { errors, ..Self::new(command, outcome) }
    }

    /// Sets the outcome and the exit code.
    #[must_use]
    pub fn ending(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self.exit_code = outcome.exit_code();
        self
    }

    /// Applies `clean` to every text of the report.
    #[must_use]
    pub(crate) fn redacted(mut self, clean: impl Fn(&str) -> String) -> Self {
        for text in self.errors.iter_mut().chain(&mut self.warnings).chain(&mut self.next) {
            *text = clean(text);
        }
        for sink in &mut self.sinks {
            sink.evidence = clean(&sink.evidence);
            sink.error = sink.error.as_deref().map(&clean);
        }
        self
    }
}

/// Returns the duration in milliseconds, rounded up, because the report contains upper limits.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    duration.as_micros().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}
