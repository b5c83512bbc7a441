//! `status`: compares each sink with the live token.

use tokensink_engine::{Command, Outcome, Report};

use super::{CommandContext, with_warnings};
use crate::args::Selection;

pub(super) async fn run(context: &CommandContext<'_>, selection: &Selection) -> Report {
    let run = match context.start(&context.request(Command::Status, selection)).await {
        Ok(run) => run,
        Err(report) => return report,
    };
    let planned = run.plan().await;
    let mut report = planned.map_or_else(|report| report, |plan| run.coordinator.status(&plan));
    if report.outcome == Outcome::Unchanged && report.next.is_empty() {
        report.next.push("fix what is named above, and run it again".to_owned());
    }
    with_warnings(run.warnings, report)
}
