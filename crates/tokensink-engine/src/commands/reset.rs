//! `reset`: once, and only when it could finish; then the fan-out.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join;
use tokensink_core::{Fingerprint, Issued, Token, TokenIssuer};
use tokio::time::Instant;

use super::conclusion::Conclusion;
use crate::coordinator::Coordinator;
use crate::journal::Entry;
use crate::limiter::room_for_all;
use crate::plan::Plan;
use crate::prepare::Prepared;
use crate::push::Chase;
use crate::reset::{Reset, reset};
use crate::settle::Standing;
use crate::{Command, Event, Forecast, Outcome, Report};

const COMMAND: Command = Command::Reset;

impl Coordinator {
    /// Resets the token at `issuer` and pushes the new one.
    pub async fn reset(&self, plan: Plan, issuer: Arc<dyn TokenIssuer>) -> Report {
        match self.reset_and_push(plan, issuer).await {
            Ok(report) | Err(report) => report,
        }
    }

    async fn reset_and_push(
        &self,
        plan: Plan,
        issuer: Arc<dyn TokenIssuer>,
    ) -> Result<Report, Report> {
        let plan = self.at_its_best(plan).await?;
        if plan.obstacles().next().is_some() {
            return Err(self.refuse(COMMAND, &plan));
        }
        self.allows(&plan)?;
        let started = self.start(COMMAND).await;
        started.map_err(|problem| self.unchanged(COMMAND, problem))?;
        self.still_the_same(plan.token()).await?;
        // Plugins speak now: one that panics must not do so after the reset.
        let forecast = plan.forecast();
        let warnings = plan.prepared.iter().flat_map(Prepared::warnings).collect();
        let standings = plan.prepared.iter().map(Standing::of).collect();
        let intent = Entry::ResetIntended { before: plan.token().fingerprint() };
        self.record(intent).await.map_err(|problem| self.unchanged(COMMAND, problem))?;
        self.through_an_interrupt(self.reset_now(plan, issuer, forecast, standings, warnings)).await
    }

    async fn reset_now(
        &self,
        plan: Plan,
        issuer: Arc<dyn TokenIssuer>,
        forecast: Forecast,
        mut standings: Vec<Standing>,
        mut warnings: Vec<String>,
    ) -> Result<Report, Report> {
        self.context.progress.on(&Event::Resetting);
        let since = Instant::now();
        let (issued, by_reading) = self.reset_once(&plan, issuer).await?;
        self.learn(&issued.token);
        let before = plan.token().fingerprint();

        warnings.extend(others_changed(&plan.issued.others, &issued.others));
        // What was seen by reading alone is confirmed when it has held for the settling window.
        let confirmed =
            (!by_reading).then(|| Entry::ResetConfirmed { after: issued.token.fingerprint() });
        let mut chase = Chase::of(issued.token, vec![plan.issued.token], by_reading);
        // The record may lag behind the writes: until it is there the intent stands unconfirmed,
        // which makes a later `sync` more careful, never less.
        let (recorded, problems) =
            join(self.record_if(confirmed), self.push(&mut standings, &mut chase, |_| true)).await;
        warnings.extend(recorded.err().into_iter().chain(problems));
        let certainty = self.settle(&mut standings, &mut chase, &mut warnings).await;
        let (command, since, forecast) = (COMMAND, Some(since), Some(forecast));
        let conclusion =
            Conclusion { command, before, chase, standings, certainty, warnings, since, forecast };
        Ok(self.conclude(conclusion).await)
    }

    /// The plan at the moment in which a reset costs least: providers have room for all writes (a
    /// rehearsal may have used it up), and what a person's thinking let grow stale is made anew.
    async fn at_its_best(&self, plan: Plan) -> Result<Plan, Report> {
        self.context.progress.on(&Event::AwaitingRoom);
        let lanes = plan.prepared.iter().filter_map(|prepared| prepared.lane.as_ref());
        self.unless_interrupted(COMMAND, room_for_all(lanes)).await?;
        self.renewed(COMMAND, plan).await
    }

