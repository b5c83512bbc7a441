//! The coordinator runs the steps of each command.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join;
use tokensink_core::{Fingerprint, TokenIssuer, TokenSource};
use tokio::time::Instant;

use crate::abort::Abort;
use crate::faults::{Fault, is_planted};
use crate::finish::{Delivery, aborted, finish, finish_aborted};
use crate::journal::{Entry, JournalError};
use crate::plan::{Plan, await_room, plan, refresh_plan};
use crate::prove::prove;
use crate::rehearse::rehearse;
use crate::reset::{Replacement, ensure_token_unchanged, reset};
use crate::retry::OldToken;
use crate::review::{check, ensure_short_outage, status};
use crate::rollout::Rollout;
use crate::session::{RunContext, Session};
use crate::{Command, Event, Forecast, Report, State, Timing};

/// Runs the protocol.
pub struct Coordinator {
    session: Session,
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator")
            .field("run", &self.session.run)
            .field("source", &self.session.context.source)
            .field("sinks", &self.session.context.sinks.len())
            .finish_non_exhaustive()
    }
}

impl Coordinator {
    /// Creates a coordinator for one run.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read.
    pub async fn new(context: RunContext, timing: Timing) -> Result<Self, JournalError> {
        let earlier_runs = context.journal.runs().await?;
        Ok(Self { session: Session::new(context, timing, Some(earlier_runs)) })
    }

    /// Creates a coordinator for one run without a journal of earlier runs. It does not reset, and it
    /// assumes that a reset of an earlier run may still take effect.
    pub fn without_history(context: RunContext, timing: Timing) -> Self {
        Self { session: Session::new(context, timing, None) }
    }

    /// Returns the source of the token. Its `Display` is the name for messages.
    pub fn source(&self) -> &dyn TokenSource {
        self.session.context.source.as_ref()
    }

    /// Reads the token and prepares and inspects every sink, all concurrently. Changes nothing.
    ///
    /// # Errors
    ///
    /// When the live token is not known, or when an earlier run is unfinished and `command` is a reset.
    pub async fn plan(&self, command: Command) -> Result<Plan, Abort> {
        let mut plan = plan(&self.session, command).await?;
        if is_planted(Fault::ProveInPlan) {
            prove(&self.session, &mut plan).await?;
        }
        Ok(plan)
    }

    /// Reports whether a reset could finish, and which sinks contain another value.
    pub fn check(&self, plan: &Plan) -> Report {
        check(&self.session, plan)
    }

    /// Reports the content of every sink.
    pub fn status(&self, plan: &Plan) -> Report {
        status(&self.session, plan)
    }

    /// Checks that a reset with this plan can succeed.
    ///
    /// # Errors
    ///
    /// When a required sink is not ready, two sinks have the same target, or the outage would be too
    /// long.
    pub fn ensure_can_reset(&self, plan: &Plan) -> Result<(), Abort> {
        plan.ensure_writable()?;
        ensure_short_outage(&self.session, plan)
    }

    /// Reports an error that ended a command early. `plan` is the command's plan, if there was one.
    pub fn report_abort(&self, command: Command, plan: Option<&Plan>, abort: &Abort) -> Report {
        aborted(&self.session, command, plan, abort)
    }

    /// Writes the *current* token to every sink that is not known to contain another value. This proves
    /// the permissions that only a write can prove.
    ///
    /// # Errors
    ///
    /// The report, when a required sink cannot be proven writable or refuses the write, or when the token
    /// was replaced. The token was not reset.
    pub async fn rehearse(&self, mut plan: Plan) -> Result<Plan, Report> {
        match self.try_rehearse(&mut plan).await {
            Ok(()) => Ok(plan),
            Err(abort) => {
                Err(finish_aborted(&self.session, Command::Reset, Some(&plan), &abort).await)
            }
        }
    }

    async fn try_rehearse(&self, plan: &mut Plan) -> Result<(), Abort> {
        plan.ensure_writable()?;
        self.session.start(Command::Reset).await?;
        prove(&self.session, plan).await?;
        // A revoked token must not be written, and the user agreed to replace this token only.
        ensure_token_unchanged(&self.session, plan.token()).await?;
        rehearse(&self.session, plan).await
    }

    /// Resets the token at `issuer` and delivers the new one.
    pub async fn reset(&self, mut plan: Plan, issuer: Arc<dyn TokenIssuer>) -> Report {
        match self.try_reset(&mut plan, &issuer).await {
            Ok(report) => report,
            Err(abort) => finish_aborted(&self.session, Command::Reset, Some(&plan), &abort).await,
        }
    }

