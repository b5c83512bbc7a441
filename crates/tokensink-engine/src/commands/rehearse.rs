//! The rehearsal: a write that changes no value, to prove what only a write can prove.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokensink_core::TargetId;
use tokio::sync::watch;

use crate::coordinator::Coordinator;
use crate::fan_out::{Order, Written, write};
use crate::plan::Plan;
use crate::prepare::Prepared;
use crate::side_by_side::side_by_side;
use crate::{Command, Event, Outcome, Report};

impl Coordinator {
    /// Writes the *current* token to every sink that holds it or cannot be read: no value changes,
    /// and what only a write can prove is proven.
    ///
    /// # Errors
    ///
    /// The report, when a required sink did not take it. Nothing was changed.
    pub async fn rehearse(&self, plan: Plan) -> Result<Plan, Report> {
        let plan = self.not_superseded(Command::Reset, plan).await?;
        let chosen: Vec<&Prepared> =
            plan.prepared.iter().filter(|one| one.may_rehearse()).collect();
        self.parties.progress.on(&Event::Rehearsing { total: chosen.len() });
        let token = Arc::new(plan.token().clone());
        let newest = watch::Sender::new(Arc::clone(&token));
        let ended = side_by_side(
            chosen.iter().map(|one| Order::of(one)),
            |order| write(order, None, newest.subscribe()),
            |_, _| {},
            self.parties.interrupt.after(0),
        )
        .await;
        let (mut errors, mut haunted) = (Vec::new(), BTreeSet::new());
        for (one, ended) in chosen.iter().zip(ended) {
            let written = ended.or(|| Written::panicked(&token), || Written::abandoned(&token));
            match problem(&written) {
                Some(problem) if one.sink.required => errors.push(format!(
                    "the rehearsal failed: {} ({}): {problem}",
                    one.sink.name, one.sink.target
                )),
                _ if written.may_still_land => drop(haunted.insert(one.sink.id())),
                _ => {}
            }
        }
        if errors.is_empty() {
            let plan = self.plan(Command::Reset).await?;
            return Ok(plan.haunted_at(&haunted));
        }
        let mut report = self.review(Command::Reset, &plan).ending(Outcome::Unchanged);
        report.errors = errors;
        Err(self.publish(report))
    }
}

/// Why a reset must not follow. A write that was left without an answer is a problem even where a
/// second one was acknowledged: it could undo the new token.
fn problem(written: &Written) -> Option<String> {
    match &written.outcome {
        Err(failure) => Some(failure.to_string()),
        Ok(_) if written.may_still_land => Some(
            "a write was left without an answer, and could undo a later one; try again in a minute"
                .to_owned(),
        ),
        Ok(_) => None,
    }
}

impl Plan {
    /// The same plan, with the sinks at which a write of the current token may still take effect.
    fn haunted_at(mut self, targets: &BTreeSet<TargetId>) -> Self {
        for prepared in &mut self.prepared {
            prepared.haunted |= targets.contains(&prepared.sink.id());
        }
        self
    }
}
