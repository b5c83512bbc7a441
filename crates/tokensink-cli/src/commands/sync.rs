//! `sync`: writes the live token to every sink, without a reset.

use tokensink_engine::{Command, Destination, Outcome, Plan, Report};

use super::{CommandContext, with_warnings};
use crate::args::Sync;
use crate::consent::describe;
use crate::output::{self, Answer};
use crate::run::{ActiveRun, RunRequest, TokenOrigin};

/// More destinations than these are counted, not named: they would scroll the question away.
const MAX_SHOWN: usize = 30;

pub(super) async fn run(context: &CommandContext<'_>, sync: &Sync) -> Report {
    let token_origin =
        if sync.token_stdin { TokenOrigin::StandardInput } else { TokenOrigin::DeveloperApi };
    let request = RunRequest { token_origin, ..context.request(Command::Sync, &sync.selection) };
    let mut run = match context.start(&request).await {
        Ok(run) => run,
        Err(report) => return report,
    };
    let report = match run.plan().await {
        Ok(plan) => match ensure_consent(sync, &mut run, &plan).await {
            Ok(()) => run.coordinator.sync(plan).await,
            Err(report) => report,
        },
        Err(report) if sync.token_stdin => pasted_token_report(report),
        Err(report) => report,
    };
    run.unlock();
    with_warnings(run.warnings, report)
}

/// Asks the user to agree to destinations that are new on this machine, and records the answer.
///
/// # Errors
///
/// The report, when the user did not agree. Nothing was written.
async fn ensure_consent(sync: &Sync, run: &mut ActiveRun, plan: &Plan) -> Result<(), Report> {
    let missing = run.destinations_without_consent(plan).await;
    if missing.is_empty() {
        return Ok(());
    }
    if !sync.yes {
        run.progress.clear();
        show(&missing);
        let refusal = match output::ask("Write the token there?", &run.interrupt).await {
            Answer::Yes => None,
            Answer::No => Some("you did not agree to the destinations of the token"),
            Answer::Interrupted => Some("interrupted at the question"),
            Answer::NoTerminal => Some(
                "you have not agreed to the destinations of the token, and standard input is not a \
                 terminal to ask on",
            ),
        };
        if let Some(refusal) = refusal {
            let errors = vec![refusal.to_owned()];
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
    output::print_sentence_stderr("This machine has not written the token to these places before:");
    for destination in destinations.iter().take(MAX_SHOWN) {
        output::print_sentence_stderr(&format!("  {}", describe(destination)));
    }
    if destinations.len() > MAX_SHOWN {
        let more = destinations.len() - MAX_SHOWN;
        output::print_sentence_stderr(&format!("  and {more} more"));
    }
}

/// Replaces the messages of a run whose pasted token QStash rejected: there is no other token to look for.
fn pasted_token_report(mut report: Report) -> Report {
    if report.outcome == Outcome::Unknown {
        report.errors =
            vec!["QStash does not accept the pasted token; nothing was changed".to_owned()];
        report.next = vec![
            "copy the token again, and check that `region` and `qstash_url` are right".to_owned(),
        ];
    }
    report
}
