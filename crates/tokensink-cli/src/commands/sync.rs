//! `sync`: the live token to every sink, without a reset.

use tokensink_engine::{Command, Outcome, Report};

use super::{World, with};
use crate::args::Sync;
use crate::run::{Request, TokenOrigin};

pub(super) async fn run(world: &World<'_>, sync: &Sync) -> Report {
    let token_origin =
        if sync.token_stdin { TokenOrigin::StandardInput } else { TokenOrigin::DeveloperApi };
    let request = Request { token_origin, ..world.request(Command::Sync, &sync.selection) };
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
