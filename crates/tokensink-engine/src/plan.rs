//! The plan that every command starts from: the live token is established, and every sink is asked.
//! Nothing is changed anywhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join;
use tokensink_core::{Issued, IssuerError, TargetId, Token};
use tokio::time::{Instant, sleep};

use crate::coordinator::Coordinator;
use crate::inspection::inspect;
use crate::journal::LastWrite;
use crate::prepare::{Answered, Prepared, prepare};
use crate::run_concurrently::{Ended, run_concurrently};
use crate::{Command, Event, Failure, Outcome, Report, Sink};

/// How often sinks that grew old while others were prepared are prepared again.
const MAX_RENEWALS: usize = 3;

/// What a run starts from: the live token, and every sink asked. Nothing has been changed.
#[derive(Debug)]
pub struct Plan {
    /// Every sink, the most important first.
    pub prepared: Vec<Prepared>,
    pub(crate) issued: Issued,
    pub(crate) token_read_at: Instant,
    /// How long the issuer took to answer.
    pub(crate) issuer_round_trip: Duration,
}

impl Plan {
    fn new(live: Live, prepared: Vec<Prepared>) -> Self {
        let Live { issued, read_at: token_read_at, round_trip: issuer_round_trip } = live;
        Self { prepared, issued, token_read_at, issuer_round_trip }
    }

    /// The sinks that were prepared longer ago than this.
    fn older_than(&self, age: Duration) -> Vec<usize> {
        let is_old = |index: &usize| self.prepared[*index].prepared_at.elapsed() > age;
        (0..self.prepared.len()).filter(is_old).collect()
    }

    /// The token that is live now.
    pub fn token(&self) -> &Token {
        &self.issued.token
    }

    /// Required sinks that cannot be written: the reset is not sent while there is one.
    pub fn obstacles(&self) -> impl Iterator<Item = (&Sink, &Failure)> {
        let required = self.prepared.iter().filter(|prepared| prepared.sink.required);
        required.filter_map(|prepared| Some((prepared.sink.as_ref(), prepared.obstacle()?)))
    }
}

impl Coordinator {
    /// Asks the issuer and every sink, all at once. Changes nothing.
    ///
    /// # Errors
    ///
    /// The report of `command`, when the live token could not be established; or of a reset on top
    /// of one that never finished.
    pub async fn plan(&self, command: Command) -> Result<Plan, Report> {
        self.plan_knowing(command, &BTreeMap::new()).await
    }

    /// The same, where this run has written already.
    pub(crate) async fn plan_knowing(
        &self,
        command: Command,
        written: &BTreeMap<TargetId, LastWrite>,
    ) -> Result<Plan, Report> {
        if command == Command::Reset {
            self.nothing_unfinished()?;
        }
        let asked = join(self.live_token(), self.prepare_all());
        let (live, prepared) = self.unless_interrupted(command, asked).await?;
        let live = live.map_err(|why| self.not_live(command, why))?;
        let inspected = self.inspect_all(prepared, &live.issued.token, written);
        let prepared = self.unless_interrupted(command, inspected).await?;
        Ok(Plan::new(live, prepared))
    }

    /// The same plan, with the sinks that were prepared too long ago prepared again: keys and
    /// connections grow stale. What they hold is not asked again.
    ///
    /// One sink may take so long that others grow old meanwhile, but not for ever.
    pub(crate) async fn renewed(&self, command: Command, mut plan: Plan) -> Result<Plan, Report> {
        for _ in 0..MAX_RENEWALS {
            let old = plan.older_than(self.timing.fresh);
            if old.is_empty() {
                break;
            }
            let sinks: Vec<_> = old.iter().map(|index| &plan.prepared[*index].sink).collect();
            let answered = self.unless_interrupted(command, self.prepare(&sinks)).await?;
            for (index, answered) in old.into_iter().zip(answered) {
                let prepared = &mut plan.prepared[index];
                (prepared.writer, prepared.prepared_at) = (answered.writer, answered.at);
            }
        }
        Ok(plan)
    }

