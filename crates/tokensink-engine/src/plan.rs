//! The plan of a command: reads the live token, and prepares and inspects every sink. Changes nothing.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join3;
use tokensink_core::{Issued, Preparation, Readiness, SinkInfo, TargetId, Token};
use tokio::time::{Instant, sleep};

use crate::abort::Abort;
use crate::faults::{Fault, is_planted};
use crate::inspection::{
    Finding, InspectJob, InspectResult, WriteState, conclude, inspect, inspect_after_write,
};
use crate::journal::LastWrite;
use crate::prepare::{PrepareResult, ensure_agreed, prepare};
use crate::rate_limiter::RateLimiter;
use crate::run_concurrently::{TaskOutcome, run_concurrently};
use crate::session::Session;
use crate::survey::{Surveyed, survey};
use crate::{Command, Event, Sink, SinkFailure, State};

/// The maximum number of times that preparations are repeated because they expired while others were made.
const MAX_REFRESHES: usize = 3;

/// The state before a command changes anything.
#[derive(Debug)]
pub struct Plan {
    /// Every sink, the highest priority first.
    pub prepared: Vec<Prepared>,
    pub(crate) issued: Issued,
    pub(crate) token_read_at: Instant,
    /// The response time of the source.
    pub(crate) source_round_trip: Duration,
    /// The results of the surveys, in `check` and `reset` only.
    pub(crate) surveyed: Option<Surveyed>,
}

/// A sink that was prepared and inspected.
#[derive(Debug)]
pub struct Prepared {
    /// The sink.
    pub sink: Arc<Sink>,
    pub(crate) rate_limiter: Option<Arc<RateLimiter>>,
    pub(crate) preparation: Result<Arc<Preparation>, SinkFailure>,
    pub(crate) prepared_at: Instant,
    pub(crate) last_write: Option<LastWrite>,
    pub(crate) inspected: InspectResult,
    /// The result of the proof of a write, which is made after the user's consent.
    pub(crate) proof: Option<Result<Readiness, SinkFailure>>,
    /// The number of attempts of the rehearsal's write.
    pub(crate) rehearsal_attempts: u32,
    /// Whether the rehearsal's write was acknowledged.
    pub(crate) is_rehearsed: bool,
    /// Whether a write of the current token was not acknowledged and may overwrite a later one.
    pub(crate) unacknowledged: bool,
}

/// A destination of the token, for the user's consent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Destination {
    /// The table's name.
    pub name: String,
    /// The name of the target in messages.
    pub label: String,
    /// The identity of the target.
    pub target: TargetId,
    /// The host, if it is not the vendor's public one.
    pub host: Option<String>,
    /// The resolved destination, if the user would not expect it from the config.
    pub foreign_destination: Option<String>,
}

impl Destination {
    /// Creates the destination of the sink `name` with the facts of `info`.
    pub fn new(name: &str, info: &SinkInfo, foreign_destination: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            label: info.label.clone(),
            target: info.target.clone(),
            host: info.host.clone(),
            foreign_destination: foreign_destination.map(str::to_owned),
        }
    }
}

impl Prepared {
    /// Returns why the sink cannot be written, if it cannot.
    pub fn obstacle(&self) -> Option<&SinkFailure> {
        self.preparation.as_ref().err()
    }

    /// Returns what only a write can prove, if anything.
    pub fn doubt(&self) -> Option<&str> {
        match &self.preparation.as_ref().ok()?.readiness {
            Readiness::Ready => None,
            Readiness::Unknown { reason } => Some(reason),
        }
    }

    /// Returns the destination, if the user would not expect it from the config.
    pub(crate) fn foreign_destination(&self) -> Option<&str> {
        self.preparation.as_ref().ok()?.foreign_destination.as_deref()
    }

    /// Returns whether the sink contains `token`, and the evidence.
    pub(crate) fn state(&self, token: &Token) -> (State, String) {
        conclude(WriteState::None, self.finding(token))
    }

