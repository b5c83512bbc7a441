//! The state that all steps of a run share: its context, the journal, the rate limiters, and the tokens to
//! redact.

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
    Entry, Journal, LastWrite, RunId, RunRecord, has_unacknowledged_requests, known_tokens,
    last_write, last_written_at, unfinished,
};
use crate::rate_limiter::{RateLimiter, RateLimiters};
use crate::{Command, Event, Interrupt, Progress, Report, Sink, Timing};

/// The time limit of writing a record, because a directory on another machine may hang.
const MAX_RECORD_TIME: Duration = Duration::from_secs(10);

/// The maximum pause between two requests to the source.
const MAX_SOURCE_PAUSE: Duration = Duration::from_secs(1);

/// The inputs of a run.
#[derive(Clone, Debug)]
pub struct RunContext {
    /// The source of the live token.
    pub source: Arc<dyn TokenSource>,
    /// The source's id of the QStash, which is the key in the journal.
    pub source_id: String,
    /// The sinks of the run.
    pub sinks: Vec<Arc<Sink>>,
    /// The names of the required sinks that are not part of the run.
    pub left_out: Vec<String>,
    /// The targets of all sinks that are not part of the run. A survey does not warn of copies there.
    pub other_targets: Vec<TargetId>,
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// The observer of the progress.
    pub progress: Arc<dyn Progress>,
    /// The receiver of interrupts.
    pub interrupt: Interrupt,
}

/// The state of one run.
pub(crate) struct Session {
    pub(crate) context: RunContext,
    pub(crate) timing: Timing,
    pub(crate) run: RunId,
    earlier_runs: Vec<RunRecord>,
    knows_earlier_runs: bool,
    started: OnceCell<()>,
    rate_limiters: RateLimiters,
    redactor: Mutex<Redactor>,
}

impl Session {
    pub(crate) fn new(
        mut context: RunContext,
        timing: Timing,
        earlier_runs: Option<Vec<RunRecord>>,
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

    /// Returns the rate limiter for requests to `sink`.
    pub(crate) fn rate_limiter(&self, sink: &Sink) -> Option<Arc<RateLimiter>> {
        self.rate_limiters.get(sink.info.rate_limits.as_ref())
    }

    /// Reports an event to the observer.
    pub(crate) fn show(&self, event: &Event<'_>) {
        self.context.progress.on(event);
    }

    /// Runs `work`, which changes nothing, until the first interrupt.
    pub(crate) async fn interruptible<T>(&self, work: impl Future<Output = T>) -> Result<T, Abort> {
        tokio::select! {
            biased;
            outcome = work => Ok(outcome),
            () = self.context.interrupt.after(0) => Err(Abort::Interrupted),
        }
    }

    /// Runs `work`, which an interrupt does not stop, and reports the first interrupt.
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

    /// Returns whether there was an interrupt.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.context.interrupt.count() > 0
    }

    /// Returns the earlier runs of the same QStash, oldest first.
    pub(crate) fn earlier_runs(&self) -> impl DoubleEndedIterator<Item = &RunRecord> {
        self.earlier_runs.iter().filter(|run| run.may_be_of(&self.context.source_id))
    }

    /// Returns the newest write to `target`, if there may not be a newer one.
    pub(crate) fn last_write(&self, target: &TargetId) -> Option<LastWrite> {
        last_write(&self.earlier_runs, &self.context.source_id, target)
    }

    /// Returns the time of the last acknowledged write to `target`.
    pub(crate) fn last_written_at(&self, target: &TargetId) -> Option<Timestamp> {
        last_written_at(&self.earlier_runs, target)
    }

    /// Returns the fingerprints of all tokens of earlier runs.
    pub(crate) fn known_tokens(&self) -> Vec<Fingerprint> {
        known_tokens(self.earlier_runs())
    }

    /// Returns whether a request of an earlier run may still take effect.
    pub(crate) fn has_unacknowledged_requests(&self) -> bool {
        !self.knows_earlier_runs
            || has_unacknowledged_requests(&self.earlier_runs, &self.context.source_id)
    }