    /// The current token, proven to be let in: a token sent to the wrong region gets the same
    /// answer as a dead one, so only this makes a later refusal mean anything.
    ///
    /// A refused token is read again for the settling window: somebody may have reset it between
    /// the two questions, and a read may lag behind a reset.
    async fn live_token(&self) -> Result<Live, NotLive> {
        let until = Instant::now() + self.timing.settle;
        loop {
            let asked_at = Instant::now();
            let issued = self.patiently(|| self.current()).await?;
            let round_trip = asked_at.elapsed();
            self.learn(&issued.token);
            if self.patiently(|| self.accepts(&issued.token)).await? {
                return Ok(Live { issued, read_at: Instant::now(), round_trip });
            }
            if Instant::now() >= until {
                return Err(NotLive::Refused);
            }
            sleep(self.timing.poll).await;
        }
    }

    async fn prepare_all(&self) -> Vec<Prepared> {
        let sinks: Vec<&Arc<Sink>> = self.context.sinks.iter().collect();
        let answered = self.prepare(&sinks).await;
        let prepared = sinks.into_iter().zip(answered).map(|(sink, answered)| Prepared {
            sink: Arc::clone(sink),
            lane: self.limiter.lane(sink.info.rate_limits.as_ref()),
            writer: answered.writer,
            prepared_at: answered.at,
            last_write: None,
            holds: Err(Failure::not_asked()),
            haunted: false,
        });
        prepared.collect()
    }

    async fn prepare(&self, sinks: &[&Arc<Sink>]) -> Vec<Answered> {
        self.context.progress.on(&Event::Preparing { total: sinks.len() });
        let ended = run_concurrently(
            sinks
                .iter()
                .map(|sink| (Arc::clone(sink), self.limiter.lane(sink.info.rate_limits.as_ref()))),
            |(sink, lane)| prepare(sink, lane),
            |index, answered| {
                let (sink, ready) = (sinks[index].as_ref(), answered.writer.is_ok());
                self.context.progress.on(&Event::Prepared { sink, ready });
            },
            std::future::pending(),
        )
        .await;
        let panicked = || Answered::from(Err(Failure::panicked()));
        ended.into_iter().map(|ended| ended.or(panicked, panicked)).collect()
    }

    async fn inspect_all(
        &self,
        mut prepared: Vec<Prepared>,
        token: &Token,
        written: &BTreeMap<TargetId, LastWrite>,
    ) -> Vec<Prepared> {
        let token = Arc::new(token.clone());
        for one in &mut prepared {
            let target = one.sink.info.target.clone();
            one.last_write = written.get(&target).cloned().or_else(|| self.last_write(&target));
        }
        let questions = prepared.iter().map(|one| {
            (Arc::clone(&one.sink), one.lane.clone(), Arc::clone(&token), one.last_write.clone())
        });
        let ended = run_concurrently(
            questions,
            |(sink, lane, token, last)| inspect(sink, lane, token, last),
            |_, _| {},
            std::future::pending(),
        )
        .await;
        for (one, ended) in prepared.iter_mut().zip(ended) {
            if let Ended::With(holds) = ended {
                one.holds = holds;
            } else {
                one.holds = Err(Failure::panicked());
            }
        }
        prepared
    }

    fn not_live(&self, command: Command, why: NotLive) -> Report {
        match why {
            NotLive::Unreachable(error) => self.unchanged(command, error.to_string()),
            NotLive::Refused => {
                let why = format!(
                    "QStash does not accept the current token of {}; nothing was changed",
                    self.context.source
                );
                let mut report = Report::refused(command, Outcome::Unknown, vec![why]);
                report.next.push(
                    "see whether `region` and `qstash_url` are right, and try again in a minute"
                        .to_owned(),
                );
                self.publish(self.with_unasked_sinks(report))
            }
        }
    }
}

/// The live token, and how it was come by.
struct Live {
    issued: Issued,
    read_at: Instant,
    round_trip: Duration,
}

/// Why no live token could be established.
enum NotLive {
    Unreachable(IssuerError),
    Refused,
}

impl From<IssuerError> for NotLive {
    fn from(error: IssuerError) -> Self {
        Self::Unreachable(error)
    }
}
