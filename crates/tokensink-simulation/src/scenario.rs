//! A scenario: a few commands with faults and external events.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::panic;
use std::pin::pin;
use std::sync::{Arc, Once};
use std::time::Duration;

use fastrand::Rng;
use tokensink_core::{RateLimit, RateLimits, Token, TokenIssuer};
use tokensink_engine::journal::{Journal, MemoryJournal};
use tokensink_engine::{Interrupt, Interrupter, Report, RunContext, Silent, Sink, SinkOptions};
use tokensink_testkit::{AlwaysSucceeds, Evidence, Scripted, World};
use tokio::time::{Instant, sleep, timeout};

use crate::crash::{InterruptLog, InterruptedProcess, KillPoint, KilledProcess};
use crate::faults::{FaultProfile, MAX_EFFECT_DELAY, RandomFaults, between};
use crate::invariants::{InvariantViolation, Observer, ReportedRun};
use crate::step::{Step, command};
use crate::unreliable_journal::UnreliableJournal;

/// A limit above the duration of any run: a provider may demand pauses of an hour in each phase.
const RUN_TIMEOUT: Duration = Duration::from_secs(48 * 3600);

/// Runs the scenario of `seed` twice and compares the runs.
///
/// # Errors
///
/// A violated invariant, or a difference between the two runs.
pub fn run_twice(seed: u64) -> Result<u64, Box<InvariantViolation>> {
    let (once, again) = (run_scenario(seed)?, run_scenario(seed)?);
    if once == again {
        return Ok(once);
    }
    Err(Scenario::new(seed).observer.violation("two runs of the same seed differ".to_owned()))
}

/// Runs the scenario of `seed`. Returns a digest of all its calls.
///
/// # Errors
///
/// A violated invariant.
pub fn run_scenario(seed: u64) -> Result<u64, Box<InvariantViolation>> {
    keep_scripted_panics_quiet();
    // The backoff's jitter draws from the thread's generator.
    fastrand::seed(seed);
    let mut paused = tokio::runtime::Builder::new_current_thread();
    match paused.enable_time().start_paused(true).build() {
        Ok(runtime) => runtime.block_on(Scenario::new(seed).run()),
        Err(error) => Err(Scenario::new(seed).observer.violation(format!("no runtime: {error}"))),
    }
}

/// The state of a scenario.
struct Scenario {
    rng: Rng,
    world: World,
    sinks: Vec<SinkTraits>,
    journal: Arc<UnreliableJournal>,
    profile: FaultProfile,
    /// Whether there are no interrupts.
    is_uninterrupted: bool,
    observer: Observer,
}

/// The traits of a sink, which are constant during a scenario.
#[derive(Clone)]
struct SinkTraits {
    evidence: Evidence,
    required: bool,
    deadline: Duration,
    quota: Option<RateLimits>,
}

