//! The end of every run: decides the outcome, records it and builds the report.

use tokensink_core::Fingerprint;
use tokio::time::Instant;

use crate::abort::Abort;
use crate::faults::{Fault, is_planted};
use crate::forecast::{add_forecast, time_in_words};
use crate::journal::Entry;
use crate::plan::Plan;
use crate::review::review;
use crate::rollout::Rollout;
use crate::session::Session;
use crate::settle::Certainty;
use crate::{Command, Forecast, Outcome, Report, SinkReport, State, TokenChange};

const REPEAT: &str = "fix what is named above and run it again";

/// The result of a delivery.
pub(crate) struct Delivery<'a> {
    pub(crate) command: Command,
    pub(crate) before: Fingerprint,
    pub(crate) rollout: Rollout<'a>,
    pub(crate) certainty: Certainty,
    /// The time at which the reset was sent, if there was one.
    pub(crate) since: Option<Instant>,
    /// The forecast of the reset, if there was one.
    pub(crate) forecast: Option<Forecast>,
}

/// Decides the outcome of a run that delivered a token, records its end and returns the report.
pub(crate) async fn finish(session: &Session, delivery: Delivery<'_>) -> Report {
    let Delivery { command, before, rollout, certainty, since, forecast } = delivery;
    let after = rollout.token.fingerprint();
    let mut report = Report::new(command, Outcome::Complete);
    report.sinks = rollout.sinks.iter().map(|sink| sink.report(&rollout.token, since)).collect();
    report.warnings = rollout.warnings;
    if let Some(forecast) = &forecast {
        add_forecast(&mut report, forecast);
    }
    report.token = TokenChange { before: Some(before), after: Some(after.clone()) };
    let mut entries = Vec::new();
    let is_live = !matches!(certainty, Certainty::Unknown { .. });
    if command == Command::Reset && rollout.unacknowledged && is_live {
        entries.push(Entry::ResetConfirmed { after: after.clone() });
    }
    let outcome = judge(session, certainty, &mut report);
    report.outage_ms = report.sinks.iter().filter_map(|sink| sink.outage_ms).max();
    if outcome == Outcome::Complete {
        entries.push(Entry::Settled { token: after });
    }
    entries.push(Entry::Finished { outcome });
    for entry in entries {
        if let Err(problem) = session.record(entry).await {
            report.warnings.push(problem);
        }
    }
    report.warnings.dedup();
    session.publish(report.ending(outcome))
}

/// Returns the report on a command that ended early, and records the end of a run that began.
pub(crate) async fn finish_aborted(
    session: &Session,
    command: Command,
    plan: Option<&Plan>,
    abort: &Abort,
) -> Report {
    let report = aborted(session, command, plan, abort);
    if session.is_started() {
        session.record_if_possible(Entry::Finished { outcome: report.outcome }).await;
    }
    report
}

/// Returns the report on a command that ended early.
pub(crate) fn aborted(
    session: &Session,
    command: Command,
    plan: Option<&Plan>,
    abort: &Abort,
) -> Report {
    let outcome = match abort {
        Abort::TokenNotAccepted(_) | Abort::ResetUnknown(_) => Outcome::Unknown,
        _ => Outcome::Unchanged,
    };
    // If the error is not about the plan, the plan's results may be out of date.
    let is_about_the_plan = !matches!(
        abort,
        Abort::TokenReplaced
            | Abort::TokenNotAccepted(_)
            | Abort::Interrupted
            | Abort::Source(_)
            | Abort::Journal(_)
    );
    let reviewed = plan.filter(|_| is_about_the_plan);
    let mut report = match reviewed {
        Some(plan) => review(command, plan),
        None => Report::new(command, outcome),
    };
    if reviewed.is_none() {
        report.sinks =
            session.context.sinks.iter().map(|sink| SinkReport::not_inspected(sink)).collect();
    }
    if let Some(plan) = plan {
        for (sink, prepared) in report.sinks.iter_mut().zip(&plan.prepared) {
            sink.attempts = prepared.rehearsal_attempts;
        }
        let rehearsed = plan.prepared.iter().filter(|one| one.rehearsal_attempts > 0).count();
        if rehearsed > 0 {
            report.warnings.push(rehearsal_warning(rehearsed));
        }
    }
    explain(abort, &mut report, reviewed);
    session.publish(report.ending(outcome))
}

