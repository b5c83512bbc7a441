//! The report of a run: what a person reads in a table and a script in JSON. It carries no secret.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokensink_core::{Fingerprint, TakesEffect, TargetId};

use crate::Sink;

/// Names the shape of the JSON document.
const SCHEMA: &str = "tokensink.report/1";

/// What the person asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Reset the token and push the new one.
    Reset,
    /// Push the current token.
    Sync,
    /// See whether a reset could finish.
    Check,
    /// See which sinks hold the current token.
    Status,
    /// List the linked sink kinds.
    Sinks,
    /// Write a config to start from.
    Init,
    /// List the runs so far.
    History,
    /// Run the stand-ins.
    Sandbox,
    /// Reset a token in the stand-ins.
    Demo,
}

/// How a command ended. Each has an exit code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Usage or config: nothing was started.
    Invalid,
    /// It is not known whether the token was reset, or which token is live.
    Unknown,
    /// A required sink is not proven current, or the old token is still accepted.
    Partial,
    /// Nothing was changed.
    Unchanged,
    /// A sink does not hold the live token.
    Drift,
    /// All required sinks hold the live token, as far as each can be proven.
    Complete,
    /// A reset could finish, and no sink has drifted.
    Ready,
}

impl Outcome {
    /// The process's exit code.
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

/// Whether a sink holds the live token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It does, by the evidence given.
    Current,
    /// It is known not to.
    Stale,
    /// It cannot be told.
    Unknown,
}

/// The report of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Names the shape of this document.
    pub schema: &'static str,
    /// What was asked for; `None` where that could not be understood.
    pub command: Option<Command>,
    /// How it ended.
    pub outcome: Outcome,
    /// The process's exit code.
    pub exit_code: u8,
    /// The run's name in the journal.
    pub run_id: Option<String>,
    /// The live token before and after.
    pub token: TokenChange,
    /// From sending the reset to the acknowledgement of the last current sink, in milliseconds:
    /// the longest that any of them can have been without the live token.
    pub outage_ms: Option<u64>,
    /// What `outage_ms` was expected to be, or would be if the token were reset now.
    pub forecast_ms: Option<u64>,
    /// What takes longest. In `check` only.
    pub dominated_by: Option<String>,
    /// One entry for each target.
    pub sinks: Vec<SinkReport>,
    /// The tables of required sinks that took no part.
    pub left_out: Vec<String>,
    /// Why the command ended as it did, when that is not `complete` or `ready`.
    pub errors: Vec<String>,
    /// What deserves attention and stopped nothing.
    pub warnings: Vec<String>,
    /// What to do next, most important first.
    pub next: Vec<String>,
}

/// Fingerprints of the live token.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TokenChange {
    /// Before the run.
    pub before: Option<Fingerprint>,
    /// After it; the same where there was no reset.
    pub after: Option<Fingerprint>,
}

/// What is known of one target.
#[derive(Clone, Debug, Serialize)]
pub struct SinkReport {
    /// The table's name.
    pub name: String,
    /// The table's kind.
    pub kind: String,
    /// The place, for scripts: unique in the report.
    pub target: TargetId,
    /// The place, for people.
    pub place: String,
    /// Whether the run's outcome depends on it.
    pub required: bool,
    /// Whether it holds the live token.
    pub state: State,
    /// How that is known.
    pub evidence: String,
    /// The host that the token is sent to, where it is not the vendor's public one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// When an application sees the value.
    pub takes_effect: TakesEffect,
    /// From sending the reset to the acknowledgement of the write, in milliseconds.
    pub outage_ms: Option<u64>,
    /// What `outage_ms` was expected to be, or would be if the token were reset now.
    pub forecast_ms: Option<u64>,
    /// How many times a write was tried.
    pub attempts: u32,
    /// When this machine last wrote there, as far as its journal knows. In `status` only.
    pub written_at: Option<Timestamp>,
    /// The last thing that went wrong, if it was not overcome.
    pub error: Option<String>,
}

const NOT_ASKED: &str = "not asked";

impl SinkReport {
    pub(crate) fn not_inspected(sink: &Sink) -> Self {
        Self::of(sink, State::Unknown, NOT_ASKED)
    }

    /// Whether nobody looked: the run ended before.
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
    /// A report with nothing in it yet.
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

    /// The report of a command that could not start.
    pub fn refused(
        command: impl Into<Option<Command>>,
        outcome: Outcome,
        errors: Vec<String>,
    ) -> Self {
        Self { errors, ..Self::new(command, outcome) }
    }

    /// The same report with another ending.
    #[must_use]
    pub fn ending(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self.exit_code = outcome.exit_code();
        self
    }

    /// Passes every text in it through `clean`.
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

/// Rounded up: what is told is the longest that it can have been.
pub(crate) fn milliseconds(duration: Duration) -> u64 {
    duration.as_micros().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}