    pub(crate) fn finding(&self, token: &Token) -> Result<Finding, &SinkFailure> {
        self.inspected.as_ref().map(|inspected| inspected.compare(&token.fingerprint()))
    }

    /// Returns the plugin's warnings, and one for a failed inspection.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let own = self.preparation.iter().flat_map(|preparation| &preparation.warnings);
        let foreign = self.foreign_destination().map(|text| self.named(text));
        let own = foreign.into_iter().chain(own.map(|text| self.named(text)));
        own.chain(self.not_inspected().filter(|_| self.preparation.is_ok())).collect()
    }

    /// Returns the error of the inspection, if it failed.
    pub(crate) fn not_inspected(&self) -> Option<String> {
        let failure = self.inspected.as_ref().err()?;
        Some(self.named(&format!("could not be inspected: {failure}")))
    }

    /// Returns `text` after the name of the sink.
    pub(crate) fn named(&self, text: &str) -> String {
        format!("{}: {text}", self.sink)
    }
}

impl Plan {
    /// Rejects destinations that were not shown to the user with the plan `shown`.
    pub(crate) fn keep_destinations_of(&mut self, shown: &Self) {
        for prepared in &mut self.prepared {
            let mut before = shown.prepared.iter();
            let before = before.find(|before| Arc::ptr_eq(&before.sink, &prepared.sink));
            let agreed = before.and_then(Prepared::foreign_destination);
            let preparation =
                std::mem::replace(&mut prepared.preparation, Err(SinkFailure::not_asked()));
            prepared.preparation = ensure_agreed(preparation, agreed);
        }
    }

    /// Returns the live token.
    pub fn token(&self) -> &Token {
        &self.issued.token
    }

    /// Returns the required sinks that cannot be written. They prevent a reset.
    pub fn obstacles(&self) -> impl Iterator<Item = (&Sink, &SinkFailure)> {
        let required = self.prepared.iter().filter(|prepared| prepared.sink.required);
        required.filter_map(|prepared| Some((prepared.sink.as_ref(), prepared.obstacle()?)))
    }

    /// Returns the destinations of the token, in the order of the plan.
    pub fn destinations(&self) -> Vec<Destination> {
        let destination = |prepared: &Prepared| {
            let Sink { name, info, .. } = prepared.sink.as_ref();
            Destination::new(name, info, prepared.foreign_destination())
        };
        self.prepared.iter().map(destination).collect()
    }

    /// Returns messages about sinks that resolve to the same target and would overwrite each other.
    pub(crate) fn shared_targets(&self) -> Vec<String> {
        let mut owners: BTreeMap<&TargetId, &Sink> = BTreeMap::new();
        let mut shared = Vec::new();
        for prepared in &self.prepared {
            let preparation = prepared.preparation.as_ref().ok();
            let target = preparation.and_then(|preparation| preparation.resolved_target.as_ref());
            let Some(target) = target else { continue };
            match owners.get(target) {
                Some(owner) => shared.push(format!(
                    "{owner} and {} are the same place: {target}; keep one of them",
                    prepared.sink
                )),
                None => drop(owners.insert(target, &prepared.sink)),
            }
        }
        shared
    }

    /// Checks that all required sinks are ready and that no two sinks have the same target.
    pub(crate) fn ensure_writable(&self) -> Result<(), Abort> {
        if self.obstacles().next().is_some() && !is_planted(Fault::IgnoreObstacles) {
            Err(Abort::Obstructed)
        } else {
            self.ensure_distinct()
        }
    }

    /// Checks that no two sinks have the same target.
    pub(crate) fn ensure_distinct(&self) -> Result<(), Abort> {
        if self.shared_targets().is_empty() { Ok(()) } else { Err(Abort::Obstructed) }
    }

