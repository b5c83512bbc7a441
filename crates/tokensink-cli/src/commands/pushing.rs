//! `check`, `status` and `sync`: the commands that never reset.

use tokensink_engine::{Command, Report};

use super::World;
use crate::args::{Selection, Sync};
use crate::run::{Request, TokenSource};

pub(super) async fn check(world: &World<'_>, selection: &Selection) -> Report {
    let result = async {
        let run = world.start(&world.request(Command::Check, selection)).await?;
        let plan = run.coordinator.plan(Command::Check).await?;
        Ok(with(run.warnings, run.coordinator.check(&plan)))
    };
    result.await.unwrap_or_else(|report| report)
}

pub(super) async fn status(world: &World<'_>, selection: &Selection) -> Report {
    let result = async {
        let run = world.start(&world.request(Command::Status, selection)).await?;
        let plan = run.coordinator.plan(Command::Status).await?;
        Ok(with(run.warnings, run.coordinator.status(&plan)))
    };
    result.await.unwrap_or_else(|report| report)
}

pub(super) async fn sync(world: &World<'_>, sync: &Sync) -> Report {
    let source =
        if sync.token_stdin { TokenSource::StandardInput } else { TokenSource::DeveloperApi };
    let result = async {
        let request =
            Request { token_source: source, ..world.request(Command::Sync, &sync.selection) };
        let mut run = world.start(&request).await?;
        let plan = run.coordinator.plan(Command::Sync).await?;
        let report = run.coordinator.sync(plan).await;
        run.unlock();
        Ok(with(run.warnings, report))
    };
    result.await.unwrap_or_else(|report| report)
}

/// The report, with what deserved attention before it began.
pub(super) fn with(warnings: Vec<String>, mut report: Report) -> Report {
    report.warnings.splice(0..0, warnings);
    report
}
