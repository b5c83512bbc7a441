//! The coordinator: who takes part in a run, and the plan that every command starts from.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::join;
use jiff::Timestamp;
use tokensink_core::{Issued, IssuerError, Redactor, TargetId, Token, TokenIssuer};
use tokio::time::{Instant, sleep, timeout};

use crate::inspection::inspect;
use crate::journal::{
    Entry, Journal, JournalError, Run, RunId, is_unsettled, last_write, last_written_at,
    unfinished_reset,
};
use crate::limiter::Limiter;
use crate::prepare::{Answered, Prepared, prepare};
use crate::side_by_side::{Ended, side_by_side};
use crate::{Command, Event, Failure, Interrupt, Outcome, Progress, Report, Sink, SinkReport};
use crate::{State, Timing};

/// How often sinks that grew old while others were prepared are prepared again.
const MOST_RENEWALS: usize = 3;

/// Who takes part in a run.
#[derive(Clone, Debug)]
pub struct Parties {
    /// Issues and resets the token.
    pub issuer: Arc<dyn TokenIssuer>,
    /// The issuer's id of the QStash: the journal's key.
    pub issuer_id: String,
    /// Where the token must arrive.
    pub sinks: Vec<Arc<Sink>>,
    /// Remembers what happened.
    pub journal: Arc<dyn Journal>,
    /// Watches.
    pub progress: Arc<dyn Progress>,
    /// Brings Ctrl-C.
    pub interrupt: Interrupt,
}

/// Runs the protocol.
pub struct Coordinator {
    pub(crate) parties: Parties,
    pub(crate) timing: Timing,
    pub(crate) run: RunId,
    earlier_runs: Vec<Run>,
    pub(crate) limiter: Limiter,
    redactor: Mutex<Redactor>,
}

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

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator")
            .field("run", &self.run)
            .field("issuer", &self.parties.issuer)
            .field("sinks", &self.parties.sinks.len())
            .finish_non_exhaustive()
    }
}

impl Coordinator {
    /// A coordinator for one run.
    ///
    /// # Errors
    ///
    /// When the journal could not be read.
    pub async fn new(mut parties: Parties, timing: Timing) -> Result<Self, JournalError> {
        parties.sinks.sort_by_key(|sink| std::cmp::Reverse(sink.priority));
        let earlier_runs = parties.journal.runs().await?;
        Ok(Self {
            parties,
            timing,
            run: RunId::after(&earlier_runs),
            earlier_runs,
            limiter: Limiter::default(),
            redactor: Mutex::default(),
        })
    }

    /// Who issues the token, for people.
    pub fn issuer(&self) -> &dyn TokenIssuer {
        self.parties.issuer.as_ref()
    }

    /// Asks the issuer and every sink, all at once. Changes nothing.
    ///
    /// # Errors
    ///
    /// The report of `command`, when the live token could not be established.
    pub async fn plan(&self, command: Command) -> Result<Plan, Report> {
        let asked = join(self.live_token(), self.prepare_all());
        let (live, prepared) = self.unless_interrupted(command, asked).await?;
        let live = live.map_err(|why| self.not_live(command, why))?;
        let inspected = self.inspect_all(prepared, &live.issued.token);
        let prepared = self.unless_interrupted(command, inspected).await?;
        Ok(Plan::new(live, prepared))
    }

