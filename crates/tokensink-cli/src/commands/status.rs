//! `status`: each sink against the live token.

use tokensink_engine::{Command, Outcome, Report};

use super::{World, with};
use crate::args::Selection;

pub(super) async fn run(world: &World<'_>, selection: &Selection) -> Report {
    let run = match world.start(&world.request(Command::Status, selection)).await {
        Ok(run) => run,
        Err(report) => return report,
    };
    let planned = run.plan().await;
    let mut report = planned.map_or_else(|report| report, |plan| run.coordinator.status(&plan));
    if report.outcome == Outcome::Unchanged && report.next.is_empty() {
        report.next.push("mend what is named above, and ask again".to_owned());
    }
    with(run.warnings, report)
}
