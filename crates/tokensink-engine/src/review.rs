//! The reports of `check` and `status`, which describe a plan.

use crate::abort::Abort;
use crate::forecast::add_forecast;
use crate::plan::{Plan, Prepared};
use crate::session::Session;
use crate::{Command, Outcome, Report, SinkReport, State, TokenChange};

/// Reports every sink, without deciding the outcome.
pub(crate) fn review(command: Command, plan: &Plan) -> Report {
    let mut report = Report::new(command, Outcome::Ready);
    let fingerprint = plan.token().fingerprint();
    report.token = TokenChange { before: Some(fingerprint.clone()), after: Some(fingerprint) };
    for prepared in &plan.prepared {
        let (state, evidence) = prepared.state(plan.token());
        let mut sink = SinkReport::of(&prepared.sink, state, evidence);
        if let Some(obstacle) = prepared.obstacle() {
            sink.error = Some(obstacle.to_string());
            let named = prepared.named(&obstacle.to_string());
            if sink.required {
                report.errors.push(format!("not ready: {named}"));
            } else {
                report.warnings.push(format!("not ready, not required: {named}"));
            }
        }
        report.sinks.push(sink);
    }
    report.errors.extend(plan.shared_targets());
    // The warnings about replaced values matter only before a write.
    report.warnings.extend(match command {
        Command::Status => plan.sink_warnings(),
        _ => plan.warnings(),
    });
    report
}

/// Reports whether a reset could finish, and which sinks contain another value.
pub(crate) fn check(session: &Session, plan: &Plan) -> Report {
    let mut report = review(Command::Check, plan);
    for (sink, prepared) in report.sinks.iter_mut().zip(&plan.prepared) {
        if let Some(doubt) = prepared.doubt() {
            sink.evidence = format!("{}; {doubt}", sink.evidence);
        }
    }
    if !report.errors.is_empty() {
        report.next.push("fix what is named above; nothing was changed".to_owned());
    }
    if let Err(unfinished) = session.ensure_finished() {
        report.errors.push(unfinished.to_string());
        report.next.push("`tokensink sync` finishes it, without another reset".to_owned());
    }
    if !report.errors.is_empty() {
        return session.publish(report.ending(Outcome::Unchanged));
    }
    let outcome = if has_drifted(&report) {
        report.next.push("`tokensink sync` writes the live token to every sink".to_owned());
        Outcome::Drift
    } else {
        Outcome::Ready
    };
    session.publish(with_forecast(session, report, plan).ending(outcome))
}

/// Reports the content of every sink, also of those that could not be prepared. A failed inspection of a
/// required sink is an error.
pub(crate) fn status(session: &Session, plan: &Plan) -> Report {
    let mut report = review(Command::Status, plan);
    report.errors = plan.prepared.iter().filter_map(not_inspected).collect();
    report.warnings.retain(|warning| !report.errors.contains(warning));
    report.warnings.extend(plan.shared_targets());
    for (sink, prepared) in report.sinks.iter_mut().zip(&plan.prepared) {
        sink.written_at = session.last_written_at(&prepared.sink.info.target);
    }
    for run in session.earlier_runs() {
        if let Some(damage) = &run.damage {
            report.warnings.push(format!("{damage}; move it away once `sync` is complete"));
        }
    }
    let unfinished: Vec<String> =
        session.unfinished_runs().into_iter().map(|run| run.unfinished_reason()).collect();
    let is_unfinished = !unfinished.is_empty();
    report.warnings.extend(unfinished);
    if is_unfinished {
        report.next.push("`tokensink sync` finishes what was begun, without a reset".to_owned());
    }
    let has_drifted = has_drifted(&report);
    let outcome = if is_unfinished && !has_drifted {
        Outcome::Unknown
    } else if !is_unfinished && !report.errors.is_empty() {
        Outcome::Unchanged
    } else if has_drifted {
        report.next.push("`tokensink sync` writes the live token to every sink".to_owned());
        Outcome::Drift
    } else {
        Outcome::Complete
    };
    session.publish(report.ending(outcome))
}

/// Checks that the expected outage is not longer than allowed.
pub(crate) fn ensure_short_outage(session: &Session, plan: &Plan) -> Result<(), Abort> {
    let forecast = plan.forecast();
    match session.timing.max_outage {
        Some(allowed) if forecast.whole > allowed => Err(Abort::OutageTooLong {
            forecast: forecast.whole,
            allowed,
            dominated_by: forecast.dominated_by.unwrap_or_default(),
            advice: forecast.advice,
        }),
        _ => Ok(()),
    }
}

fn has_drifted(report: &Report) -> bool {
    report.sinks.iter().any(|sink| sink.required && sink.state == State::Stale)
}

/// Adds the forecast and its warnings to the report on a plan that can succeed.
fn with_forecast(session: &Session, mut report: Report, plan: &Plan) -> Report {
    let forecast = plan.forecast();
    add_forecast(&mut report, &forecast);
    report.dominated_by = forecast.dominated_by;
    report.next.extend(forecast.advice);
    let left_out = session.left_out();
    report.warnings.extend(
        left_out.map(|names| format!("left out: {names}: a reset leaves a revoked token there")),
    );
    if plan.prepared.iter().any(|prepared| prepared.doubt().is_some()) {
        report.next.push(
            "`tokensink reset --rehearse` writes the current token first, which proves what only a \
             write can"
                .to_owned(),
        );
    }
    report
}

/// Returns the error of the inspection of a required sink.
fn not_inspected(prepared: &Prepared) -> Option<String> {
    prepared.not_inspected().filter(|_| prepared.sink.required)
}
