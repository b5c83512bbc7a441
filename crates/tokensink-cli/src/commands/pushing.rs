//! `check`, `status` and `sync`: the commands that never reset.

use tokensink_engine::{Command, Outcome, Report};

use super::World;
use crate::args::{Selection, Sync};
use crate::run::{Request, TokenSource};

pub(super) async fn check(world: &World<'_>, selection: &Selection) -> Report {
    let run = match world.start(&world.request(Command::Check, selection)).await {
        Ok(run) => run,
        Err(report) => return report,
    };
    let planned = run.plan().await;
    with(run.warnings, planned.map_or_else(|report| report, |plan| run.coordinator.check(&plan)))
}

pub(super) async fn status(world: &World<'_>, selection: &Selection) -> Report {
    let run = match world.start(&world.request(Command::Status, selection)).await {
        Ok(run) => run,
        Err(report) => return report,
    };
    let planned = run.plan().await;
    with(run.warnings, planned.map_or_else(|report| report, |plan| run.coordinator.status(&plan)))
}

pub(super) async fn sync(world: &World<'_>, sync: &Sync) -> Report {
    let token_source =
        if sync.token_stdin { TokenSource::StandardInput } else { TokenSource::DeveloperApi };
    let request = Request { token_source, ..world.request(Command::Sync, &sync.selection) };
    let mut run = match world.start(&request).await {
        Ok(run) => run,
        Err(report) => return report,
    };
    let report = match run.plan().await {
        Ok(plan) => run.coordinator.sync(plan).await,
        Err(report) if sync.token_stdin => about_what_was_pasted(report),
        Err(report) => report,
    };
    run.unlock();
    with(run.warnings, report)
}

/// Without a plan it is unknown which token is live only where QStash refused the one there is.
fn about_what_was_pasted(mut report: Report) -> Report {
    if report.outcome == Outcome::Unknown {
        report.errors = vec![
            "QStash does not accept the token that was pasted; nothing was changed".to_owned(),
        ];
        report.next = vec![
            "copy the token once more, and see whether `region` and `qstash_url` are right"
                .to_owned(),
        ];
    }
    report
}

/// The report, with what deserved attention before it began.
pub(super) fn with(warnings: Vec<String>, mut report: Report) -> Report {
    report.warnings.splice(0..0, warnings);
    report
}