    /// Returns all warnings to show before anything is written.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.sink_warnings();
        warnings.extend(self.foreign_values());
        if let Some(surveyed) = &self.surveyed {
            warnings.extend(surveyed.warnings.iter().cloned());
        }
        warnings
    }

    /// Returns the plugins' warnings, and those for failed inspections.
    pub(crate) fn sink_warnings(&self) -> Vec<String> {
        self.prepared.iter().flat_map(Prepared::warnings).collect()
    }

    fn foreign_values(&self) -> Option<String> {
        let token = self.token().fingerprint();
        let is_foreign = |prepared: &&Prepared| {
            prepared.inspected.as_ref().is_ok_and(|found| found.has_foreign_value(&token))
        };
        let names: Vec<String> =
            self.prepared.iter().filter(is_foreign).map(|one| one.sink.to_string()).collect();
        let (sinks, hold) = if names.len() == 1 { ("sink", "holds") } else { ("sinks", "hold") };
        (!names.is_empty()).then(|| {
            let (count, names) = (names.len(), names.join(", "));
            format!("{count} {sinks} {hold} something other than the current token: {names}")
        })
    }

    /// Returns the sinks that were prepared longer ago than `age`.
    fn older_than(&self, age: Duration) -> Vec<usize> {
        let is_old = |index: &usize| self.prepared[*index].prepared_at.elapsed() > age;
        (0..self.prepared.len()).filter(is_old).collect()
    }
}

/// A write of this run before the plan.
#[derive(Clone, Debug)]
pub(crate) struct RecentWrite {
    pub(crate) last_write: LastWrite,
    pub(crate) acknowledged_at: Instant,
}

/// Makes the plan of a command.
pub(crate) async fn plan(session: &Session, command: Command) -> Result<Plan, Abort> {
    if command == Command::Reset {
        session.ensure_finished()?;
    }
    let mut plan = plan_after(session, &BTreeMap::new()).await?;
    if matches!(command, Command::Check | Command::Reset) {
        let surveyed = survey(session, &plan.prepared, plan.token());
        plan.surveyed = Some(session.interruptible(surveyed).await?);
    }
    Ok(plan)
}

/// Makes a plan after the writes of this run, without a survey.
pub(crate) async fn plan_after(
    session: &Session,
    written: &BTreeMap<TargetId, RecentWrite>,
) -> Result<Plan, Abort> {
    let sinks: Vec<&Arc<Sink>> = session.context.sinks.iter().collect();
    let results = join3(
        live_token(session),
        prepare_all(session, &sinks),
        inspect_all(session, &sinks, written),
    );
    let (live, prepared, inspected) = session.interruptible(results).await?;
    let LiveToken { issued, read_at, round_trip } = live?;
    let prepared = sinks.into_iter().zip(prepared).zip(inspected).map(
        |((sink, prepared), (last_write, inspected))| Prepared {
            sink: Arc::clone(sink),
            rate_limiter: session.rate_limiter(sink),
            preparation: prepared.preparation,
            prepared_at: prepared.at,
            last_write,
            inspected,
            proof: None,
            rehearsal_attempts: 0,
            is_rehearsed: false,
            unacknowledged: false,
        },
    );
    Ok(Plan {
        prepared: prepared.collect(),
        issued,
        token_read_at: read_at,
        source_round_trip: round_trip,
        surveyed: None,
    })
}

/// Repeats the preparations that are too old, because keys and connections expire. The inspections are not
/// repeated.
///
/// While one slow sink is prepared, other preparations may expire. They are repeated a bounded number of
/// times.
pub(crate) async fn refresh_plan(session: &Session, plan: &mut Plan) -> Result<(), Abort> {
    for _ in 0..MAX_REFRESHES {
        let old = plan.older_than(session.timing.fresh);
        if old.is_empty() {
            break;
        }
        let sinks: Vec<_> = old.iter().map(|index| &plan.prepared[*index].sink).collect();
        let results = session.interruptible(prepare_all(session, &sinks)).await?;
        for (index, result) in old.into_iter().zip(results) {
            let prepared = &mut plan.prepared[index];
            let agreed = prepared.foreign_destination().map(str::to_owned);
            prepared.preparation = ensure_agreed(result.preparation, agreed.as_deref());
            prepared.prepared_at = result.at;
        }
    }
    Ok(())
}

/// The live token, with the time and the duration of its read.
struct LiveToken {
    issued: Issued,
    read_at: Instant,
    round_trip: Duration,
}

