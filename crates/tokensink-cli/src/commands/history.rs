//! `history`: lists the runs in the journal, newest last.

use serde::Serialize;
use tokensink_engine::journal::{FileJournal, Journal as _, ResetSummary, RunSummary, summarize};
use tokensink_engine::{Command, Outcome, Report};

use super::{CommandContext, finish};
use crate::args::Output;
use crate::output::{print_json, print_rows_stacking, print_sentence, print_stdout, warn};
use crate::run_store::{STATE_DIRECTORY_HELP, state_directory};

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    runs: Vec<RunSummary>,
}

pub(super) async fn run(context: &CommandContext<'_>) -> u8 {
    let runs = match read(context).await {
        Ok(runs) => runs,
        Err(report) => return finish(context.global, &report),
    };
    match context.global.output {
        Output::Json => print_json(&Document { schema: "tokensink.history/1", runs }),
        Output::Text => show(&runs),
    }
    0
}

async fn read(context: &CommandContext<'_>) -> Result<Vec<RunSummary>, Report> {
    let refused = |outcome, error| {
        let mut report = Report::refused(Command::History, outcome, vec![error]);
        report.next.push(STATE_DIRECTORY_HELP.to_owned());
        report
    };
    let directory = state_directory(context.global, context.environment)
        .map_err(|error| refused(Outcome::Invalid, error.to_string()))?;
    let unreadable = |error: &dyn std::fmt::Display| refused(Outcome::Unchanged, error.to_string());
    let journal = FileJournal::open(directory).map_err(|error| unreadable(&error))?;
    let runs = journal.runs().await.map_err(|error| unreadable(&error))?;
    Ok(summarize(&runs))
}

fn show(runs: &[RunSummary]) {
    if runs.is_empty() {
        print_stdout("no runs yet");
        return;
    }
    let rows: Vec<[String; 6]> = runs.iter().map(row).collect();
    let header = ["RUN", "STARTED", "COMMAND", "OUTCOME", "TOKEN", "SINKS"];
    print_rows_stacking("RUN, STARTED", header, &rows);
    for damage in runs.iter().filter_map(|run| run.damage.as_deref()) {
        warn(damage);
    }
    if runs.iter().any(|run| run.unfinished) {
        print_sentence("next: `tokensink sync` finishes an interrupted run, without another reset");
    }
}

fn row(run: &RunSummary) -> [String; 6] {
    let unknown = || "?".to_owned();
    let started = run.started_at.map(|at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    [
        run.id.clone(),
        started.unwrap_or_else(unknown),
        run.command.map_or_else(unknown, |command| name_of(&command)),
        run.outcome.map_or_else(|| "never finished".to_owned(), |outcome| name_of(&outcome)),
        token(run),
        sinks(run),
    ]
}

fn sinks(run: &RunSummary) -> String {
    let written = run.sinks.iter().filter(|sink| sink.acknowledged).count();
    match run.sinks.len() {
        0 if run.outcome == Some(Outcome::Complete) => "nothing to write".to_owned(),
        0 => "none written".to_owned(),
        all => format!("{written} of {all} written"),
    }
}

fn token(run: &RunSummary) -> String {
    let shown =
        |token: &Option<_>| token.as_ref().map_or_else(|| "?".to_owned(), ToString::to_string);
    match run.reset {
        None => {
            let written = || run.sinks.first().map(|sink| &sink.token);
            run.settled
                .as_ref()
                .or_else(written)
                .map_or_else(|| "-".to_owned(), ToString::to_string)
        }
        Some(ResetSummary::Confirmed) => {
            format!("{} -> {}", shown(&run.before), shown(&run.after))
        }
        Some(ResetSummary::NotReset) => format!("{}, not reset", shown(&run.before)),
        Some(ResetSummary::Unconfirmed) => format!("{}, perhaps reset", shown(&run.before)),
    }
}

/// Returns the name of a command or outcome in JSON documents.
fn name_of(word: &impl Serialize) -> String {
    let name = serde_json::to_value(word).ok();
    name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
