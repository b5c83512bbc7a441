//! `check`: could a reset finish? Changes nothing.

use tokensink_engine::{Command, Report};

use super::{World, with};
use crate::args::Selection;

pub(super) async fn run(world: &World<'_>, selection: &Selection) -> Report {
    let run = match world.start(&world.request(Command::Check, selection)).await {
        Ok(run) => run,
        Err(report) => return report,
    };
    let planned = run.plan().await;
    with(run.warnings, planned.map_or_else(|report| report, |plan| run.coordinator.check(&plan)))
}
