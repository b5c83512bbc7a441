//! The end of every run that writes: from where the sinks stand to outcome and report.

use tokensink_core::Fingerprint;
use tokio::time::Instant;

use crate::coordinator::Coordinator;
use crate::journal::Entry;
use crate::push::Chase;
use crate::settle::{Certainty, Standing};
use crate::{Command, Forecast, Outcome, Report, SinkReport, State, TokenChange};

/// What a run that wrote has to tell.
pub(super) struct Conclusion {
    pub(super) command: Command,
    pub(super) before: Fingerprint,
    pub(super) chase: Chase,
    pub(super) standings: Vec<Standing>,
    pub(super) certainty: Certainty,
    pub(super) warnings: Vec<String>,
    /// When the reset left, if there was one.
    pub(super) since: Option<Instant>,
    /// What was to be expected, where there was a reset.
    pub(super) forecast: Option<Forecast>,
}

impl Coordinator {
    /// Judges the run, records its end, and reports.
    pub(super) async fn conclude(&self, conclusion: Conclusion) -> Report {
        let Conclusion { command, before, chase, standings, certainty, warnings, since, forecast } =
            conclusion;
        let mut report = Report::new(command, Outcome::Complete);
        report.warnings = warnings;
        report.sinks = standings.iter().map(|standing| standing.report(since)).collect();
        if let Some(forecast) = &forecast {
            report = report.expecting(forecast);
        }
        report.token = TokenChange { before: Some(before), after: Some(chase.token.fingerprint()) };
        let mut entries = Vec::new();
        let is_live = !matches!(certainty, Certainty::Unknown { .. });
        if command == Command::Reset && chase.in_doubt && is_live {
            entries.push(Entry::ResetConfirmed { after: chase.token.fingerprint() });
        }
        let outcome = self.judge(certainty, &mut report);
        report.outage_ms = report.sinks.iter().filter_map(|sink| sink.outage_ms).max();
        if outcome == Outcome::Complete {
            entries.push(Entry::Settled { token: chase.token.fingerprint() });
        }
        entries.push(Entry::Finished { outcome });
        for entry in entries {
            if let Err(problem) = self.record(entry).await {
                report.warnings.push(problem);
            }
        }
        report.warnings.dedup();
        self.publish(report.ending(outcome))
    }

    fn judge(&self, certainty: Certainty, report: &mut Report) -> Outcome {
        let unproven = |sink: &&SinkReport| sink.required && sink.state != State::Current;
        let unproven: Vec<String> = report.sinks.iter().filter(unproven).map(describe).collect();
        let left_out = self.left_out().filter(|_| report.command == Some(Command::Reset));
        let left_out =
            left_out.map(|names| format!("left out: {names}: the old token is dead there"));
        let unproven: Vec<String> = unproven.into_iter().chain(left_out).collect();
        let outcome = match certainty {
            Certainty::Unknown { why } => {
                report.errors.push(format!("it is not known which token is live: {why}"));
                report.sinks.iter_mut().for_each(doubt);
                Outcome::Unknown
            }
            Certainty::OldStillAccepted => {
                report.errors.push("QStash still accepts the old token".to_owned());
                report.next.push(
                    "if the old token leaked it still does harm: ask Upstash's support".to_owned(),
                );
                Outcome::Partial
            }
            Certainty::Live { doubts } => {
                report.warnings.extend(doubts);
                if unproven.is_empty() { Outcome::Complete } else { Outcome::Partial }
            }
        };
        if outcome == Outcome::Unknown || !unproven.is_empty() {
            let again = "mend what is named above, where it will not pass by itself; then \
                         `tokensink sync` pushes the live token, without a reset";
            report.next.insert(0, again.to_owned());
        }
        report.errors.extend(unproven);
        outcome
    }
}

/// Holding a token is not being current where nobody knows whether that token is live.
fn doubt(sink: &mut SinkReport) {
    if sink.state == State::Current {
        sink.state = State::Unknown;
        sink.outage_ms = None;
        sink.evidence =
            format!("{}, but it is not known whether that token is live", sink.evidence);
    }
}

fn describe(sink: &SinkReport) -> String {
    let state = if sink.state == State::Stale { "stale" } else { "unknown" };
    let reason = sink.error.as_ref().unwrap_or(&sink.evidence);
    format!("{state}: {} ({}): {reason}", sink.name, sink.place)
}