fn rehearsal_warning(rehearsed: usize) -> String {
    let sinks = if rehearsed == 1 { "1 sink".to_owned() } else { format!("{rehearsed} sinks") };
    format!("the rehearsal wrote the current token to {sinks}, or tried to")
}

/// Adds the errors of `abort` and the next steps.
fn explain(abort: &Abort, report: &mut Report, plan: Option<&Plan>) {
    let mut next = |step: &str| report.next.push(step.to_owned());
    match abort {
        Abort::Obstructed => return next(REPEAT),
        Abort::ProofFailed(problems)
        | Abort::NotRehearsable(problems)
        | Abort::RehearsalFailed(problems) => {
            next(REPEAT);
            report.errors.extend(problems.iter().cloned());
            return;
        }
        Abort::Unfinished(_) => next(
            "`tokensink sync` finishes it, without another reset; then reset again, if you still \
             want to",
        ),
        Abort::TokenNotAccepted(_) => {
            next("check `region` and `qstash_url`, and try again in a minute");
        }
        Abort::TokenReplaced => next("`tokensink sync` delivers the token that is live now"),
        Abort::OutageTooLong { forecast, allowed, dominated_by, advice } => {
            report.errors.push(format!(
                "the sinks would be stale for about {}, longer than the {} allowed; what takes \
                 longest: {dominated_by}",
                time_in_words(*forecast),
                time_in_words(*allowed)
            ));
            report.next.extend(advice.clone());
            report.next.push("allow more with --max-outage, or choose fewer sinks".to_owned());
            if let Some(plan) = plan {
                add_forecast(report, &plan.forecast());
            }
            return;
        }
        Abort::NotReset(_) => next(REPEAT),
        Abort::ResetUnknown(_) => {
            next(
                "do not reset again: `tokensink sync` finds out which token is live and delivers \
                 it",
            );
            report.token.after = None;
            for sink in &mut report.sinks {
                sink.state = State::Unknown;
                sink.evidence = "it is not known which token is live".to_owned();
            }
        }
        Abort::Interrupted | Abort::NoHistory | Abort::Source(_) | Abort::Journal(_) => {}
    }
    report.errors.push(abort.to_string());
}

fn judge(session: &Session, certainty: Certainty, report: &mut Report) -> Outcome {
    let unproven = |sink: &&SinkReport| sink.required && sink.state != State::Current;
    let unproven: Vec<String> = report.sinks.iter().filter(unproven).map(describe).collect();
    let left_out = session.left_out().filter(|_| report.command == Some(Command::Reset));
    let left_out =
        left_out.map(|names| format!("left out: {names}: the old token is revoked there"));
    let unproven: Vec<String> = unproven.into_iter().chain(left_out).collect();
    let outcome = match certainty {
        Certainty::Unknown { reason } => {
            report.errors.push(format!("it is not known which token is live: {reason}"));
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
            if unproven.is_empty() || is_planted(Fault::CompleteWithStaleSink) {
                Outcome::Complete
            } else {
                Outcome::Partial
            }
        }
    };
    if outcome == Outcome::Unknown || !unproven.is_empty() {
        let again = "fix what is named above, where it does not pass by itself; then \
                     `tokensink sync` delivers the live token, without a reset";
        report.next.insert(0, again.to_owned());
    }
    report.errors.extend(unproven);
    outcome
}

/// Marks a sink as unknown, because it is not known whether its token is the live one.
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
