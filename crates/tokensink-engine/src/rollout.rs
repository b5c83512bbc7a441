//! The state of a delivery: the token and the progress of each sink.

use std::sync::Arc;

use tokensink_core::{Issued, SinkErrorKind, Token};
use tokio::time::Instant;

use crate::faults::{Fault, is_planted};
use crate::inspection::{Finding, InspectJob, InspectResult, WriteState, conclude};
use crate::journal::LastWrite;
use crate::observe::{KnownTokens, TokenObservation, observe};
use crate::plan::Plan;
use crate::report::milliseconds;
use crate::retry::OldToken;
use crate::session::Session;
use crate::write::{WriteJob, WriteResult};
use crate::{Event, SinkReport, State};

/// The maximum number of additional rounds of writes because of other writers or resets.
const MAX_ROUNDS: u32 = 5;

/// The delivery of a token.
pub(crate) struct Rollout<'a> {
    pub(crate) session: &'a Session,
    pub(crate) sinks: Vec<SinkProgress>,
    pub(crate) token: Arc<Token>,
    /// The tokens that were replaced. They are revoked and never written again, even if a lagging read shows
    /// one.
    pub(crate) superseded: Vec<Token>,
    /// Whether an earlier reset or write may still take effect. Observations are then believed only after the
    /// settling window.
    pub(crate) unacknowledged: bool,
    pub(crate) warnings: Vec<String>,
    rounds: u32,
}

/// The progress of one sink.
#[derive(Debug)]
pub(crate) struct SinkProgress {
    pub(crate) job: WriteJob,
    last_write: Option<LastWrite>,
    pub(crate) result: Option<WriteResult>,
    pub(crate) inspected: InspectResult,
    attempts: u32,
    /// Whether a write of a superseded token was not acknowledged. It may still overwrite the current content.
    unacknowledged: bool,
}

impl<'a> Rollout<'a> {
    /// Creates the delivery of `token` to all sinks of `plan`.
    pub(crate) fn new(
        session: &'a Session,
        plan: &Plan,
        token: Token,
        old_token: OldToken,
    ) -> Self {
        let progress = |prepared| SinkProgress::of(prepared, old_token);
        Self {
            session,
            sinks: plan.prepared.iter().map(progress).collect(),
            token: Arc::new(token),
            superseded: Vec::new(),
            unacknowledged: false,
            warnings: plan.warnings(),
            rounds: 0,
        }
    }

    /// Counts another round. Returns whether it is allowed.
    pub(crate) fn has_another_round(&mut self) -> bool {
        self.rounds += 1;
        self.rounds <= MAX_ROUNDS
    }

    /// Observes the token once.
    pub(crate) async fn observe(&self) -> TokenObservation {
        let known = KnownTokens { current: &self.token, superseded: &self.superseded };
        observe(self.session, known).await
    }

    /// Replaces the token with a newer one.
    pub(crate) fn supersede(&mut self, issued: Issued) {
        self.session.show(&Event::Superseded);
        self.session.learn(&issued.token);
        let replaced = std::mem::replace(&mut self.token, Arc::new(issued.token));
        self.superseded.push(replaced.as_ref().clone());
        self.warnings.push(format!(
            "another program reset the token during this run: {} was superseded by {}",
            replaced.fingerprint(),
            self.token.fingerprint()
        ));
    }

    /// Returns the indices of the sinks that `which` selects.
    pub(crate) fn select(&self, which: impl Fn(&SinkProgress) -> bool) -> Vec<usize> {
        (0..self.sinks.len()).filter(|index| which(&self.sinks[*index])).collect()
    }
}

impl SinkProgress {
    fn of(prepared: &crate::plan::Prepared, old_token: OldToken) -> Self {
        Self {
            job: WriteJob::of(prepared, old_token),
            last_write: prepared.last_write.clone(),
            result: None,
            inspected: prepared.inspected.clone(),
            attempts: 0,
            unacknowledged: prepared.unacknowledged,
        }
    }

    /// Returns whether the sink contains `token`, and the evidence.
    pub(crate) fn state(&self, token: &Token) -> (State, String) {
        let write = self.result.as_ref().map_or(WriteState::None, WriteResult::write_state);
        match conclude(write, self.finding(token)) {
            (State::Current, _)
                if self.unacknowledged && !is_planted(Fault::ForgetUnacknowledged) =>
            {
                let why =
                    "a write of the token before was not acknowledged and may still take effect";
                (State::Unknown, why.to_owned())
            }
            concluded => concluded,
        }
    }

    fn finding(&self, token: &Token) -> Result<Finding, &crate::SinkFailure> {
        self.inspected.as_ref().map(|inspected| inspected.compare(&token.fingerprint()))
    }

    /// Returns the report on the sink. `since` is the time at which the reset was sent.
    pub(crate) fn report(&self, token: &Token, since: Option<Instant>) -> SinkReport {
        let (state, evidence) = self.state(token);
        let acknowledged = self.result.as_ref().and_then(|result| result.outcome.as_ref().ok());
        let failed = self.result.as_ref().and_then(|result| result.outcome.as_ref().err());
        let is_current = state == State::Current;
        let outage = acknowledged.zip(since).filter(|_| is_current);
        SinkReport {
            outage_ms: outage.map(|(acknowledged, since)| milliseconds(acknowledged.at - since)),
            attempts: self.attempts,
            error: failed.filter(|_| !is_current).map(ToString::to_string),
            ..SinkReport::of(&self.job.sink, state, evidence)
        }
    }

    /// Records the result of a write.
    pub(crate) fn record_result(&mut self, result: WriteResult) {
        self.attempts += result.attempts;
        self.unacknowledged |= result.superseded_unacknowledged;
        self.last_write = result.last_write().or(self.last_write.take());
        self.result = Some(result);
    }

    /// Returns whether the last write of this run was of `token`.
    pub(crate) fn was_given(&self, token: &Token) -> bool {
        self.result.as_ref().is_some_and(|result| *result.token == *token)
    }

    /// Marks the writes so far as writes of a revoked token.
    pub(crate) fn supersede(&mut self) {
        self.unacknowledged |= self.result.take().is_some_and(|result| result.unacknowledged);
    }

    /// Returns the time at which the last write of this run was acknowledged: `None` without a write,
    /// `Some(None)` if it failed.
    pub(crate) fn acknowledged_at(&self) -> Option<Option<Instant>> {
        let result = self.result.as_ref()?;
        Some(result.outcome.as_ref().ok().map(|acknowledgement| acknowledgement.at))
    }

    /// Returns the job for an inspection.
    pub(crate) fn inspect_job(&self) -> InspectJob {
        InspectJob {
            sink: Arc::clone(&self.job.sink),
            rate_limiter: self.job.rate_limiter.clone(),
            last_write: self.last_write.clone(),
        }
    }

    /// Returns whether the sink should be written again: another program wrote it after our acknowledged write,
    /// or after it was current. A sink whose write failed is not written again, because its deadline is over.
    pub(crate) fn was_overwritten(&self, token: &Token) -> bool {
        let was_current = self.result.as_ref().is_none_or(|result| result.outcome.is_ok());
        match self.finding(token) {
            Ok(Finding::OtherValue | Finding::Absent | Finding::ChangedSinceOurWrite) => {
                was_current
            }
            Err(failure) => failure.kind == SinkErrorKind::Conflict,
            Ok(_) => false,
        }
    }
}