/// Reads the current token and checks that QStash accepts it. The check is necessary because a token in the
/// wrong region is refused like a revoked one: a later refusal would prove nothing.
///
/// A refused token is read again during the settling window, because the token may have been reset between
/// the two requests, and a read may lag behind a reset.
async fn live_token(session: &Session) -> Result<LiveToken, Abort> {
    let failed = |error: tokensink_core::IssuerError| Abort::Source(error.to_string());
    let until = Instant::now() + session.timing.settle;
    loop {
        let asked_at = Instant::now();
        let issued = session.with_issuer_retries(|| session.current()).await.map_err(failed)?;
        let round_trip = asked_at.elapsed();
        session.learn(&issued.token);
        let accepted = session.with_issuer_retries(|| session.accepts(&issued.token)).await;
        if accepted.map_err(failed)? {
            return Ok(LiveToken { issued, read_at: Instant::now(), round_trip });
        }
        if Instant::now() >= until {
            return Err(Abort::TokenNotAccepted(session.context.source.to_string()));
        }
        sleep(session.timing.poll).await;
    }
}

async fn prepare_all(session: &Session, sinks: &[&Arc<Sink>]) -> Vec<PrepareResult> {
    session.show(&Event::Preparing { total: sinks.len() });
    let ended = run_concurrently(
        sinks.iter().map(|sink| (Arc::clone(sink), session.rate_limiter(sink))),
        |(sink, rate_limiter)| prepare(sink, rate_limiter),
        |index, result| {
            let (sink, ready) = (sinks[index].as_ref(), result.preparation.is_ok());
            session.show(&Event::Prepared { sink, ready });
        },
        pending(),
    );
    let panicked = || PrepareResult::from(Err(SinkFailure::panicked()));
    ended.await.into_iter().map(|ended| ended.or(panicked, panicked)).collect()
}

/// Inspects all sinks while they are prepared, so that both share a deadline.
async fn inspect_all(
    session: &Session,
    sinks: &[&Arc<Sink>],
    written: &BTreeMap<TargetId, RecentWrite>,
) -> Vec<(Option<LastWrite>, InspectResult)> {
    let jobs: Vec<(InspectJob, Option<Instant>)> = sinks
        .iter()
        .map(|sink| {
            let recent = written.get(&sink.info.target);
            let last_write = recent
                .map(|recent| recent.last_write.clone())
                .or_else(|| session.last_write(&sink.info.target));
            let rate_limiter = session.rate_limiter(sink);
            let lag_ends = recent.map(|recent| recent.acknowledged_at + session.timing.settle);
            (InspectJob { sink: Arc::clone(sink), rate_limiter, last_write }, lag_ends)
        })
        .collect();
    let last_writes: Vec<Option<LastWrite>> =
        jobs.iter().map(|(job, _)| job.last_write.clone()).collect();
    let poll = session.timing.poll;
    let ended = run_concurrently(
        jobs,
        |(job, lag_ends)| async move {
            match (lag_ends, &job.last_write) {
                (Some(lag_ends), Some(last)) => {
                    let token = last.token.clone();
                    inspect_after_write(job, token, lag_ends, poll).await
                }
                _ => inspect(job).await,
            }
        },
        |_, _| {},
        pending(),
    );
    let inspected = ended.await.into_iter().map(|ended| match ended {
        TaskOutcome::Returned(inspected) => inspected,
        TaskOutcome::Panicked | TaskOutcome::Abandoned => Err(SinkFailure::panicked()),
    });
    last_writes.into_iter().zip(inspected).collect()
}

/// Waits until the rate limits have room for all writes, which a rehearsal may have used up. Waiting before
/// the reset shortens the outage.
pub(crate) async fn await_room(session: &Session, plan: &Plan) -> Result<(), Abort> {
    session.show(&Event::AwaitingRoom);
    let limiters = plan.prepared.iter().filter_map(|prepared| prepared.rate_limiter.as_ref());
    session.interruptible(crate::rate_limiter::room_for_all(limiters)).await
}
