//! Summaries of a journal's runs, for `tokensink history`. They contain no secret.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use tokensink_core::{Fingerprint, TargetId};

use super::{Entry, RunRecord, unfinished};
use crate::{Command, Outcome};

/// The summary of a run.
#[derive(Clone, Debug, Serialize)]
pub struct RunSummary {
    /// The name of the run.
    pub id: String,
    /// The command.
    pub command: Option<Command>,
    /// The id of the QStash.
    pub issuer: Option<String>,
    /// The start time by this machine's clock.
    pub started_at: Option<Timestamp>,
    /// The outcome. `None` for an interrupted run.
    pub outcome: Option<Outcome>,
    /// The result of the reset. `None` if there was none.
    pub reset: Option<ResetSummary>,
    /// The token before the reset.
    pub before: Option<Fingerprint>,
    /// The token after the reset.
    pub after: Option<Fingerprint>,
    /// The live token at the end, if the issuer and the sinks agreed.
    pub settled: Option<Fingerprint>,
    /// The last write to each sink.
    pub sinks: Vec<WriteSummary>,
    /// Whether the run may have changed something, its end is not known, and there was no complete run
    /// after it.
    pub unfinished: bool,
    /// The problem, if a part of the record could not be read.
    pub damage: Option<String>,
}

/// The result of a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResetSummary {
    /// The reset took effect.
    Confirmed,
    /// The reset did not take effect.
    NotReset,
    /// The result is not recorded.
    Unconfirmed,
}

/// The last write to a sink.
#[derive(Clone, Debug, Serialize)]
pub struct WriteSummary {
    /// The sink's target.
    pub target: TargetId,
    /// The token.
    pub token: Fingerprint,
    /// The time of the record.
    pub at: Timestamp,
    /// Whether the sink acknowledged the write.
    pub acknowledged: bool,
}

/// Summarizes all runs of a journal, in their order.
pub fn summarize(runs: &[RunRecord]) -> Vec<RunSummary> {
    let summary = |run: &RunRecord| {
        let of_issuer = unfinished(runs, run.issuer().unwrap_or_default());
        let unfinished = of_issuer.iter().any(|one| one.id == run.id);
        RunSummary { unfinished, ..RunSummary::of(run) }
    };
    runs.iter().map(summary).collect()
}

impl RunSummary {
    fn of(run: &RunRecord) -> Self {
        let mut summary = Self {
            id: run.id.to_string(),
            command: run.command(),
            issuer: run.issuer().map(str::to_owned),
            started_at: run.records.first().map(|record| record.at),
            outcome: run.outcome(),
            reset: None,
            before: None,
            after: None,
            settled: None,
            sinks: Vec::new(),
            unfinished: false,
            damage: run.damage.clone(),
        };
        let mut sinks = BTreeMap::new();
        for record in &run.records {
            match &record.entry {
                Entry::ResetIntended { before } => {
                    summary.before = Some(before.clone());
                    summary.reset = Some(ResetSummary::Unconfirmed);
                }
                Entry::ResetConfirmed { after } => {
                    summary.after = Some(after.clone());
                    summary.reset = Some(ResetSummary::Confirmed);
                }
                Entry::NotReset => summary.reset = Some(ResetSummary::NotReset),
                Entry::Written { target, token, .. } | Entry::NotWritten { target, token } => {
                    let acknowledged = matches!(record.entry, Entry::Written { .. });
                    let (target, token, at) = (target.clone(), token.clone(), record.at);
                    let write = WriteSummary { target: target.clone(), token, at, acknowledged };
                    sinks.insert(target, write);
                }
                Entry::Settled { token } => summary.settled = Some(token.clone()),
                Entry::Started { .. } | Entry::Finished { .. } => {}
            }
        }
        summary.sinks = sinks.into_values().collect();
        summary
    }
}
