//! `reset`: plan, question, reset, report.

use tokensink_engine::{Command, Coordinator, Outcome, Plan, Report, time_in_words};

use super::{World, with};
use crate::args::{Output, Reset};
use crate::consent::describe;
use crate::output::{self, Answer};
use crate::run::{Request, Run};

pub(super) async fn run(world: &World<'_>, reset: &Reset) -> Report {
    let request =
        Request { max_outage: reset.max_outage, ..world.request(Command::Reset, &reset.selection) };
    let mut run = match world.start(&request).await {
        Ok(run) => run,
        Err(report) => return report,
    };
    let mut told = Vec::new();
    let (Ok(report) | Err(report)) = carry_out(world, reset, &mut run, &mut told).await;
    run.unlock();
    let mut report = with(run.warnings, report);
    report.warnings.retain(|warning| !told.contains(warning));
    report
}

/// `told` gets the warnings that a person has read before the reset.
async fn carry_out(
    world: &World<'_>,
    reset: &Reset,
    run: &mut Run,
    told: &mut Vec<String>,
) -> Result<Report, Report> {
    let Some(issuer) = run.issuer.clone() else {
        let why = "this token cannot be reset here".to_owned();
        return Err(Report::refused(Command::Reset, Outcome::Unchanged, vec![why]));
    };
    let plan = run.plan().await?;
    if let Err(abort) = run.coordinator.ensure_can_reset(&plan) {
        return Err(run.coordinator.report_abort(Command::Reset, Some(&plan), &abort));
    }
    let is_text = world.global.output == Output::Text;
    if !reset.yes || is_text {
        if !reset.yes {
            run.progress.clear();
        }
        let review = with(run.warnings.clone(), run.coordinator.check(&plan));
        if is_text {
            told.clone_from(&review.warnings);
            show(reset, &review);
        }
        announce(&run.coordinator, &plan);
        if !reset.yes {
            confirm(world, review, run).await?;
        }
    }
    run.record_consent(plan.destinations()).await;
    let coordinator = &run.coordinator;
    let plan = if reset.rehearse { coordinator.rehearse(plan).await? } else { plan };
    Ok(coordinator.reset(plan, issuer).await)
}

/// The plan, for a person who is asked; what deserves attention, for everybody.
fn show(reset: &Reset, review: &Report) {
    if !reset.yes {
        output::print_sinks(review);
        output::print_forecast(review);
    }
    output::print_warnings(review);
}

/// Says what is about to happen, and how long it may hurt.
fn announce(coordinator: &Coordinator, plan: &Plan) {
    let targets = match plan.prepared.len() {
        1 => "1 target gets".to_owned(),
        many => format!("{many} targets get"),
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

async fn confirm(world: &World<'_>, review: Report, run: &Run) -> Result<(), Report> {
    let why = match output::ask("Reset now?", &run.interrupt).await {
        Answer::Yes => return Ok(()),
        Answer::No => "the answer was not yes",
        Answer::Interrupted => "interrupted at the question",
        Answer::NoTerminal => {
            "there is no terminal to ask on: pass --yes to reset without a question"
        }
    };
    let mut report = Report::refused(Command::Reset, Outcome::Unchanged, vec![why.to_owned()]);
    if world.global.output == Output::Json {
        report.sinks = review.sinks;
    }
    report.token = review.token;
    Err(report)
}
