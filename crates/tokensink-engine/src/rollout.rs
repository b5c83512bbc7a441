//! The token that is being delivered, and how far each sink is.

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

/// How often the sinks are written again, because of another writer or another reset.
const MAX_ROUNDS: u32 = 5;

/// The delivery of a token: `write`, `inspect`, `settle`.
pub(crate) struct Rollout<'a> {
    pub(crate) session: &'a Session,
    pub(crate) sinks: Vec<SinkProgress>,
    pub(crate) token: Arc<Token>,
    /// Revoked: never written again, whatever a lagging read may show.
    pub(crate) superseded: Vec<Token>,
    /// Something sent before, a reset or a write, may still take effect: nothing is believed before
    /// it has held for the settling window.
    pub(crate) unacknowledged: bool,
    pub(crate) warnings: Vec<String>,
    rounds: u32,
}

/// How far one sink is.
#[derive(Debug)]
pub(crate) struct SinkProgress {
    pub(crate) job: WriteJob,
    last_write: Option<LastWrite>,
    pub(crate) result: Option<WriteResult>,
    pub(crate) inspected: InspectResult,
    attempts: u32,
    /// A write of a token that was superseded since was never acknowledged: whatever the sink holds
    /// now, that write may still undo it.
    unacknowledged: bool,
}

impl<'a> Rollout<'a> {
    /// The delivery of `token` to all sinks of `plan`.
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

    /// Counts one more round, if there may be one.
    pub(crate) fn has_another_round(&mut self) -> bool {
        self.rounds += 1;
        self.rounds <= MAX_ROUNDS
    }

    /// Looks at the token once.
    pub(crate) async fn observe(&self) -> TokenObservation {
        let known = KnownTokens { current: &self.token, superseded: &self.superseded };
        observe(self.session, known).await
    }

    /// From now on `issued` is the token.
    pub(crate) fn supersede(&mut self, issued: Issued) {
        self.session.show(&Event::Superseded);
        self.session.learn(&issued.token);
        let replaced = std::mem::replace(&mut self.token, Arc::new(issued.token));
        self.superseded.push(replaced.as_ref().clone());
        self.warnings.push(format!(
            "someone else reset the token during this run: {} was superseded by {}",
            replaced.fingerprint(),
            self.token.fingerprint()
        ));
    }

    /// The indices of the sinks that `which` selects.
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

    /// Whether it holds `token`, and the evidence.
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

    fn finding(&self, token: &Token) -> Result<Finding, &crate::Failure> {
        self.inspected.as_ref().map(|inspected| inspected.compare(&token.fingerprint()))
    }

    /// Its line in the report. `since` is when the reset was sent.
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

    /// Takes note of how a write ended.
    pub(crate) fn note(&mut self, result: WriteResult) {
        self.attempts += result.attempts;
        self.unacknowledged |= result.superseded_unacknowledged;
        self.last_write = result.last_write().or(self.last_write.take());
        self.result = Some(result);
    }

    /// Whether the last write of this run was of `token`.
    pub(crate) fn was_given(&self, token: &Token) -> bool {
        self.result.as_ref().is_some_and(|result| *result.token == *token)
    }

    /// What was written until now is of a revoked token.
    pub(crate) fn supersede(&mut self) {
        self.unacknowledged |= self.result.take().is_some_and(|result| result.unacknowledged);
    }

    /// When the last write of this run was acknowledged; `None` where there was no write, `Some(None)`
    /// where it failed.
    pub(crate) fn acknowledged_at(&self) -> Option<Option<Instant>> {
        let result = self.result.as_ref()?;
        Some(result.outcome.as_ref().ok().map(|acknowledgement| acknowledgement.at))
    }

    /// What an inspection needs.
    pub(crate) fn inspect_job(&self) -> InspectJob {
        InspectJob {
            sink: Arc::clone(&self.job.sink),
            rate_limiter: self.job.rate_limiter.clone(),
            last_write: self.last_write.clone(),
        }
    }

    /// Whether writing again may help: another writer came after an acknowledged write of ours, or
    /// after the sink was found current. One that could not be written had its time.
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