    /// Returns the unfinished earlier runs, oldest first.
    pub(crate) fn unfinished_runs(&self) -> Vec<&RunRecord> {
        if is_planted(Fault::ForgetUnfinished) {
            return Vec::new();
        }
        unfinished(&self.earlier_runs, &self.context.source_id)
    }

    /// Checks that the earlier runs are known and that none is unfinished.
    pub(crate) fn ensure_finished(&self) -> Result<(), Abort> {
        if !self.knows_earlier_runs {
            return Err(Abort::NoHistory);
        }
        match self.unfinished_runs().last() {
            Some(run) => Err(Abort::Unfinished(run.unfinished_reason())),
            None => Ok(()),
        }
    }

    /// Begins the run's record, if it was not begun.
    pub(crate) async fn start(&self, command: Command) -> Result<(), Abort> {
        let issuer = self.context.source_id.clone();
        let entry = Entry::Started { command, issuer, left_out: self.context.left_out.clone() };
        let started = self.started.get_or_try_init(|| self.record(entry)).await;
        started.copied().map_err(Abort::Journal)
    }

    /// Returns whether the run's record was begun.
    pub(crate) fn is_started(&self) -> bool {
        self.started.initialized()
    }

    /// Returns the joined names of the required sinks that are not part of the run.
    pub(crate) fn left_out(&self) -> Option<String> {
        let names = &self.context.left_out;
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// Reads the live token from the source, with a time limit.
    pub(crate) async fn current(&self) -> Result<Issued, IssuerError> {
        self.with_timeout(self.context.source.current()).await
    }

    /// Returns whether QStash accepts `token`, with a time limit.
    pub(crate) async fn accepts(&self, token: &Token) -> Result<bool, IssuerError> {
        self.with_timeout(self.context.source.accepts(token)).await
    }

    async fn with_timeout<T>(
        &self,
        response: impl Future<Output = Result<T, IssuerError>>,
    ) -> Result<T, IssuerError> {
        let limit = self.timing.issuer_answer;
        timeout(limit, response).await.unwrap_or_else(|_| {
            let message = format!("{} did not respond within {limit:?}", self.context.source);
            Err(IssuerError::Transient { message, retry_after: None })
        })
    }

    /// Repeats a request to the source after transient errors, for at most the time limit of a reset.
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
            // At least the backoff, in case the service repeatedly requests too short a pause.
            let floor = pauses.next().unwrap_or(MAX_SOURCE_PAUSE);
            let pause = retry_after.unwrap_or_default().max(floor);
            if Instant::now() + pause >= until {
                return Err(error);
            }
            sleep(pause).await;
        }
    }

    /// Adds `token` to the tokens that are removed from every text.
    pub(crate) fn learn(&self, token: &Token) {
        self.redactor.lock().unwrap_or_else(PoisonError::into_inner).learn(token);
    }

    /// Completes and redacts `report` for the caller.
    pub(crate) fn publish(&self, report: Report) -> Report {
        let redactor = self.redactor.lock().unwrap_or_else(PoisonError::into_inner);
        let report = report.redacted(|text| redactor.redact(text));
        let (run_id, left_out) = (Some(self.run.to_string()), self.context.left_out.clone());
        Report { run_id, left_out, ..report }
    }

    /// Records `entry` and returns when it is durable.
    pub(crate) async fn record(&self, entry: Entry) -> Result<(), String> {
        append(self.context.journal.as_ref(), &self.run, &entry).await
    }

    /// Records `entry`, if there is one.
    pub(crate) async fn record_if(&self, entry: Option<Entry>) -> Result<(), String> {
        match entry {
            Some(entry) => self.record(entry).await,
            None => Ok(()),
        }
    }

    /// Records `entry` and only logs an error. For the end of a run: without the entry, a later run is more
    /// careful.
    pub(crate) async fn record_if_possible(&self, entry: Entry) {
        if let Err(problem) = self.record(entry).await {
            tracing::warn!(problem);
        }
    }

    /// Records `entry` in a background task.
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
