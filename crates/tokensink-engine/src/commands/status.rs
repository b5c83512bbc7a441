//! `status`: each sink against the live token.

use crate::coordinator::Coordinator;
use crate::journal::Run;
use crate::plan::Plan;
use crate::prepare::Prepared;
use crate::{Command, Outcome, Report, SinkReport, State};

impl Coordinator {
    /// The report on what every sink holds. A sink that could not be prepared is still reported by
    /// what it holds; a required one that could not be asked is an error.
    pub fn status(&self, plan: &Plan) -> Report {
        let mut report = self.review(Command::Status, plan);
        report.errors = plan.prepared.iter().filter_map(not_asked).collect();
        report.warnings.retain(|warning| !report.errors.contains(warning));
        for (sink, prepared) in report.sinks.iter_mut().zip(&plan.prepared) {
            sink.written_at = self.last_written_at(&prepared.sink.info.target);
        }
        for run in self.earlier_runs() {
            if let Some(damage) = &run.damage {
                report.warnings.push(format!("{damage}; move it away once `sync` is complete"));
            }
        }
        let unfinished: Vec<String> = self.unfinished_runs().map(how_it_ended).collect();
        if !unfinished.is_empty() {
            report.warnings.extend(unfinished);
            report
                .next
                .push("`tokensink sync` finishes what was begun, without a reset".to_owned());
        }
        let drifted = |sink: &SinkReport| sink.required && sink.state == State::Stale;
        let outcome = if !report.errors.is_empty() {
            Outcome::Unchanged
        } else if report.sinks.iter().any(drifted) {
            report.next.push("`tokensink sync` writes the live token to every sink".to_owned());
            Outcome::Drift
        } else {
            Outcome::Complete
        };
        self.publish(report.ending(outcome))
    }
}

impl Coordinator {
    /// Runs without an end, or with a doubtful one, as far as no later one has settled the matter.
    fn unfinished_runs(&self) -> impl Iterator<Item = &Run> {
        let newer = self.earlier_runs().rev().take_while(|run| !run.is_complete());
        let is_open = |run: &&Run| matches!(run.outcome(), None | Some(Outcome::Unknown));
        newer.filter(|run| run.damage.is_none()).filter(is_open)
    }
}

fn how_it_ended(run: &Run) -> String {
    match run.outcome() {
        None => format!("run {} has not finished: it is under way still, or was cut off", run.id),
        Some(_) => format!("run {} ended without knowing which token is live", run.id),
    }
}

/// Why a required sink could not be asked what it holds.
fn not_asked(prepared: &Prepared) -> Option<String> {
    prepared.not_inspected().filter(|_| prepared.sink.required)
}
