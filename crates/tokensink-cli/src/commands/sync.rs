//! `sync`: the live token to every sink, without a reset.

use tokensink_engine::{Command, Destination, Outcome, Plan, Report};

use super::{World, with};
use crate::args::Sync;
use crate::consent::describe;
use crate::output::{self, Answer};
use crate::run::{Request, Run, TokenOrigin};

/// More destinations than these are counted, not named: they would scroll the question away.
const MAX_SHOWN: usize = 30;

pub(super) async fn run(world: &World<'_>, sync: &Sync) -> Report {
    let token_origin =
        if sync.token_stdin { TokenOrigin::StandardInput } else { TokenOrigin::DeveloperApi };
    let request = Request { token_origin, ..world.request(Command::Sync, &sync.selection) };
    let mut run = match world.start(&request).await {
        Ok(run) => run,
        Err(report) => return report,
    };
    let report = match run.plan().await {
        Ok(plan) => match ensure_consent(sync, &mut run, &plan).await {
            Ok(()) => run.coordinator.sync(plan).await,
            Err(report) => report,
        },
        Err(report) if sync.token_stdin => about_what_was_pasted(report),
        Err(report) => report,
    };
    run.unlock();
    with(run.warnings, report)
}

/// Asks the user to agree to destinations that are new on this machine, and records the answer.
///
/// # Errors
///
/// The report, when the user did not agree. Nothing was written.
async fn ensure_consent(sync: &Sync, run: &mut Run, plan: &Plan) -> Result<(), Report> {
    let missing = run.destinations_without_consent(plan).await;
    if missing.is_empty() {
        return Ok(());
    }
    if !sync.yes {
        run.progress.clear();
        show(&missing);
        let why = match output::ask("Write the token there?", &run.interrupt).await {
            Answer::Yes => None,
            Answer::No => Some("you did not agree to where the token would be written"),
            Answer::Interrupted => Some("interrupted at the question"),
            Answer::NoTerminal => Some(
                "you have not agreed to where the token would be written, and there is no terminal \
                 to ask on",
            ),
        };
        if let Some(why) = why {
            let errors = vec![why.to_owned()];
            let mut report = Report::refused(Command::Sync, Outcome::Unchanged, errors);
            let next =
                "`tokensink check` shows the destinations; `tokensink sync --yes` agrees to them";
            report.next.push(next.to_owned());
            return Err(report);
        }
    }
    run.record_consent(missing).await;
    Ok(())
}

fn show(destinations: &[Destination]) {
    output::print_sentence_stderr(
        "The token was not written to these places from this machine before:",
    );
    for destination in destinations.iter().take(MAX_SHOWN) {
        output::print_sentence_stderr(&format!("  {}", describe(destination)));
    }
    if destinations.len() > MAX_SHOWN {
        let more = destinations.len() - MAX_SHOWN;
        output::print_sentence_stderr(&format!("  and {more} more"));
    }
}

/// Without a plan it is unknown which token is live only where QStash refused the one there is.
fn about_what_was_pasted(mut report: Report) -> Report {
    if report.outcome == Outcome::Unknown {
        report.errors = vec![
            "QStash does not accept the token that was pasted; nothing was changed".to_owned(),
        ];
        report.next = vec![
            "copy the token again, and check whether `region` and `qstash_url` are right"
                .to_owned(),
        ];
    }
    report
}
