//! A world of test doubles with a journal, for several runs.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokensink_core::{
    Inspection, Preparation, RateLimits, Readiness, Receipt, SinkError, SinkInfo, Survey, TargetId,
    Token, TokenIssuer, TokenSink, TokenWriter, WriteEstimate, async_trait,
};
use tokensink_engine::journal::{Entry, Journal, JournalError, MemoryJournal, RunId, RunRecord};
use tokensink_engine::{
    Command, Coordinator, Interrupt, Interrupter, Report, RunContext, Silent, Sink, SinkOptions,
    Timing,
};
use tokensink_testkit::{Call, Evidence, MemorySink, Script, World};
use tokio::time::sleep;

pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) interrupter: Interrupter,
    interrupt: Interrupt,
    pub(crate) journal: Arc<MemoryJournal>,
    sinks: usize,
    required: bool,
    evidence: Evidence,
    rate_limits: Option<RateLimits>,
    estimate: WriteEstimate,
    warning: Option<String>,
    leaking: bool,
    rising_in_priority: bool,
    timing: Timing,
    disk: Disk,
    left_out: Vec<String>,
    other_targets: Vec<TargetId>,
    shape: Shape,
}

/// Changes the sink with an index.
type Shape = Box<dyn Fn(usize, MemorySink) -> MemorySink + Send + Sync>;

impl Stage {
    pub(crate) fn new(sinks: usize, script: impl Script + 'static) -> Self {
        let (interrupter, interrupt) = Interrupter::new();
        Self {
            world: World::new(sinks, script),
            interrupter,
            interrupt,
            journal: Arc::default(),
            sinks,
            required: true,
            evidence: Evidence::Value,
            rate_limits: None,
            estimate: WriteEstimate::one_request(Duration::ZERO),
            warning: None,
            leaking: false,
            rising_in_priority: false,
            timing: Timing::default(),
            disk: Disk::Works,
            left_out: Vec::new(),
            other_targets: Vec::new(),
            shape: Box::new(|_, sink| sink),
        }
    }

    pub(crate) fn seen_by(self, evidence: Evidence) -> Self {
        Self { evidence, ..self }
    }

    /// Sets a function that changes the sinks.
    pub(crate) fn shaping(
        self,
        shape: impl Fn(usize, MemorySink) -> MemorySink + Send + Sync + 'static,
    ) -> Self {
        Self { shape: Box::new(shape), ..self }
    }

    /// Adds a target that is not part of the run.
    pub(crate) fn beside_target(self, target: TargetId) -> Self {
        Self { other_targets: vec![target], ..self }
    }

    pub(crate) fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    pub(crate) fn within(self, rate_limits: RateLimits) -> Self {
        Self { rate_limits: Some(rate_limits), ..self }
    }

    pub(crate) fn estimating(self, estimate: WriteEstimate) -> Self {
        Self { estimate, ..self }
    }

    /// Gives later sinks a higher priority.
    pub(crate) fn rising_in_priority(self) -> Self {
        Self { rising_in_priority: true, ..self }
    }

    pub(crate) fn allowing(self, max_outage: Duration) -> Self {
        Self { timing: Timing { max_outage: Some(max_outage), ..self.timing }, ..self }
    }

    /// Makes the disk full when writes are recorded.
    pub(crate) fn forgetting_writes(self) -> Self {
        Self { disk: Disk::IsFull, ..self }
    }

    /// Makes recording the intent take this long.
    pub(crate) fn recording_the_intent_for(self, takes: Duration) -> Self {
        Self { disk: Disk::IsSlowWithTheIntent(takes), ..self }
    }

    /// Makes recording writes hang.
    pub(crate) fn with_a_disk_that_hangs_on_writes(self) -> Self {
        Self { disk: Disk::Hangs, ..self }
    }

    /// Leaves out a required sink of this name.
    pub(crate) fn leaving_out(self, name: &str) -> Self {
        Self { left_out: vec![name.to_owned()], ..self }
    }

    /// Includes all sinks again.
    pub(crate) fn leaving_out_none(self) -> Self {
        Self { left_out: Vec::new(), ..self }
    }

    pub(crate) fn warning(self, text: &str) -> Self {
        Self { warning: Some(text.to_owned()), ..self }
    }

    /// Makes the errors of the sinks contain the token.
    pub(crate) fn leaking(self) -> Self {
        Self { leaking: true, ..self }
    }

    pub(crate) async fn coordinator(&self) -> Coordinator {
        Coordinator::new(self.context(), self.timing).await.unwrap()
    }

    pub(crate) fn coordinator_without_history(&self) -> Coordinator {
        Coordinator::without_history(self.context(), self.timing)
    }

    fn context(&self) -> RunContext {
        self.world.begin_run();
        RunContext {
            source: Arc::new(self.world.issuer()),
            source_id: "made-up".to_owned(),
            left_out: self.left_out.clone(),
            other_targets: self.other_targets.clone(),
            sinks: (0..self.sinks).map(|index| Arc::new(self.sink(index))).collect(),
            journal: match self.disk {
                Disk::Works => Arc::clone(&self.journal) as Arc<_>,
                disk => Arc::new(Failing { journal: Arc::clone(&self.journal), disk }),
            },
            progress: Arc::new(Silent),
            interrupt: self.interrupt.clone(),
        }
    }