impl Scenario {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let sinks: Vec<SinkTraits> =
            (0..rng.usize(1..5)).map(|_| SinkTraits::drawn(&mut rng)).collect();
        let world = World::new(sinks.len(), AlwaysSucceeds);
        let profile = [
            FaultProfile::NoFaults,
            FaultProfile::KilledReset,
            FaultProfile::AnyFault,
            FaultProfile::AnyFault,
        ][rng.usize(..4)];
        world.set_script(RandomFaults::new(&mut rng, profile, sinks.len()));
        for index in 0..sinks.len() {
            if rng.u8(..6) == 0 {
                let value = rng.bool().then(|| Token::new("another value"));
                world.store_externally(index, value);
            }
        }
        let evidence = sinks.iter().map(|traits| traits.evidence).collect();
        let required = sinks.iter().map(|traits| traits.required).collect();
        let observer = Observer::new(seed, world.clone(), evidence, required);
        let is_uninterrupted = profile == FaultProfile::NoFaults;
        // One out of this many appends fails, or none in most scenarios.
        let forgets =
            if profile == FaultProfile::AnyFault { [0, 0, 0, 4][rng.usize(..4)] } else { 0 };
        let slowest = [Duration::ZERO, SECOND / 2]
            [usize::from(profile == FaultProfile::AnyFault && rng.bool())];
        let journal = Arc::new(UnreliableJournal::new(&mut rng, forgets, slowest));
        Self { rng, world, sinks, journal, profile, is_uninterrupted, observer }
    }

    async fn run(mut self) -> Result<u64, Box<InvariantViolation>> {
        match self.profile {
            FaultProfile::KilledReset => self.kill_reset_and_sync().await?,
            FaultProfile::NoFaults | FaultProfile::AnyFault => {
                for _ in 0..self.rng.usize(1..4) {
                    self.run_command_with_external_events().await?;
                }
            }
        }
        self.world.set_script(AlwaysSucceeds);
        self.is_uninterrupted = true;
        let report = self.run_step(Step::Sync).await?;
        self.observer.check_repaired(report.as_ref())?;
        self.journal_is_clean().await?;
        Ok(self.digest())
    }

    /// Returns a digest of every call, with its time, run, token and response.
    fn digest(&self) -> u64 {
        let calls = self.world.calls();
        let begin = calls.first().map(|called| called.at);
        let mut hasher = DefaultHasher::new();
        for called in &calls {
            let since = begin.map(|begin| called.at - begin);
            format!(
                "{since:?} {:?} {} {:?} {:?}",
                called.call, called.run, called.token, called.response
            )
            .hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Runs one command with external events, and pauses.
    async fn run_command_with_external_events(&mut self) -> Result<(), Box<InvariantViolation>> {
        let step = self.next_step();
        if self.rng.u8(..6) == 0 {
            self.world.reset_externally();
        }
        let external_programs = self.external_programs();
        // Two machines that write the same sink may overwrite each other endlessly, which is not allowed in a
        // scenario without faults.
        let is_shared = self.profile == FaultProfile::AnyFault && self.rng.u8(..8) == 0;
        let machine = if is_shared { self.other_machine() } else { Vec::new() };
        match self.kill_point() {
            Some(kill_point) => self.run_killed(step, kill_point).await?,
            None => drop(self.run_step(step).await?),
        }
        for task in external_programs.into_iter().chain(machine) {
            // A panic there would be a bug of this file.
            let _ = task.await;
        }
        // The next command begins after all requests have taken effect.
        sleep(MAX_EFFECT_DELAY + Duration::from_secs(60)).await;
        self.observer.check_again()
    }

    async fn kill_reset_and_sync(&mut self) -> Result<(), Box<InvariantViolation>> {
        if self.rng.bool() {
            self.world.reset_externally();
        }
        let reset = Step::Reset { rehearsed: false };
        let external_programs = self.external_programs();
        match self.rng.u8(..3) {
            0 => self.run_killed(reset, KillPoint::WhenResetSent).await?,
            1 => {
                let steps = self.rng.u32(1..60);
                self.run_killed(reset, KillPoint::After(steps)).await?;
            }
            _ => drop(self.run_step(reset).await?),
        }
        sleep(between(&mut self.rng, Duration::ZERO, SECOND)).await;
        self.run_step(Step::Sync).await?;
        for task in external_programs {
            let _ = task.await;
        }
        sleep(MAX_EFFECT_DELAY).await;
        self.observer.check_again()
    }

    fn next_step(&mut self) -> Step {
        match self.rng.u8(..10) {
            0..5 => Step::Reset { rehearsed: false },
            5 => Step::Reset { rehearsed: true },
            6..8 => Step::Sync,
            8 => Step::Status,
            _ => Step::Check,
        }
    }

    /// Returns the moment at which a command is killed, if it is.
    fn kill_point(&mut self) -> Option<KillPoint> {
        let is_killed = self.profile == FaultProfile::AnyFault && self.rng.u8(..3) == 0;
        is_killed.then(|| KillPoint::After(self.rng.u32(1..120)))
    }

    async fn run_killed(
        &mut self,
        step: Step,
        kill_point: KillPoint,
    ) -> Result<(), Box<InvariantViolation>> {
        let world = self.world.clone();
        let mut process = pin!(self.run_step(step));
        KilledProcess { inner: process.as_mut(), world, kill_point }
            .await
            .unwrap_or(Ok(None))
            .map(drop)
    }

    async fn run_step(&mut self, step: Step) -> Result<Option<Report>, Box<InvariantViolation>> {
        let run = self.world.begin_run();
        let (interrupter, interrupt) = Interrupter::new();
        let log = InterruptLog::new(interrupter, self.world.clone());
        let steps = (!self.is_uninterrupted && self.rng.u8(..5) == 0).then(|| self.rng.u32(..120));
        let interrupts = self.interrupts_at_random(log.clone());
        let begun = Instant::now();
        let context = self.context(interrupt, Arc::clone(&self.journal) as Arc<_>);
        let command = Box::pin(command(context, self.issuer(), step));
        let interrupted = InterruptedProcess { inner: command, steps, interrupt: log.clone() };
        let report = timeout(RUN_TIMEOUT, interrupted).await;
        interrupts.abort();
        let Ok((report, shown)) = report else {
            return Err(self.observer.violation(format!("{step:?} of run {run} never ended")));
        };
        let (ended, interrupted_at) = (Instant::now(), log.first());
        let reported =
            ReportedRun { run, begun, ended, interrupted_at, shown, report: report.clone() };
        self.observer.reported_runs.push(reported);
        self.observer.check()?;
        if self.profile == FaultProfile::NoFaults {
            self.observer.check_end()?;
        }
        Ok(Some(report))
    }

    fn context(&self, interrupt: Interrupt, journal: Arc<dyn Journal>) -> RunContext {
        let sinks = self.sinks.iter().enumerate();
        RunContext {
            source: Arc::new(self.world.issuer()),
            source_id: "simulated".to_owned(),
            left_out: Vec::new(),
            other_targets: Vec::new(),
            sinks: sinks.map(|(index, traits)| Arc::new(traits.sink(&self.world, index))).collect(),
            journal,
            progress: Arc::new(Silent),
            interrupt,
        }
    }

    fn issuer(&self) -> Arc<dyn TokenIssuer> {
        Arc::new(self.world.issuer())
    }

    /// Sends one or two interrupts in some scenarios.
    fn interrupts_at_random(&mut self, interrupts: InterruptLog) -> tokio::task::JoinHandle<()> {
        let signals =
            if !self.is_uninterrupted && self.rng.u8(..5) == 0 { self.rng.u8(1..3) } else { 0 };
        let early = self
            .observer
            .reported_runs
            .is_empty()
            .then(|| between(&mut self.rng, Duration::ZERO, SECOND * 3));
        let pauses: Vec<Duration> = (0..signals)
            .map(|_| early.unwrap_or_else(|| between(&mut self.rng, Duration::ZERO, SECOND * 20)))
            .collect();
        tokio::spawn(async move {
            for pause in pauses {
                sleep(pause).await;
                interrupts.interrupt();
            }
            // The sender must not be dropped during the run.
            std::future::pending::<()>().await;
        })
    }

    /// Starts programs that reset the token or write to a sink, in some scenarios.
    fn external_programs(&mut self) -> Vec<tokio::task::JoinHandle<()>> {
        let how_many = if self.rng.u8(..3) == 0 { self.rng.usize(1..3) } else { 0 };
        let mut tasks = Vec::new();
        for _ in 0..how_many {
            let pause = between(&mut self.rng, Duration::ZERO, SECOND * 20);
            let sink = self.rng.usize(..self.sinks.len());
            let (resets, world) = (self.rng.bool(), self.world.clone());
            let writes_live = self.rng.bool();
            tasks.push(tokio::spawn(async move {
                sleep(pause).await;
                if resets {
                    world.reset_externally();
                } else {
                    // Another machine may also write the live token.
                    let value =
                        if writes_live { world.live() } else { Token::new("another value") };
                    world.store_externally(sink, Some(value));
                }
            }));
        }
        tasks
    }

    /// Runs `sync` on another machine with its own journal.
    fn other_machine(&mut self) -> Vec<tokio::task::JoinHandle<()>> {
        let run = self.world.begin_run();
        self.observer.foreign_runs.push(run);
        let (interrupter, interrupt) = Interrupter::new();
        let context = self.context(interrupt, Arc::new(MemoryJournal::default()));
        let issuer = self.issuer();
        let pause = between(&mut self.rng, Duration::ZERO, SECOND * 5);
        vec![tokio::spawn(async move {
            sleep(pause).await;
            // The report of the other machine is not checked.
            let _ = timeout(RUN_TIMEOUT, command(context, issuer, Step::Sync)).await;
            drop(interrupter);
        })]
    }

    async fn journal_is_clean(&self) -> Result<(), Box<InvariantViolation>> {
        let inner = format!("{:?}", self.journal.runs().await);
        let shown =
            self.observer.reported_runs.iter().map(|reported| format!("{:?}", reported.report));
        let all: String = shown.chain([inner]).collect();
        if all.contains("test-token") {
            return Err(self.observer.violation("a token was recorded or shown".to_owned()));
        }
        Ok(())
    }
}

const SECOND: Duration = Duration::from_secs(1);

impl SinkTraits {
    fn drawn(rng: &mut Rng) -> Self {
        let evidence = [Evidence::Value, Evidence::Value, Evidence::Receipt, Evidence::Nothing]
            [rng.usize(..4)];
        let quota = (rng.u8(..4) == 0).then(|| {
            let writes = RateLimit { requests: 3, per: Duration::from_secs(60) };
            RateLimits::concurrent("shared", 2).with_writes(writes)
        });
        let deadline = Duration::from_secs([10, 60][rng.usize(..2)]);
        Self { evidence, required: rng.u8(..5) != 0, deadline, quota }
    }

    fn sink(&self, world: &World, index: usize) -> Sink {
        let target = world.sink(index, self.evidence);
        let target = match &self.quota {
            Some(quota) => target.within(quota.clone()),
            None => target,
        };
        let options = SinkOptions {
            required: self.required,
            deadline: self.deadline,
            ..SinkOptions::default()
        };
        Sink::new(format!("sink-{index}"), "memory", options, Box::new(target))
    }
}

fn keep_scripted_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if panic.payload().downcast_ref::<Scripted>().is_none() {
                loud(panic);
            }
        }));
    });
}