    async fn try_reset(
        &self,
        plan: &mut Plan,
        issuer: &Arc<dyn TokenIssuer>,
    ) -> Result<Report, Abort> {
        let session = &self.session;
        self.ensure_can_reset(plan)?;
        session.start(Command::Reset).await?;
        if !is_planted(Fault::SkipProof) {
            prove(session, plan).await?;
        }
        // Reset when the outage will be shortest: after the rate limits have room for all writes, and
        // after the preparations that expired while the user read the plan were repeated.
        await_room(session, plan).await?;
        refresh_plan(session, plan).await?;
        self.ensure_can_reset(plan)?;
        ensure_token_unchanged(session, plan.token()).await?;
        session.uninterruptible(self.reset_and_deliver(plan, issuer)).await
    }

    async fn reset_and_deliver(
        &self,
        plan: &Plan,
        issuer: &Arc<dyn TokenIssuer>,
    ) -> Result<Report, Abort> {
        let (session, command) = (&self.session, Command::Reset);
        let (before, forecast) = (plan.token().fingerprint(), plan.forecast());
        session.show(&Event::Resetting);
        let since = Instant::now();
        let Replacement { issued, by_reading } = reset(session, plan.token(), issuer).await?;
        let mut rollout = Rollout::new(session, plan, issued.token.clone(), OldToken::Revoked);
        rollout.superseded.push(plan.token().clone());
        rollout.unacknowledged = by_reading;
        rollout.warnings.extend(others_changed(&plan.issued.others, &issued.others));
        // A replacement that was only read is confirmed after the settling window. The entry may be
        // recorded after the writes: without it, a later `sync` only waits longer.
        let confirmed =
            (!by_reading).then(|| Entry::ResetConfirmed { after: issued.token.fingerprint() });
        let everywhere = (0..rollout.sinks.len()).collect();
        let (recorded, ()) = join(session.record_if(confirmed), rollout.write(everywhere)).await;
        rollout.warnings.extend(recorded.err());
        let certainty = rollout.settle().await;
        let (since, forecast): (_, Option<Forecast>) = (Some(since), Some(forecast));
        let delivery = Delivery { command, before, rollout, certainty, since, forecast };
        Ok(finish(session, delivery).await)
    }

    /// Writes the live token to every sink of the plan that is not proven to contain it. Never resets.
    pub async fn sync(&self, mut plan: Plan) -> Report {
        let synced = self.session.uninterruptible(self.try_sync(&mut plan)).await;
        match synced {
            Ok(report) => report,
            Err(abort) => finish_aborted(&self.session, Command::Sync, Some(&plan), &abort).await,
        }
    }

    async fn try_sync(&self, plan: &mut Plan) -> Result<Report, Abort> {
        let (session, command) = (&self.session, Command::Sync);
        self.renew_superseded(plan).await?;
        plan.ensure_distinct()?;
        // A sync is useful also if it cannot be recorded.
        let unrecorded = session.start(command).await.err();
        let (before, has_unacknowledged_requests) =
            (plan.token().fingerprint(), session.has_unacknowledged_requests());
        // An unfinished run may have revoked the token in the sinks.
        let old_token =
            if has_unacknowledged_requests { OldToken::Revoked } else { OldToken::Accepted };
        let mut rollout = Rollout::new(session, plan, plan.token().clone(), old_token);
        rollout.unacknowledged =
            has_unacknowledged_requests && !is_planted(Fault::BelieveFirstLook);
        rollout.warnings.extend(unrecorded.map(|problem| problem.to_string()));
        let lacking = rollout.select(|sink| sink.state(&rollout.token).0 != State::Current);
        rollout.write(lacking).await;
        let certainty = rollout.settle().await;
        let delivery =
            Delivery { command, before, rollout, certainty, since: None, forecast: None };
        Ok(finish(session, delivery).await)
    }

    /// Plans again if the token was reset while the sinks were being prepared.
    async fn renew_superseded(&self, old: &mut Plan) -> Result<(), Abort> {
        if old.token_read_at.elapsed() <= self.session.timing.fresh {
            return Ok(());
        }
        match self.session.with_issuer_retries(|| self.session.current()).await {
            Ok(issued) if issued.token == *old.token() => Ok(()),
            Ok(_) => {
                let mut renewed = plan(&self.session, Command::Sync).await?;
                renewed.keep_destinations_of(old);
                *old = renewed;
                Ok(())
            }
            Err(error) => Err(Abort::Source(error.to_string())),
        }
    }
}

/// Returns warnings about other secrets of the account that the reset changed, such as the read-only
/// token.
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
    fn other_secrets_that_changed_are_reported_by_field() {
        let account = |fields: &[(&str, &str)]| -> BTreeMap<String, Fingerprint> {
            let named =
                |(field, value): &(&str, &str)| ((*field).to_owned(), Fingerprint::of(value));
            fields.iter().map(named).collect()
        };
        let before = account(&[("password", "a"), ("read_only_token", "b"), ("gone", "c")]);
        let after = account(&[("password", "a"), ("read_only_token", "B"), ("new", "d")]);
        let reported = others_changed(&before, &after);
        assert_eq!(reported.len(), 1);
        assert!(reported[0].starts_with("`read_only_token` changed"), "{reported:?}");
    }
}
