//! `check`: reports whether a reset could finish. Changes nothing.

use tokensink_engine::{Command, Report};

use super::{CommandContext, with_warnings};
use crate::args::Selection;

pub(super) async fn run(context: &CommandContext<'_>, selection: &Selection) -> Report {
    let run = match context.start(&context.request(Command::Check, selection)).await {
        Ok(run) => run,
        Err(report) => return report,
    };
    let planned = run.plan().await;
    with_warnings(
        run.warnings,
        planned.map_or_else(|report| report, |plan| run.coordinator.check(&plan)),
    )
}
