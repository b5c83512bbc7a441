//! One life: a handful of commands, with all that may come between.

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

use crate::chaos::{Chaos, LONGEST_LANDING, Mood, between};
use crate::claims::{Claim, Finding, Witness};
use crate::death::{Death, InterruptLog, Interrupted, Killed};
use crate::forgetful::Forgetful;
use crate::step::{Step, command};

/// Longer than any run may take: a provider may demand pauses of an hour in each phase.
const AGES: Duration = Duration::from_secs(48 * 3600);

/// Lives the life of `seed` twice, and compares the two.
///
/// # Errors
///
/// What the coordinator did or said that it must not, with all that led to it; or that the two lives
/// differ.
pub fn live_twice(seed: u64) -> Result<u64, Box<Finding>> {
    let (once, again) = (live(seed)?, live(seed)?);
    if once == again {
        return Ok(once);
    }
    Err(Life::new(seed).witness.finding("the same seed led to two different lives".to_owned()))
}

/// Lives the life of `seed`. Returns a digest of all calls that were made in it.
///
/// # Errors
///
/// What the coordinator did or said that it must not, with all that led to it.
pub fn live(seed: u64) -> Result<u64, Box<Finding>> {
    keep_scripted_panics_quiet();
    // The backoff's jitter draws from the thread's generator.
    fastrand::seed(seed);
    let mut paused = tokio::runtime::Builder::new_current_thread();
    match paused.enable_time().start_paused(true).build() {
        Ok(runtime) => runtime.block_on(Life::new(seed).lived()),
        Err(error) => Err(Life::new(seed).witness.finding(format!("no runtime: {error}"))),
    }
}

/// What a life is made of.
struct Life {
    rng: Rng,
    world: World,
    sinks: Vec<Traits>,
    journal: Arc<Forgetful>,
    mood: Mood,
    /// Nobody presses Ctrl-C.
    is_patient: bool,
    witness: Witness,
}

