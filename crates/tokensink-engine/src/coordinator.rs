//! The coordinator: who takes part in a run, what is remembered of earlier ones, and what leaves it.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokensink_core::{Issued, IssuerError, Redactor, TargetId, Token, TokenSource};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::journal::{
    Entry, Journal, JournalError, LastWrite, Run, RunId, is_unsettled, last_write, last_written_at,
    unfinished_reset,
};
use crate::limiter::Limiter;
use crate::{Command, Event, Interrupt, Outcome, Progress, Report, Sink, SinkReport, Timing};

/// How long a record may take: a folder on another machine may hang, and no run waits for ever.
const DISK_ANSWER: Duration = Duration::from_secs(10);

/// What a run works with.
#[derive(Clone, Debug)]
pub struct RunContext {
    /// Where the live token is read.
    pub source: Arc<dyn TokenSource>,
    /// The source's id of the QStash: the journal's key.
    pub source_id: String,
    /// Where the token must arrive.
    pub sinks: Vec<Arc<Sink>>,
    /// The names of required sinks that do not take part this time.
    pub left_out: Vec<String>,
    /// Remembers what happened.
    pub journal: Arc<dyn Journal>,
    /// Watches.
    pub progress: Arc<dyn Progress>,
    /// Brings Ctrl-C.
    pub interrupt: Interrupt,
}

/// Runs the protocol.
pub struct Coordinator {
    pub(crate) context: RunContext,
    pub(crate) timing: Timing,
    pub(crate) run: RunId,
    earlier_runs: Vec<Run>,
    knows_earlier_runs: bool,
    started: OnceCell<()>,
    pub(crate) limiter: Limiter,
    redactor: Mutex<Redactor>,
}

impl std::fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Coordinator")
            .field("run", &self.run)
            .field("issuer", &self.context.source)
            .field("sinks", &self.context.sinks.len())
            .finish_non_exhaustive()
    }
}

impl Coordinator {
    /// A coordinator for one run.
    ///
    /// # Errors
    ///
    /// When the journal could not be read.
    pub async fn new(context: RunContext, timing: Timing) -> Result<Self, JournalError> {
        let earlier_runs = context.journal.runs().await?;
        Ok(Self::after(earlier_runs, context, timing))
    }

    /// A coordinator for one run where nobody knows what earlier ones did: it believes nothing that
    /// a reset which is still in flight could undo, and takes no part in a reset of its own.
    pub fn without_history(context: RunContext, timing: Timing) -> Self {
        Self { knows_earlier_runs: false, ..Self::after(Vec::new(), context, timing) }
    }

    fn after(earlier_runs: Vec<Run>, mut context: RunContext, timing: Timing) -> Self {
        context.sinks.sort_by_key(|sink| std::cmp::Reverse(sink.priority));
        Self {
            context,
            timing,
            run: RunId::after(&earlier_runs),
            earlier_runs,
            knows_earlier_runs: true,
            started: OnceCell::new(),
            limiter: Limiter::default(),
            redactor: Mutex::default(),
        }
    }