    fn sink(&self, index: usize) -> Sink {
        let mut place = self.world.sink(index, self.evidence).estimating(self.estimate.clone());
        if let Some(rate_limits) = &self.rate_limits {
            place = place.within(rate_limits.clone());
        }
        if let Some(warning) = &self.warning {
            place = place.warning(warning);
        }
        let place = (self.shape)(index, place);
        let options = SinkOptions {
            required: self.required,
            priority: if self.rising_in_priority { index as i32 } else { 0 },
            ..SinkOptions::default()
        };
        let plugin: Box<dyn TokenSink> =
            if self.leaking { Box::new(Leaking(place)) } else { Box::new(place) };
        Sink::new("sink", "memory", options, plugin)
    }

    /// Returns the issuer for resets.
    pub(crate) fn issuer(&self) -> Arc<dyn TokenIssuer> {
        Arc::new(self.world.issuer())
    }

    pub(crate) async fn reset(&self) -> Report {
        let coordinator = self.coordinator().await;
        match coordinator.plan(Command::Reset).await {
            Ok(plan) => coordinator.reset(plan, self.issuer()).await,
            Err(abort) => coordinator.report_abort(Command::Reset, None, &abort),
        }
    }

    /// Resets, with an external reset this long after the beginning.
    pub(crate) async fn reset_overtaken_after(&self, pause: Duration) -> Report {
        let coordinator = self.coordinator().await;
        let plan = coordinator.plan(Command::Reset).await.unwrap();
        let stranger = async {
            sleep(pause).await;
            self.world.reset_externally();
        };
        tokio::join!(coordinator.reset(plan, self.issuer()), stranger).0
    }

    pub(crate) async fn sync(&self) -> Report {
        let coordinator = self.coordinator().await;
        match coordinator.plan(Command::Sync).await {
            Ok(plan) => coordinator.sync(plan).await,
            Err(abort) => coordinator.report_abort(Command::Sync, None, &abort),
        }
    }

    pub(crate) async fn check(&self) -> Report {
        let coordinator = self.coordinator().await;
        match coordinator.plan(Command::Check).await {
            Ok(plan) => coordinator.check(&plan),
            Err(abort) => coordinator.report_abort(Command::Check, None, &abort),
        }
    }

    pub(crate) async fn status(&self) -> Report {
        let coordinator = self.coordinator().await;
        match coordinator.plan(Command::Status).await {
            Ok(plan) => coordinator.status(&plan),
            Err(abort) => coordinator.report_abort(Command::Status, None, &abort),
        }
    }

    /// Resets after a rehearsal.
    pub(crate) async fn rehearsed_reset(&self) -> Report {
        let coordinator = self.coordinator().await;
        let plan = match coordinator.plan(Command::Reset).await {
            Ok(plan) => plan,
            Err(abort) => return coordinator.report_abort(Command::Reset, None, &abort),
        };
        match coordinator.rehearse(plan).await {
            Ok(plan) => coordinator.reset(plan, self.issuer()).await,
            Err(report) => report,
        }
    }

    pub(crate) async fn interrupted(&self) {
        self.interrupt.interrupted().await;
    }

    /// Returns the entries of the newest run.
    pub(crate) async fn record(&self) -> Vec<Entry> {
        let runs = self.journal.runs().await.unwrap();
        runs.last().unwrap().records.iter().map(|record| record.entry.clone()).collect()
    }

    pub(crate) fn count(&self, call: Call) -> usize {
        self.world.calls().iter().filter(|called| called.call == call).count()
    }
}

/// The behavior of the journal when a write is recorded.
#[derive(Clone, Copy, Debug)]
enum Disk {
    Works,
    IsFull,
    Hangs,
    IsSlowWithTheIntent(Duration),
}

/// A journal that fails to record writes.
#[derive(Debug)]
struct Failing {
    journal: Arc<MemoryJournal>,
    disk: Disk,
}

#[async_trait]
impl Journal for Failing {
    async fn append(&self, run: &RunId, entry: &Entry) -> Result<(), JournalError> {
        match (entry, self.disk) {
            (Entry::Written { .. }, Disk::IsFull) => {
                let (doing, path) = ("write", "journal".to_owned());
                let source = io::ErrorKind::StorageFull.into();
                Err(JournalError::Io { doing, path, source })
            }
            (Entry::Written { .. }, Disk::Hangs) => pending().await,
            (Entry::ResetIntended { .. }, Disk::IsSlowWithTheIntent(takes)) => {
                sleep(takes).await;
                self.journal.append(run, entry).await
            }
            _ => self.journal.append(run, entry).await,
        }
    }

    async fn runs(&self) -> Result<Vec<RunRecord>, JournalError> {
        self.journal.runs().await
    }
}

/// A sink that refuses each write with an error that contains the token.
#[derive(Debug)]
struct Leaking(MemorySink);

#[async_trait]
impl TokenSink for Leaking {
    fn info(&self) -> &SinkInfo {
        self.0.info()
    }

    async fn prepare(&self) -> Result<Preparation, SinkError> {
        let estimate = WriteEstimate::one_request(Duration::ZERO);
        Ok(Preparation::new(Box::new(Self(self.0.clone())), estimate))
    }

    async fn inspect(&self, last: Option<&Receipt>) -> Result<Inspection, SinkError> {
        self.0.inspect(last).await
    }

    async fn survey(&self) -> Result<Survey, SinkError> {
        Ok(Survey::default())
    }
}

#[async_trait]
impl TokenWriter for Leaking {
    async fn prove(&self) -> Result<Readiness, SinkError> {
        Ok(Readiness::Ready)
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        Err(SinkError::rejected(format!("it was {}", token.expose())))
    }
}
