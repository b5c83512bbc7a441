//! One command of a life, carried out as the command line does.

use std::sync::Arc;

use tokensink_core::{Fingerprint, TokenIssuer};
use tokensink_engine::{Abort, Command, Coordinator, Outcome, Plan, Report, RunContext, Timing};

/// Which one.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Reset { rehearsed: bool },
    Sync,
    Status,
    Check,
}

/// What the command line does with a coordinator. Beside the report, the token that was live when
/// a person was asked.
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
