//! What all steps of a run share: its context, the journal, the providers' limits, and the tokens that
//! must not leave it.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::Timestamp;
use tokensink_core::{Fingerprint, Issued, IssuerError, Redactor, TargetId, Token, TokenSource};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::abort::Abort;
use crate::faults::{Fault, is_planted};
use crate::journal::{
    Entry, Journal, LastWrite, Run, RunId, is_unsettled, known_tokens, last_write, last_written_at,
    unfinished,
};
use crate::rate_limiter::{RateLimiter, RateLimiters};
use crate::{Command, Event, Interrupt, Progress, Report, Sink, Timing};

/// How long a record may take: a directory on another machine may hang, and no run waits for ever.
const MAX_RECORD_TIME: Duration = Duration::from_secs(10);

/// The longest pause between two questions to the source.
const MAX_SOURCE_PAUSE: Duration = Duration::from_secs(1);

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
    /// The targets of all sinks of the config that do not take part: no copies to warn of.
    pub other_targets: Vec<TargetId>,
    /// Remembers what happened.
    pub journal: Arc<dyn Journal>,
    /// Shows what is going on.
    pub progress: Arc<dyn Progress>,
    /// Brings Ctrl-C.
    pub interrupt: Interrupt,
}

/// The state of one run.
pub(crate) struct Session {
    pub(crate) context: RunContext,
    pub(crate) timing: Timing,
    pub(crate) run: RunId,
    earlier_runs: Vec<Run>,
    knows_earlier_runs: bool,
    started: OnceCell<()>,
    rate_limiters: RateLimiters,
    redactor: Mutex<Redactor>,
}

impl Session {
    pub(crate) fn new(
        mut context: RunContext,
        timing: Timing,
        earlier_runs: Option<Vec<Run>>,
    ) -> Self {
        context.sinks.sort_by_key(|sink| std::cmp::Reverse(sink.priority));
        let knows_earlier_runs = earlier_runs.is_some();
        let earlier_runs = earlier_runs.unwrap_or_default();
        Self {
            context,
            timing,
            run: RunId::after(&earlier_runs),
            earlier_runs,
            knows_earlier_runs,
            started: OnceCell::new(),
            rate_limiters: RateLimiters::default(),
            redactor: Mutex::default(),
        }
    }

    /// The limiter of the requests to `sink`.
    pub(crate) fn rate_limiter(&self, sink: &Sink) -> Option<Arc<RateLimiter>> {
        self.rate_limiters.get(sink.info.rate_limits.as_ref())
    }

    /// Reports an event to whoever watches.
    pub(crate) fn show(&self, event: &Event<'_>) {
        self.context.progress.on(event);
    }

    /// Runs `work`, which changes nothing, unless Ctrl-C comes first.
    pub(crate) async fn interruptible<T>(&self, work: impl Future<Output = T>) -> Result<T, Abort> {
        tokio::select! {
            biased;
            outcome = work => Ok(outcome),
            () = self.context.interrupt.after(0) => Err(Abort::Interrupted),
        }
    }

    /// Runs `work`, which an interrupt no longer stops, and shows when there is one.
    pub(crate) async fn uninterruptible<T>(&self, work: impl Future<Output = T>) -> T {
        let show = async {
            self.context.interrupt.after(0).await;
            self.show(&Event::Interrupted);
            pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            done = work => done,
            never = show => match never {},
        }
    }

