//! The runs of a journal, as `tokensink history` shows them. Read-only; carries no secret.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use tokensink_core::{Fingerprint, TargetId};

use super::{Entry, Run, unfinished};
use crate::{Command, Outcome};

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct RunSummary {
    /// Its name.
    pub id: String,
    /// Which command it was.
    pub command: Option<Command>,
    /// Which QStash it was about.
    pub issuer: Option<String>,
    /// When it began, by this machine's clock.
    pub started_at: Option<Timestamp>,
    /// How it ended; `None` for a run that was cut off.
    pub outcome: Option<Outcome>,
    /// What became of its reset; `None` where it asked for none.
    pub reset: Option<ResetSummary>,
    /// The token before the reset.
    pub before: Option<Fingerprint>,
    /// The token after it.
    pub after: Option<Fingerprint>,
    /// The token that was live at its end, where issuer and sinks agreed.
    pub settled: Option<Fingerprint>,
    /// What it last did at each sink.
    pub sinks: Vec<WriteSummary>,
    /// Whether it may have changed something, its end is not known, and no complete run came after it.
    pub unfinished: bool,
    /// Why not all of its record could be read, if so.
    pub damage: Option<String>,
}

/// What became of a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResetSummary {
    /// It happened.
    Confirmed,
    /// It did not.
    NotReset,
    /// The record does not say.
    Unconfirmed,
}

/// The last write to one sink.
#[derive(Clone, Debug, Serialize)]
pub struct WriteSummary {
    /// Which one.
    pub target: TargetId,
    /// Which token.
    pub token: Fingerprint,
    /// When.
    pub at: Timestamp,
    /// Whether the sink acknowledged it.
    pub acknowledged: bool,
}

/// Summarizes all runs of a journal, in their order.
pub fn summarize(runs: &[Run]) -> Vec<RunSummary> {
    let summary = |run: &Run| {
        let of_issuer = unfinished(runs, run.issuer().unwrap_or_default());
        let unfinished = of_issuer.iter().any(|one| one.id == run.id);
        RunSummary { unfinished, ..RunSummary::of(run) }
    };
    runs.iter().map(summary).collect()
}

impl RunSummary {
    fn of(run: &Run) -> Self {
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