    /// The same plan, with the sinks that were prepared too long ago prepared again: keys and
    /// connections grow stale. What they hold is not asked again.
    ///
    /// One sink may take so long that others grow old meanwhile, but not for ever.
    pub(crate) async fn renewed(&self, command: Command, mut plan: Plan) -> Result<Plan, Report> {
        for _ in 0..MOST_RENEWALS {
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

    /// The outcome of `work`, which changes nothing, unless Ctrl-C comes first.
    pub(crate) async fn unless_interrupted<T>(
        &self,
        command: Command,
        work: impl Future<Output = T>,
    ) -> Result<T, Report> {
        tokio::select! {
            biased;
            outcome = work => Ok(outcome),
            () = self.parties.interrupt.after(0) => {
                Err(self.unchanged(command, "interrupted".to_owned()))
            }
        }
    }

    /// The runs before this one that concern the same QStash, oldest first.
    pub(crate) fn earlier_runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.earlier_runs.iter().filter(|run| run.may_be_of(&self.parties.issuer_id))
    }

    pub(crate) fn last_written_at(&self, target: &TargetId) -> Option<Timestamp> {
        last_written_at(&self.earlier_runs, target)
    }

    /// Whether something that an earlier run sent may still take effect.
    pub(crate) fn is_unsettled(&self) -> bool {
        is_unsettled(&self.earlier_runs, &self.parties.issuer_id)
    }

    /// The report that offers `sync` instead, where an earlier reset was cut off.
    ///
    /// # Errors
    ///
    /// That report.
    pub fn nothing_unfinished(&self) -> Result<(), Report> {
        let Some(run) = unfinished_reset(&self.earlier_runs, &self.parties.issuer_id) else {
            return Ok(());
        };
        let mut why = format!("run {} reset the token, or may have, and never finished", run.id);
        if let Some(damage) = &run.damage {
            why = format!("{why}: {damage}");
        }
        let mut report = self.unchanged(Command::Reset, why);
        let next = "`tokensink sync` finishes it, without another reset; then reset again, if you \
                    still want to";
        report.next.push(next.to_owned());
        Err(report)
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

    /// The live token, as far as the issuer knows; never waited for without an end.
    pub(crate) async fn current(&self) -> Result<Issued, IssuerError> {
        self.in_time(self.parties.issuer.current()).await
    }

    /// Whether QStash lets `token` in; never waited for without an end.
    pub(crate) async fn accepts(&self, token: &Token) -> Result<bool, IssuerError> {
        self.in_time(self.parties.issuer.accepts(token)).await
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, IssuerError>>,
    ) -> Result<T, IssuerError> {
        let patience = self.timing.issuer_answer;
        timeout(patience, answer).await.unwrap_or_else(|_| {
            let message = format!("{} gave no answer within {patience:?}", self.parties.issuer);
            Err(IssuerError::Transient { message, wait: None })
        })
    }

    /// Asks the issuer again while it may help, for as long as an answer to the reset may take.
    pub(crate) async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, IssuerError>
    where
        F: Future<Output = Result<T, IssuerError>>,
    {
        let until = Instant::now() + self.timing.reset_answer;
        loop {
            match ask().await {
                Err(IssuerError::Transient { wait, .. })
                    if Instant::now() + wait.unwrap_or(self.timing.poll) < until =>
                {
                    sleep(wait.unwrap_or(self.timing.poll)).await;
                }
                answer => return answer,
            }
        }
    }

    async fn prepare_all(&self) -> Vec<Prepared> {
        let sinks: Vec<&Arc<Sink>> = self.parties.sinks.iter().collect();
        let answered = self.prepare(&sinks).await;
        let prepared = sinks.into_iter().zip(answered).map(|(sink, answered)| Prepared {
            sink: Arc::clone(sink),
            lane: self.limiter.lane(sink.target.quota()),
            writer: answered.writer,
            prepared_at: answered.at,
            last_write: None,
            holds: Err(Failure::not_asked()),
            haunted: false,
        });
        prepared.collect()
    }

    async fn prepare(&self, sinks: &[&Arc<Sink>]) -> Vec<Answered> {
        self.parties.progress.on(&Event::Preparing { total: sinks.len() });
        let ended = side_by_side(
            sinks.iter().map(|sink| (Arc::clone(sink), self.limiter.lane(sink.target.quota()))),
            |(sink, lane)| prepare(sink, lane),
            |index, answered| {
                let (sink, ready) = (sinks[index].as_ref(), answered.writer.is_ok());
                self.parties.progress.on(&Event::Prepared { sink, ready });
            },
            std::future::pending(),
        )
        .await;
        let panicked = || Answered::from(Err(Failure::panicked()));
        ended.into_iter().map(|ended| ended.or(panicked, panicked)).collect()
    }

    async fn inspect_all(&self, mut prepared: Vec<Prepared>, token: &Token) -> Vec<Prepared> {
        let token = Arc::new(token.clone());
        for one in &mut prepared {
            let issuer = &self.parties.issuer_id;
            one.last_write = last_write(&self.earlier_runs, issuer, &one.sink.id());
        }
        let questions = prepared.iter().map(|one| {
            (Arc::clone(&one.sink), one.lane.clone(), Arc::clone(&token), one.last_write.clone())
        });
        let ended = side_by_side(
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

    /// From now on `token` is removed from every text.
    pub(crate) fn learn(&self, token: &Token) {
        self.redactor.lock().unwrap_or_else(PoisonError::into_inner).learn(token);
    }

    /// `report` as it may leave the process.
    pub(crate) fn publish(&self, report: Report) -> Report {
        let redactor = self.redactor.lock().unwrap_or_else(PoisonError::into_inner);
        let report = report.cleaned(|text| redactor.redact(text));
        Report { run_id: Some(self.run.to_string()), ..report }
    }

    /// A report that says that nothing was changed, and why.
    pub(crate) fn unchanged(&self, command: Command, why: String) -> Report {
        let report = Report::refused(command, Outcome::Unchanged, vec![why]);
        self.publish(self.with_unasked_sinks(report))
    }

    fn not_live(&self, command: Command, why: NotLive) -> Report {
        match why {
            NotLive::Unreachable(error) => self.unchanged(command, error.to_string()),
            NotLive::Refused => {
                let why = format!(
                    "QStash does not accept the current token of {}; nothing was changed",
                    self.parties.issuer
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

    fn with_unasked_sinks(&self, mut report: Report) -> Report {
        let unasked = |sink: &Arc<Sink>| SinkReport::of(sink, State::Unknown, "not asked");
        report.sinks = self.parties.sinks.iter().map(unasked).collect();
        report
    }

    /// The same, where there is something to record.
    pub(crate) async fn record_if(&self, entry: Option<Entry>) -> Result<(), String> {
        match entry {
            Some(entry) => self.record(entry).await,
            None => Ok(()),
        }
    }

    /// Makes `entry` durable before it returns.
    pub(crate) async fn record(&self, entry: Entry) -> Result<(), String> {
        let appended = self.parties.journal.append(&self.run, &entry).await;
        appended.map_err(|error| format!("the journal is not complete: {error}"))
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