    /// Whether Ctrl-C came.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.context.interrupt.count() > 0
    }

    /// The runs before this one that concern the same QStash, oldest first.
    pub(crate) fn earlier_runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.earlier_runs.iter().filter(|run| run.may_be_of(&self.context.source_id))
    }

    /// The newest write to `target`, if nothing newer may have been written since.
    pub(crate) fn last_write(&self, target: &TargetId) -> Option<LastWrite> {
        last_write(&self.earlier_runs, &self.context.source_id, target)
    }

    /// When `target` last acknowledged a write.
    pub(crate) fn last_written_at(&self, target: &TargetId) -> Option<Timestamp> {
        last_written_at(&self.earlier_runs, target)
    }

    /// The fingerprints of all tokens that earlier runs knew.
    pub(crate) fn known_tokens(&self) -> Vec<Fingerprint> {
        known_tokens(self.earlier_runs())
    }

    /// Whether something that an earlier run sent may still take effect.
    pub(crate) fn is_unsettled(&self) -> bool {
        !self.knows_earlier_runs || is_unsettled(&self.earlier_runs, &self.context.source_id)
    }

    /// The earlier runs that are not finished, oldest first.
    pub(crate) fn unfinished_runs(&self) -> Vec<&Run> {
        if is_planted(Fault::ForgetUnfinished) {
            return Vec::new();
        }
        unfinished(&self.earlier_runs, &self.context.source_id)
    }

    /// Refuses a reset on top of a run that is not finished, or without knowing of one.
    pub(crate) fn ensure_finished(&self) -> Result<(), Abort> {
        if !self.knows_earlier_runs {
            return Err(Abort::NoHistory);
        }
        match self.unfinished_runs().last() {
            Some(run) => Err(Abort::Unfinished(run.unfinished_reason())),
            None => Ok(()),
        }
    }

    /// Opens the run's record, once.
    pub(crate) async fn start(&self, command: Command) -> Result<(), Abort> {
        let issuer = self.context.source_id.clone();
        let entry = Entry::Started { command, issuer, left_out: self.context.left_out.clone() };
        let started = self.started.get_or_try_init(|| self.record(entry)).await;
        started.copied().map_err(Abort::Journal)
    }

    /// Whether the run's record was opened.
    pub(crate) fn is_started(&self) -> bool {
        self.started.initialized()
    }

    /// The names of the required sinks that do not take part, joined.
    pub(crate) fn left_out(&self) -> Option<String> {
        let names = &self.context.left_out;
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// The live token as the source knows it, within a bounded time.
    pub(crate) async fn current(&self) -> Result<Issued, IssuerError> {
        self.with_timeout(self.context.source.current()).await
    }

    /// Whether QStash accepts `token`, within a bounded time.
    pub(crate) async fn accepts(&self, token: &Token) -> Result<bool, IssuerError> {
        self.with_timeout(self.context.source.accepts(token)).await
    }

    async fn with_timeout<T>(
        &self,
        response: impl Future<Output = Result<T, IssuerError>>,
    ) -> Result<T, IssuerError> {
        let most = self.timing.issuer_answer;
        timeout(most, response).await.unwrap_or_else(|_| {
            let message = format!("{} did not respond within {most:?}", self.context.source);
            Err(IssuerError::Transient { message, retry_after: None })
        })
    }

    /// Asks the source again while that may help, for as long as an answer to the reset may take.
    pub(crate) async fn with_issuer_retries<T, F>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, IssuerError>
    where
        F: Future<Output = Result<T, IssuerError>>,
    {
        let until = Instant::now() + self.timing.reset_answer;
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(self.timing.poll)
            .with_max_delay(MAX_SOURCE_PAUSE.max(self.timing.poll))
            .without_max_times()
            .with_jitter()
            .build();
        loop {
            let error = match ask().await {
                Err(error @ IssuerError::Transient { .. }) => error,
                response => return response,
            };
            let IssuerError::Transient { retry_after, .. } = &error else { return Err(error) };
            // A service that names too short a pause, again and again, is not hammered.
            let floor = pauses.next().unwrap_or(MAX_SOURCE_PAUSE);
            let pause = retry_after.unwrap_or_default().max(floor);
            if Instant::now() + pause >= until {
                return Err(error);
            }
            sleep(pause).await;
        }
    }

    /// From now on `token` is removed from every text.
    pub(crate) fn learn(&self, token: &Token) {
        self.redactor.lock().unwrap_or_else(PoisonError::into_inner).learn(token);
    }

    /// `report` as it may leave the process.
    pub(crate) fn publish(&self, report: Report) -> Report {
        let redactor = self.redactor.lock().unwrap_or_else(PoisonError::into_inner);
        let report = report.redacted(|text| redactor.redact(text));
        let (run_id, left_out) = (Some(self.run.to_string()), self.context.left_out.clone());
        Report { run_id, left_out, ..report }
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

    /// Records `entry` where the run ends anyway: without it a later run is more careful, never less.
    pub(crate) async fn record_if_possible(&self, entry: Entry) {
        if let Err(problem) = self.record(entry).await {
            tracing::warn!(problem);
        }
    }

    /// Makes `entry` durable while other work goes on.
    pub(crate) fn record_in_background(&self, entry: Entry) -> JoinHandle<Result<(), String>> {
        let (journal, run) = (Arc::clone(&self.context.journal), self.run.clone());
        tokio::spawn(async move { append(journal.as_ref(), &run, &entry).await })
    }
}

async fn append(journal: &dyn Journal, run: &RunId, entry: &Entry) -> Result<(), String> {
    let appended = match timeout(MAX_RECORD_TIME, journal.append(run, entry)).await {
        Ok(appended) => appended.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the disk did not respond within {MAX_RECORD_TIME:?}")),
    };
    appended.map_err(|why| format!("the journal is not complete: {why}"))
}
