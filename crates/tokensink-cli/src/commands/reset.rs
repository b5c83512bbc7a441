//! `reset`: plans, asks, resets the token and writes the new one.

use tokensink_engine::{Command, Coordinator, Outcome, Plan, Report, time_in_words};

use super::{CommandContext, with_warnings};
use crate::args::{Output, Reset};
use crate::consent::describe;
use crate::output::{self, Answer};
use crate::run::{ActiveRun, RunRequest};

pub(super) async fn run(context: &CommandContext<'_>, reset: &Reset) -> Report {
    let request = RunRequest {
        max_outage: reset.max_outage,
        ..context.request(Command::Reset, &reset.selection)
    };
    let mut run = match context.start(&request).await {
        Ok(run) => run,
        Err(report) => return report,
    };
    let mut printed = Vec::new();
    let (Ok(report) | Err(report)) = plan_and_reset(context, reset, &mut run, &mut printed).await;
    run.unlock();
    let mut report = with_warnings(run.warnings, report);
    report.warnings.retain(|warning| !printed.contains(warning));
    report
}

/// Adds the warnings that were printed before the reset to `printed`.
async fn plan_and_reset(
    context: &CommandContext<'_>,
    reset: &Reset,
    run: &mut ActiveRun,
    printed: &mut Vec<String>,
) -> Result<Report, Report> {
    let Some(issuer) = run.issuer.clone() else {
        let error = "a token from standard input cannot be reset".to_owned();
        return Err(Report::refused(Command::Reset, Outcome::Unchanged, vec![error]));
    };
    let plan = run.plan().await?;
    if let Err(abort) = run.coordinator.ensure_can_reset(&plan) {
        return Err(run.coordinator.report_abort(Command::Reset, Some(&plan), &abort));
    }
    let is_text = context.global.output == Output::Text;
    if !reset.yes || is_text {
        if !reset.yes {
            run.progress.clear();
        }
        let review = with_warnings(run.warnings.clone(), run.coordinator.check(&plan));
        if is_text {
            printed.clone_from(&review.warnings);
            print_review(reset, &review);
        }
        announce(&run.coordinator, &plan);
        if !reset.yes {
            confirm(context, review, run).await?;
        }
    }
    run.record_consent(plan.destinations()).await;
    let coordinator = &run.coordinator;
    let plan = if reset.rehearse { coordinator.rehearse(plan).await? } else { plan };
    Ok(coordinator.reset(plan, issuer).await)
}

/// Prints the plan, if the user is asked about it, and its warnings in any case.
fn print_review(reset: &Reset, review: &Report) {
    if !reset.yes {
        output::print_sinks(review);
        output::print_forecast(review);
    }
    output::print_warnings(review);
}

/// Prints what the reset is about to do, and the forecast of the outage.
fn announce(coordinator: &Coordinator, plan: &Plan) {
    let targets = match plan.prepared.len() {
        1 => "1 target receives".to_owned(),
        many => format!("{many} targets receive"),
    };
    output::print_sentence_stderr(&format!("This resets {}.", coordinator.source()));
    output::print_sentence_stderr(&format!(
        "The old token is revoked at once; {targets} the new one within about {}.",
        time_in_words(plan.forecast().whole)
    ));
    for destination in plan.destinations().iter().filter(|one| one.host.is_some()) {
        output::print_sentence_stderr(&format!("The token goes to {}.", describe(destination)));
    }
}

async fn confirm(
    context: &CommandContext<'_>,
    review: Report,
    run: &ActiveRun,
) -> Result<(), Report> {
    let error = match output::ask("Reset now?", &run.interrupt).await {
        Answer::Yes => return Ok(()),
        Answer::No => "the answer was not yes",
        Answer::Interrupted => "interrupted at the question",
        Answer::NoTerminal => {
            "standard input is not a terminal: pass --yes to reset without a question"
        }
    };
    let mut report = Report::refused(Command::Reset, Outcome::Unchanged, vec![error.to_owned()]);
    if context.global.output == Output::Json {
        report.sinks = review.sinks;
    }
    report.token = review.token;
    Err(report)
}