    /// Reads the token once more, on the connection that the reset will use.
    pub(super) async fn still_the_same(&self, token: &Token) -> Result<(), Report> {
        let current = self.unless_interrupted(COMMAND, self.patiently(|| self.current())).await;
        let report = match current? {
            Ok(issued) if issued.token == *token => {
                if self.context.interrupt.count() == 0 {
                    return Ok(());
                }
                self.unchanged(COMMAND, "interrupted".to_owned())
            }
            Ok(issued) => {
                self.learn(&issued.token);
                self.someone_else_reset()
            }
            Err(error) => self.unchanged(COMMAND, error.to_string()),
        };
        self.finish(report.outcome).await;
        Err(report)
    }

    pub(super) fn someone_else_reset(&self) -> Report {
        let why = "someone else reset the token meanwhile; it was not reset again";
        let mut report = self.unchanged(COMMAND, why.to_owned());
        report.next.push("`tokensink sync` pushes the token that is live now".to_owned());
        report
    }

    /// Sends the reset, and turns everything but a new token into the report that ends the run.
    async fn reset_once(
        &self,
        plan: &Plan,
        issuer: Arc<dyn TokenIssuer>,
    ) -> Result<(Issued, bool), Report> {
        let abandoned = self.context.interrupt.after(self.patience());
        let outcome = tokio::select! {
            biased;
            outcome = reset(issuer, plan.token(), self.timing) => outcome,
            () = abandoned => Reset::Unknown { why: "abandoned by a second interrupt".to_owned() },
        };
        let report = match outcome {
            Reset::Done { issued, by_reading } => return Ok((issued, by_reading)),
            Reset::NotDone { why } => {
                self.record_if_possible(Entry::NotReset).await;
                let mut report = self.review(COMMAND, plan).ending(Outcome::Unchanged);
                report.errors.push(why);
                report.next.push("mend what is named above and run it again".to_owned());
                report
            }
            Reset::Overtaken => {
                self.record_if_possible(Entry::NotReset).await;
                self.someone_else_reset()
            }
            Reset::Unknown { why } => self.reset_unknown(plan, &why),
        };
        self.finish(report.outcome).await;
        Err(self.publish(report))
    }

    fn reset_unknown(&self, plan: &Plan, why: &str) -> Report {
        let mut report = self.review(COMMAND, plan).ending(Outcome::Unknown);
        report.token.after = None;
        report.errors.push(format!("it is not known whether the token was reset: {why}"));
        report.next.push(
            "do not reset again: `tokensink sync` finds out which token is live and pushes it"
                .to_owned(),
        );
        for sink in &mut report.sinks {
            sink.state = crate::State::Unknown;
            sink.evidence = "it is not known which token is live".to_owned();
        }
        report
    }

    pub(super) async fn finish(&self, outcome: Outcome) {
        self.record_if_possible(Entry::Finished { outcome }).await;
    }

    /// Where the run ends anyway: without the entry a later run is more careful, never less.
    async fn record_if_possible(&self, entry: Entry) {
        if let Err(problem) = self.record(entry).await {
            tracing::warn!(problem);
        }
    }
}

/// What else of the account the reset changed, such as the read-only token.
fn others_changed(
    before: &BTreeMap<String, Fingerprint>,
    after: &BTreeMap<String, Fingerprint>,
) -> Vec<String> {
    let changed =
        before.iter().filter(|(field, old)| after.get(*field).is_some_and(|new| new != *old));
    changed
        .map(|(field, _)| {
            format!(
                "`{field}` changed with the reset: applications that use it need the new one; copy \
                 it from the Upstash console"
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_else_changed_is_told_by_its_field() {
        let account = |fields: &[(&str, &str)]| -> BTreeMap<String, Fingerprint> {
            let named =
                |(field, value): &(&str, &str)| ((*field).to_owned(), Fingerprint::of(value));
            fields.iter().map(named).collect()
        };
        let before = account(&[("password", "a"), ("read_only_token", "b"), ("gone", "c")]);
        let after = account(&[("password", "a"), ("read_only_token", "B"), ("new", "d")]);
        let said = others_changed(&before, &after);
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("`read_only_token` changed"), "{said:?}");
    }
}
