//! Runs one command of a scenario like the CLI.

use std::sync::Arc;

use tokensink_core::{Fingerprint, TokenIssuer};
use tokensink_engine::{Abort, Command, Coordinator, Outcome, Plan, Report, RunContext, Timing};

/// A command of a scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Reset { rehearsed: bool },
    Sync,
    Status,
    Check,
}

/// Runs a command like the CLI. Returns the report and the token that was shown to the user.
pub(crate) async fn command(
    context: RunContext,
    issuer: Arc<dyn TokenIssuer>,
    step: Step,
) -> (Report, Option<Fingerprint>) {
    let asked = match step {
        Step::Reset { .. } => Command::Reset,
        Step::Sync => Command::Sync,
        Step::Status => Command::Status,
        Step::Check => Command::Check,
    };
    let coordinator = match Coordinator::new(context, Timing::default()).await {
        Ok(coordinator) => coordinator,
        Err(error) => {
            let why = vec![error.to_string()];
            return (Report::refused(asked, Outcome::Unchanged, why), None);
        }
    };
    let mut shown = None;
    let result = async {
        let plan = coordinator.plan(asked).await.map_err(|abort| (None, abort))?;
        shown = Some(plan.token().fingerprint());
        Ok(match step {
            Step::Status => coordinator.status(&plan),
            Step::Check => coordinator.check(&plan),
            Step::Sync => coordinator.sync(plan).await,
            Step::Reset { rehearsed } => {
                if let Err(abort) = coordinator.ensure_can_reset(&plan) {
                    return Err((Some(plan), abort));
                }
                if rehearsed {
                    match coordinator.rehearse(plan).await {
                        Ok(plan) => coordinator.reset(plan, issuer).await,
                        Err(report) => report,
                    }
                } else {
                    coordinator.reset(plan, issuer).await
                }
            }
        })
    };
    let aborted = |(plan, abort): (Option<Plan>, Abort)| {
        coordinator.report_abort(asked, plan.as_ref(), &abort)
    };
    let report = result.await.unwrap_or_else(aborted);
    (report, shown)
}
