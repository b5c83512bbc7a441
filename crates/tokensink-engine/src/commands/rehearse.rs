//! The rehearsal: a write that changes no value, to prove what only a write can prove.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokensink_core::{TargetId, Token};
use tokio::sync::watch;

use crate::coordinator::Coordinator;
use crate::fan_out::{Order, Written, write};
use crate::journal::LastWrite;
use crate::plan::Plan;
use crate::prepare::Prepared;
use crate::push::{entry_of, problems_of};
use crate::run_concurrently::run_concurrently;
use crate::{Command, Event, Outcome, Report, Sink};

const COMMAND: Command = Command::Reset;

impl Coordinator {
    /// Writes the *current* token to every sink that holds it or cannot be read: no value changes,
    /// and what only a write can prove is proven.
    ///
    /// # Errors
    ///
    /// The report, when a required sink did not take it, or somebody else reset the token. Nothing
    /// was changed.
    pub async fn rehearse(&self, plan: Plan) -> Result<Plan, Report> {
        let started = self.start(COMMAND).await;
        started.map_err(|problem| self.unchanged(COMMAND, problem))?;
        // A dead token is not to be written, nor a reset to be sent that nobody said yes to.
        self.still_the_same(plan.token()).await?;
        let rehearsed = self.write_current(&plan).await;
        match self.after_the_rehearsal(plan.token(), rehearsed).await {
            Ok(plan) => Ok(plan),
            Err(report) => {
                self.finish(report.outcome).await;
                Err(report)
            }
        }
    }

    async fn write_current(&self, plan: &Plan) -> Rehearsed {
        let chosen: Vec<&Prepared> =
            plan.prepared.iter().filter(|one| one.may_rehearse()).collect();
        self.context.progress.on(&Event::Rehearsing { total: chosen.len() });
        let orders: Vec<Order> = chosen.iter().map(|one| Order::of(one)).collect();
        let token = Arc::new(plan.token().clone());
        let newest = watch::Sender::new(Arc::clone(&token));
        let ended = run_concurrently(
            orders.iter().cloned(),
            |order| write(order, None, newest.subscribe()),
            |_, _| {},
            self.context.interrupt.after(0),
        )
        .await;
        let (mut rehearsed, mut records) = (Rehearsed::default(), Vec::new());
        for (order, ended) in orders.iter().zip(ended) {
            let written = ended.or(|| Written::panicked(&token), || Written::abandoned(&token));
            records.push(self.record_in_background(entry_of(order, &written)));
            rehearsed.note(&order.sink, &written);
        }
        for problem in problems_of(records).await {
            tracing::warn!(problem);
        }
        rehearsed
    }

    /// The plan for a reset, which knows what was written.
    async fn after_the_rehearsal(
        &self,
        token: &Token,
        rehearsed: Rehearsed,
    ) -> Result<Plan, Report> {
        let plan = self.plan_knowing(COMMAND, &rehearsed.acknowledged).await?;
        if plan.token() != token {
            return Err(self.someone_else_reset());
        }
        if rehearsed.problems.is_empty() {
            return Ok(plan.haunted_at(&rehearsed.haunted));
        }
        let mut report = self.review(COMMAND, &plan).ending(Outcome::Unchanged);
        report.errors.extend(rehearsed.problems);
        report.next.push("mend what is named above and run it again".to_owned());
        Err(self.publish(report))
    }
}

/// What the rehearsal has shown.
#[derive(Default)]
struct Rehearsed {
    acknowledged: BTreeMap<TargetId, LastWrite>,
    /// Sinks at which a write of the current token may still take effect.
    haunted: BTreeSet<TargetId>,
    /// Why a reset must not follow.
    problems: Vec<String>,
}

impl Rehearsed {
    fn note(&mut self, sink: &Sink, written: &Written) {
        if let Some(last_write) = written.as_last_write() {
            self.acknowledged.insert(sink.info.target.clone(), last_write);
        }
        match problem(written) {
            Some(problem) if sink.required => self.problems.push(format!(
                "the rehearsal failed: {} ({}): {problem}",
                sink.name, sink.info.label
            )),
            _ if written.may_still_land => drop(self.haunted.insert(sink.info.target.clone())),
            _ => {}
        }
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
            prepared.haunted |= targets.contains(&prepared.sink.info.target.clone());
        }
        self
    }
}
