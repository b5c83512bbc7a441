//! `sync`: pushes the live token to every sink that is not proven to hold it. Never resets.

use std::sync::Arc;

use super::conclusion::Conclusion;
use crate::coordinator::{Coordinator, Plan};
use crate::fan_out::Order;
use crate::journal::Entry;
use crate::prepare::Prepared;
use crate::settle::{Chase, Standing};
use crate::{Command, Report, State};

impl Coordinator {
    /// Brings every sink of the plan up to date.
    pub async fn sync(&self, plan: Plan) -> Report {
        if let Err(report) = self.start(Command::Sync).await {
            return report;
        }
        let before = plan.token().fingerprint();
        let in_doubt = self.unconfirmed_reset().is_some();
        let mut warnings: Vec<String> = plan.prepared.iter().flat_map(Prepared::warnings).collect();
        let token = Arc::new(plan.issued.token);
        let mut chase = Chase { token, superseded: Vec::new(), in_doubt };
        let mut standings: Vec<Standing> = plan.prepared.into_iter().map(Standing::from).collect();
        let stale = |standing: &Standing| standing.state().0 != State::Current;
        warnings.extend(self.push(&mut standings, &chase, stale).await);
        let certainty = self.settle(&mut standings, &mut chase, &mut warnings).await;
        let command = Command::Sync;
        let since = None;
        self.conclude(Conclusion { command, before, chase, standings, certainty, warnings, since })
            .await
    }

    /// Opens the run's record.
    pub(super) async fn start(&self, command: Command) -> Result<(), Report> {
        let issuer = self.parties.issuer_id.clone();
        let started = self.record(Entry::Started { command, issuer }).await;
        started.map_err(|problem| self.unchanged(command, problem))
    }
}

impl From<Prepared> for Standing {
    fn from(prepared: Prepared) -> Self {
        let Prepared { sink, lane, writer, last_write, holds } = prepared;
        let order = Order { sink, lane, writer };
        Self { order, last_write, written: None, inspected: holds, attempts: 0 }
    }
}