/// The traits of one sink that stay for life.
#[derive(Clone)]
struct Traits {
    evidence: Evidence,
    required: bool,
    deadline: Duration,
    quota: Option<RateLimits>,
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let sinks: Vec<Traits> = (0..rng.usize(1..5)).map(|_| Traits::drawn(&mut rng)).collect();
        let world = World::new(sinks.len(), AlwaysSucceeds);
        let mood = [Mood::AlwaysSucceeds, Mood::Hasty, Mood::Rough, Mood::Rough][rng.usize(..4)];
        world.set_script(Chaos::new(&mut rng, mood, sinks.len()));
        for index in 0..sinks.len() {
            if rng.u8(..6) == 0 {
                let value = rng.bool().then(|| Token::new("somebody else's"));
                world.store_externally(index, value);
            }
        }
        let evidence = sinks.iter().map(|traits| traits.evidence).collect();
        let required = sinks.iter().map(|traits| traits.required).collect();
        let witness = Witness::new(seed, world.clone(), evidence, required);
        let is_patient = mood == Mood::AlwaysSucceeds;
        // Out of so many appends one fails; never in most lives.
        let forgets = if mood == Mood::Rough { [0, 0, 0, 4][rng.usize(..4)] } else { 0 };
        let slowest = [Duration::ZERO, SECOND / 2][usize::from(mood == Mood::Rough && rng.bool())];
        let journal = Arc::new(Forgetful::new(&mut rng, forgets, slowest));
        Self { rng, world, sinks, journal, mood, is_patient, witness }
    }

    async fn lived(mut self) -> Result<u64, Box<Finding>> {
        match self.mood {
            Mood::Hasty => self.killed_and_repaired_at_once().await?,
            Mood::AlwaysSucceeds | Mood::Rough => {
                for _ in 0..self.rng.usize(1..4) {
                    self.passes_a_day().await?;
                }
            }
        }
        self.world.set_script(AlwaysSucceeds);
        self.is_patient = true;
        let report = self.carry_out(Step::Sync).await?;
        self.witness.check_repaired(report.as_ref())?;
        self.journal_is_clean().await?;
        Ok(self.digest())
    }

    /// A digest of every call: when it was made, by which run, with which token, and how it ended.
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

    /// One command among others, and a long pause.
    async fn passes_a_day(&mut self) -> Result<(), Box<Finding>> {
        let step = self.next_step();
        if self.rng.u8(..6) == 0 {
            self.world.reset_externally();
        }
        let strangers = self.strangers();
        // Two machines that write one place can keep each other busy: no calm life.
        let is_shared = self.mood == Mood::Rough && self.rng.u8(..8) == 0;
        let machine = if is_shared { self.other_machine() } else { Vec::new() };
        match self.death() {
            Some(death) => self.is_killed(step, death).await?,
            None => drop(self.carry_out(step).await?),
        }
        for task in strangers.into_iter().chain(machine) {
            // A stranger who panics is a mistake of this file, and shows as a missing claim.
            let _ = task.await;
        }
        // A person needs longer to try again than anything sent needs to land.
        sleep(LONGEST_LANDING + Duration::from_secs(60)).await;
        self.witness.check_again()
    }

    async fn killed_and_repaired_at_once(&mut self) -> Result<(), Box<Finding>> {
        if self.rng.bool() {
            self.world.reset_externally();
        }
        let reset = Step::Reset { rehearsed: false };
        let strangers = self.strangers();
        match self.rng.u8(..3) {
            0 => self.is_killed(reset, Death::OnceSent).await?,
            1 => {
                let steps = self.rng.u32(1..60);
                self.is_killed(reset, Death::After(steps)).await?;
            }
            _ => drop(self.carry_out(reset).await?),
        }
        sleep(between(&mut self.rng, Duration::ZERO, SECOND)).await;
        self.carry_out(Step::Sync).await?;
        for task in strangers {
            let _ = task.await;
        }
        sleep(LONGEST_LANDING).await;
        self.witness.check_again()
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

    /// When a command is killed, if it is.
    fn death(&mut self) -> Option<Death> {
        let is_doomed = self.mood == Mood::Rough && self.rng.u8(..3) == 0;
        is_doomed.then(|| Death::After(self.rng.u32(1..120)))
    }

    async fn is_killed(&mut self, step: Step, death: Death) -> Result<(), Box<Finding>> {
        let world = self.world.clone();
        let mut doomed = pin!(self.carry_out(step));
        Killed { inner: doomed.as_mut(), world, death }.await.unwrap_or(Ok(None)).map(drop)
    }

    async fn carry_out(&mut self, step: Step) -> Result<Option<Report>, Box<Finding>> {
        let run = self.world.begin_run();
        let (interrupter, interrupt) = Interrupter::new();
        let log = InterruptLog::new(interrupter, self.world.clone());
        let steps = (!self.is_patient && self.rng.u8(..5) == 0).then(|| self.rng.u32(..120));
        let hands = self.impatience(log.clone());
        let begun = Instant::now();
        let context = self.context(interrupt, Arc::clone(&self.journal) as Arc<_>);
        let command = Box::pin(command(context, self.issuer(), step));
        let interrupted = Interrupted { inner: command, steps, interrupt: log.clone() };
        let report = timeout(AGES, interrupted).await;
        hands.abort();
        let Ok((report, shown)) = report else {
            return Err(self.witness.finding(format!("{step:?} of run {run} never ended")));
        };
        let (ended, interrupted_at) = (Instant::now(), log.first());
        let claim = Claim { run, begun, ended, interrupted_at, shown, report: report.clone() };
        self.witness.claims.push(claim);
        self.witness.check()?;
        if self.mood == Mood::AlwaysSucceeds {
            self.witness.check_end()?;
        }
        Ok(Some(report))
    }

    fn context(&self, interrupt: Interrupt, journal: Arc<dyn Journal>) -> RunContext {
        let sinks = self.sinks.iter().enumerate();
        RunContext {
            source: Arc::new(self.world.issuer()),
            source_id: "made-up".to_owned(),
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

    /// Ctrl-C, once or twice, in some lives.
    fn impatience(&mut self, interrupts: InterruptLog) -> tokio::task::JoinHandle<()> {
        let signals = if !self.is_patient && self.rng.u8(..5) == 0 { self.rng.u8(1..3) } else { 0 };
        let calm = self
            .witness
            .claims
            .is_empty()
            .then(|| between(&mut self.rng, Duration::ZERO, SECOND * 3));
        let pauses: Vec<Duration> = (0..signals)
            .map(|_| calm.unwrap_or_else(|| between(&mut self.rng, Duration::ZERO, SECOND * 20)))
            .collect();
        tokio::spawn(async move {
            for pause in pauses {
                sleep(pause).await;
                interrupts.interrupt();
            }
            // As long as the process lives, so does its ear for signals.
            std::future::pending::<()>().await;
        })
    }

    /// Others who reset the token or write to a sink, in some lives.
    fn strangers(&mut self) -> Vec<tokio::task::JoinHandle<()>> {
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
                    // Another machine may write the live token as well.
                    let value =
                        if writes_live { world.live() } else { Token::new("somebody else's") };
                    world.store_externally(sink, Some(value));
                }
            }));
        }
        tasks
    }

    /// A colleague who runs `sync` on another machine, with a journal of its own.
    fn other_machine(&mut self) -> Vec<tokio::task::JoinHandle<()>> {
        let run = self.world.begin_run();
        self.witness.strangers_runs.push(run);
        let (interrupter, interrupt) = Interrupter::new();
        let context = self.context(interrupt, Arc::new(MemoryJournal::default()));
        let issuer = self.issuer();
        let pause = between(&mut self.rng, Duration::ZERO, SECOND * 5);
        vec![tokio::spawn(async move {
            sleep(pause).await;
            // What it reports is its own affair: of this life it is a stranger.
            let _ = timeout(AGES, command(context, issuer, Step::Sync)).await;
            drop(interrupter);
        })]
    }

    async fn journal_is_clean(&self) -> Result<(), Box<Finding>> {
        let kept = format!("{:?}", self.journal.runs().await);
        let shown = self.witness.claims.iter().map(|claim| format!("{:?}", claim.report));
        let all: String = shown.chain([kept]).collect();
        if all.contains("test-token") {
            return Err(self.witness.finding("a token was kept or shown".to_owned()));
        }
        Ok(())
    }
}

const SECOND: Duration = Duration::from_secs(1);

impl Traits {
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