    /// Where the token is read; its `Display` names it for people.
    pub fn source(&self) -> &dyn TokenSource {
        self.context.source.as_ref()
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
            () = self.context.interrupt.after(0) => {
                Err(self.unchanged(command, "interrupted".to_owned()))
            }
        }
    }

    /// The runs before this one that concern the same QStash, oldest first.
    pub(crate) fn earlier_runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.earlier_runs.iter().filter(|run| run.may_be_of(&self.context.source_id))
    }

    /// The newest write to `target`, if nothing newer may have been written since.
    pub(crate) fn last_write(&self, target: &TargetId) -> Option<LastWrite> {
        last_write(&self.earlier_runs, &self.context.source_id, target)
    }

    pub(crate) fn last_written_at(&self, target: &TargetId) -> Option<Timestamp> {
        last_written_at(&self.earlier_runs, target)
    }

    /// Whether something that an earlier run sent may still take effect.
    pub(crate) fn is_unsettled(&self) -> bool {
        !self.knows_earlier_runs || is_unsettled(&self.earlier_runs, &self.context.source_id)
    }

    /// The report that offers `sync` instead, where an earlier reset was cut off, or where nobody
    /// knows whether one was.
    ///
    /// # Errors
    ///
    /// That report.
    pub(crate) fn nothing_unfinished(&self) -> Result<(), Report> {
        if !self.knows_earlier_runs {
            let why = "a reset needs a journal, and there is none";
            return Err(self.unchanged(Command::Reset, why.to_owned()));
        }
        let Some(run) = unfinished_reset(&self.earlier_runs, &self.context.source_id) else {
            return Ok(());
        };
        let mut why = match run.outcome() {
            None => format!("run {} reset the token, or may have, and never finished", run.id),
            Some(_) => format!("run {} ended without knowing which token is live", run.id),
        };
        if let Some(damage) = &run.damage {
            why = format!("{why}: {damage}");
        }
        let mut report = self.unchanged(Command::Reset, why);
        let next = "`tokensink sync` finishes it, without another reset; then reset again, if you \
                    still want to";
        report.next.push(next.to_owned());
        Err(report)
    }

    /// Does what an interrupt no longer stops, and tells who watches so when there is one.
    pub(crate) async fn through_an_interrupt<T>(&self, work: impl Future<Output = T>) -> T {
        let tell = async {
            self.context.interrupt.after(0).await;
            self.context.progress.on(&Event::Interrupted);
            pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            done = work => done,
            never = tell => match never {},
        }
    }

    /// Opens the run's record, once.
    pub(crate) async fn start(&self, command: Command) -> Result<(), String> {
        let issuer = self.context.source_id.clone();
        let entry = Entry::Started { command, issuer, left_out: self.context.left_out.clone() };
        self.started.get_or_try_init(|| self.record(entry)).await.copied()
    }

    /// The required sinks that take no part in this run, in words.
    pub(crate) fn left_out(&self) -> Option<String> {
        let names = &self.context.left_out;
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// The live token, as far as the issuer knows; never waited for without an end.
    pub(crate) async fn current(&self) -> Result<Issued, IssuerError> {
        self.in_time(self.context.source.current()).await
    }

    /// Whether QStash lets `token` in; never waited for without an end.
    pub(crate) async fn accepts(&self, token: &Token) -> Result<bool, IssuerError> {
        self.in_time(self.context.source.accepts(token)).await
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, IssuerError>>,
    ) -> Result<T, IssuerError> {
        let patience = self.timing.issuer_answer;
        timeout(patience, answer).await.unwrap_or_else(|_| {
            let message = format!("{} gave no answer within {patience:?}", self.context.source);
            Err(IssuerError::Transient { message, retry_after: None })
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
                Err(IssuerError::Transient { retry_after: wait, .. })
                    if Instant::now() + wait.unwrap_or(self.timing.poll) < until =>
                {
                    sleep(wait.unwrap_or(self.timing.poll)).await;
                }
                answer => return answer,
            }
        }
    }

    /// From now on `token` is removed from every text.
    pub(crate) fn learn(&self, token: &Token) {
        self.redactor.lock().unwrap_or_else(PoisonError::into_inner).learn(token);
    }

    /// `report` as it may leave the process.
    pub(crate) fn publish(&self, report: Report) -> Report {
        let redactor = self.redactor.lock().unwrap_or_else(PoisonError::into_inner);
        let report = report.cleaned(|text| redactor.redact(text));
        let (run_id, left_out) = (Some(self.run.to_string()), self.context.left_out.clone());
        Report { run_id, left_out, ..report }
    }

    /// A report that says that nothing was changed, and why.
    pub(crate) fn unchanged(&self, command: Command, why: String) -> Report {
        let report = Report::refused(command, Outcome::Unchanged, vec![why]);
        self.publish(self.with_unasked_sinks(report))
    }

    pub(crate) fn with_unasked_sinks(&self, mut report: Report) -> Report {
        let sinks = self.context.sinks.iter();
        report.sinks = sinks.map(|sink| SinkReport::unasked(sink)).collect();
        report
    }

    /// Makes `entry` durable before it returns.
    pub(crate) async fn record(&self, entry: Entry) -> Result<(), String> {
        append(self.context.journal.as_ref(), &self.run, &entry).await
    }

    /// The same, where there is something to record.
    pub(crate) async fn record_if(&self, entry: Option<Entry>) -> Result<(), String> {
        match entry {
            Some(entry) => self.record(entry).await,
            None => Ok(()),
        }
    }

    /// Makes `entry` durable while other work goes on.
    pub(crate) fn record_in_background(&self, entry: Entry) -> JoinHandle<Result<(), String>> {
        let (journal, run) = (Arc::clone(&self.context.journal), self.run.clone());
        tokio::spawn(async move { append(journal.as_ref(), &run, &entry).await })
    }
}

async fn append(journal: &dyn Journal, run: &RunId, entry: &Entry) -> Result<(), String> {
    let appended = match timeout(DISK_ANSWER, journal.append(run, entry)).await {
        Ok(appended) => appended.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the disk gave no answer within {DISK_ANSWER:?}")),
    };
    appended.map_err(|why| format!("the journal is not complete: {why}"))
}
