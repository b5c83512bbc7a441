//! `reset`: plan, question, reset, report.

use tokensink_engine::{Command, Coordinator, Outcome, Plan, Report};

use super::World;
use super::pushing::with;
use crate::args::{Output, Reset};
use crate::output::{self, Answer};
use crate::run::{Request, Run};

pub(super) async fn run(world: &World<'_>, reset: &Reset) -> Report {
    let request = Request {
        most_outage: reset.max_outage,
        ..world.request(Command::Reset, &reset.selection)
    };
    let mut run = match world.start(&request).await {
        Ok(run) => run,
        Err(report) => return report,
    };
    let (Ok(report) | Err(report)) = carry_out(world, reset, &run).await;
    run.unlock();
    with(run.warnings, report)
}

async fn carry_out(world: &World<'_>, reset: &Reset, run: &Run) -> Result<Report, Report> {
    let coordinator = &run.coordinator;
    let plan = run.plan().await?;
    if plan.obstacles().next().is_some() {
        return Err(coordinator.refuse(Command::Reset, &plan));
    }
    coordinator.allows(&plan)?;
    if !reset.yes {
        run.watcher.clear();
        confirm(world, coordinator, &plan, run).await?;
    }
    let plan = if reset.rehearse { coordinator.rehearse(plan).await? } else { plan };
    Ok(coordinator.reset(plan).await)
}

async fn confirm(
    world: &World<'_>,
    coordinator: &Coordinator,
    plan: &Plan,
    run: &Run,
) -> Result<(), Report> {
    let review = coordinator.check(plan);
    if world.global.output == Output::Text {
        output::print_sinks(&review);
        output::warn_of(&review);
        output::print_forecast(&review);
    }
    let targets = match plan.prepared.len() {
        1 => "1 target gets".to_owned(),
        many => format!("{many} targets get"),
    };
    output::tell_sentence(&format!("This resets {}.", coordinator.issuer()));
    output::tell_sentence(&format!(
        "The old token is dead at once; {targets} the new one within about {}.",
        output::in_words(plan.forecast().whole)
    ));
    let why = match output::ask("Reset now?", &run.interrupt).await {
        Answer::Yes => return Ok(()),
        Answer::No => "the answer was not yes",
        Answer::Interrupted => "interrupted at the question",
        Answer::NoTerminal => {
            "there is no terminal to ask on: say --yes to reset without a question"
        }
    };
    let mut report = Report::refused(Command::Reset, Outcome::Unchanged, vec![why.to_owned()]);
    if world.global.output == Output::Json {
        report.sinks = review.sinks;
    }
    report.token = review.token;
    Err(report)
}
