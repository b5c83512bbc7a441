//! `sync`: pushes the live token to every sink that is not proven to hold it. Never resets.

use super::conclusion::Conclusion;
use crate::coordinator::Coordinator;
use crate::plan::Plan;
use crate::prepare::Prepared;
use crate::push::Chase;
use crate::settle::Standing;
use crate::{Command, Report, State};

impl Coordinator {
    /// Brings every sink of the plan up to date.
    pub async fn sync(&self, plan: Plan) -> Report {
        match self.through_an_interrupt(self.sync_and_settle(plan)).await {
            Ok(report) | Err(report) => report,
        }
    }

    async fn sync_and_settle(&self, plan: Plan) -> Result<Report, Report> {
        let plan = self.not_superseded(plan).await?;
        // Without a record a repair is still a repair.
        let unrecorded = self.start(Command::Sync).await.err();
        let before = plan.token().fingerprint();
        let in_doubt = self.is_unsettled();
        let mut warnings: Vec<String> = plan.prepared.iter().flat_map(Prepared::warnings).collect();
        warnings.extend(unrecorded);
        let mut standings: Vec<Standing> = plan.prepared.iter().map(Standing::of).collect();
        let mut chase = Chase::of(plan.issued.token, Vec::new(), in_doubt);
        let stale = |standing: &Standing| standing.state().0 != State::Current;
        warnings.extend(self.push(&mut standings, &mut chase, stale).await);
        let certainty = self.settle(&mut standings, &mut chase, &mut warnings).await;
        let command = Command::Sync;
        let (since, forecast) = (None, None);
        let conclusion =
            Conclusion { command, before, chase, standings, certainty, warnings, since, forecast };
        Ok(self.conclude(conclusion).await)
    }

    /// The plan, made anew if somebody reset the token while the sinks were being prepared.
    async fn not_superseded(&self, plan: Plan) -> Result<Plan, Report> {
        if plan.token_read_at.elapsed() <= self.timing.fresh {
            return Ok(plan);
        }
        match self.patiently(|| self.current()).await {
            Ok(issued) if issued.token == plan.issued.token => Ok(plan),
            Ok(_) => self.plan(Command::Sync).await,
            Err(error) => Err(self.unchanged(Command::Sync, error.to_string())),
        }
    }
}
