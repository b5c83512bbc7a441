//! A world of doubles with its journal, in which runs follow each other.

use std::fmt;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokensink_core::{
    Holds, PreparedSink, RateLimits, Readiness, Receipt, SinkError, TakesEffect, TargetId, Token,
    TokenSink, WriteEstimate, async_trait,
};
use tokensink_engine::journal::{Entry, Journal, JournalError, MemoryJournal, Run, RunId};
use tokensink_engine::{
    Command, Coordinator, Interrupt, Interrupter, Parties, Report, Silent, Sink, Timing,
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
    quota: Option<RateLimits>,
    cost: WriteEstimate,
    warning: Option<String>,
    telling: bool,
    rising_in_priority: bool,
    timing: Timing,
    disk: Disk,
    left_out: Vec<String>,
}

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
            quota: None,
            cost: WriteEstimate { round_trip: Duration::ZERO, requests: 1, shared_place: None },
            warning: None,
            telling: false,
            rising_in_priority: false,
            timing: Timing::default(),
            disk: Disk::Works,
            left_out: Vec::new(),
        }
    }

    pub(crate) fn seen_by(self, evidence: Evidence) -> Self {
        Self { evidence, ..self }
    }

    pub(crate) fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    pub(crate) fn within(self, quota: RateLimits) -> Self {
        Self { quota: Some(quota), ..self }
    }

    pub(crate) fn costing(self, cost: WriteEstimate) -> Self {
        Self { cost, ..self }
    }

    /// The later a sink, the more important.
    pub(crate) fn rising_in_priority(self) -> Self {
        Self { rising_in_priority: true, ..self }
    }

    pub(crate) fn allowing(self, max_outage: Duration) -> Self {
        Self { timing: Timing { max_outage: Some(max_outage), ..self.timing }, ..self }
    }

    /// With a disk that is full when writes are to be recorded.
    pub(crate) fn forgetting_writes(self) -> Self {
        Self { disk: Disk::IsFull, ..self }
    }

    /// With a folder that gives no answer when writes are to be recorded.
    pub(crate) fn with_a_disk_that_hangs_on_writes(self) -> Self {
        Self { disk: Disk::Hangs, ..self }
    }

    /// Without a required sink of this name, from now on.
    pub(crate) fn leaving_out(self, name: &str) -> Self {
        Self { left_out: vec![name.to_owned()], ..self }
    }

    /// With all sinks again.
    pub(crate) fn leaving_out_none(self) -> Self {
        Self { left_out: Vec::new(), ..self }
    }

    pub(crate) fn warning(self, text: &str) -> Self {
        Self { warning: Some(text.to_owned()), ..self }
    }

    /// With sinks whose errors tell the token.
    pub(crate) fn telling(self) -> Self {
        Self { telling: true, ..self }
    }

    pub(crate) async fn coordinator(&self) -> Coordinator {
        Coordinator::new(self.parties(), self.timing).await.unwrap()
    }

    pub(crate) fn coordinator_without_history(&self) -> Coordinator {
        Coordinator::without_history(self.parties(), self.timing)
    }

    fn parties(&self) -> Parties {
        self.world.begin_run();
        Parties {
            issuer: Arc::new(self.world.issuer()),
            issuer_id: "made-up".to_owned(),
            left_out: self.left_out.clone(),
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
        let mut place = self.world.sink(index, self.evidence).costing(self.cost.clone());
        if let Some(quota) = &self.quota {
            place = place.within(quota.clone());
        }
        if let Some(warning) = &self.warning {
            place = place.warning(warning);
        }
        Sink {
            name: "sink".to_owned(),
            kind: "memory".to_owned(),
            required: self.required,
            priority: if self.rising_in_priority { index as i32 } else { 0 },
            deadline: Duration::from_secs(60),
            takes_effect: None,
            target: if self.telling { Box::new(Telling(place)) } else { Box::new(place) },
        }
    }

    pub(crate) async fn reset(&self) -> Report {
        let coordinator = self.coordinator().await;
        match coordinator.plan(Command::Reset).await {
            Ok(plan) => coordinator.reset(plan).await,
            Err(report) => report,
        }
    }

    /// A reset, while somebody else resets this long after its beginning.
    pub(crate) async fn reset_overtaken_after(&self, pause: Duration) -> Report {
        let coordinator = self.coordinator().await;
        let plan = coordinator.plan(Command::Reset).await.unwrap();
        let stranger = async {
            sleep(pause).await;
            self.world.reset_externally();
        };
        tokio::join!(coordinator.reset(plan), stranger).0
    }

    pub(crate) async fn sync(&self) -> Report {
        let coordinator = self.coordinator().await;
        match coordinator.plan(Command::Sync).await {
            Ok(plan) => coordinator.sync(plan).await,
            Err(report) => report,
        }
    }

    pub(crate) async fn check(&self) -> Report {
        let coordinator = self.coordinator().await;
        match coordinator.plan(Command::Check).await {
            Ok(plan) => coordinator.check(&plan),
            Err(report) => report,
        }
    }

    pub(crate) async fn status(&self) -> Report {
        let coordinator = self.coordinator().await;
        match coordinator.plan(Command::Status).await {
            Ok(plan) => coordinator.status(&plan),
            Err(report) => report,
        }
    }

    pub(crate) async fn interrupted(&self) {
        self.interrupt.interrupted().await;
    }

    /// What the newest run has recorded.
    pub(crate) async fn record(&self) -> Vec<Entry> {
        let runs = self.journal.runs().await.unwrap();
        runs.last().unwrap().records.iter().map(|record| record.entry.clone()).collect()
    }

    pub(crate) fn count(&self, call: Call) -> usize {
        self.world.calls().iter().filter(|called| called.call == call).count()
    }
}

/// What becomes of the record of a write.
#[derive(Clone, Copy, Debug)]
enum Disk {
    Works,
    IsFull,
    Hangs,
}

/// Keeps no record of writes.
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
            _ => self.journal.append(run, entry).await,
        }
    }

    async fn runs(&self) -> Result<Vec<Run>, JournalError> {
        self.journal.runs().await
    }
}

/// Refuses each write, and tells the token with it.
#[derive(Debug)]
struct Telling(MemorySink);

impl fmt::Display for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl TokenSink for Telling {
    fn target(&self) -> TargetId {
        self.0.target()
    }

    fn takes_effect(&self) -> TakesEffect {
        self.0.takes_effect()
    }

    fn quota(&self) -> Option<RateLimits> {
        None
    }

    async fn prepare(&self) -> Result<Box<dyn PreparedSink>, SinkError> {
        Ok(Box::new(Self(self.0.clone())))
    }

    async fn inspect(&self, token: &Token, last: Option<&Receipt>) -> Result<Holds, SinkError> {
        self.0.inspect(token, last).await
    }
}

#[async_trait]
impl PreparedSink for Telling {
    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    fn cost(&self) -> WriteEstimate {
        WriteEstimate { round_trip: Duration::ZERO, requests: 1, shared_place: None }
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        Err(SinkError::rejected(format!("it was {}", token.expose())))
    }
}
