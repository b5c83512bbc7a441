//! What a report claims, held against what really happened.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokensink_core::{Fingerprint, Token};
use tokensink_engine::{Command, Outcome, Report, SinkReport, State};
use tokensink_testkit::{Author, Call, Change, Ending, Evidence, RecordedCall, World};
use tokio::time::Instant;

use crate::chaos::LONGEST_LAG;

/// Paused time has a grain.
const INSTANT: Duration = Duration::from_millis(1);

/// No attempt that takes less is given up.
const QUICK: Duration = Duration::from_secs(1);

/// What was reported, of which run, and when.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) run: u32,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    /// How many calls had been made when the first interrupt came.
    pub(crate) interrupted_at: Option<usize>,
    /// The token that the person saw who said yes.
    pub(crate) shown: Option<Fingerprint>,
    pub(crate) report: Report,
}

/// Something that must never happen, and the life in which it did.
#[derive(Debug)]
pub struct Finding {
    /// Replays the life.
    pub seed: u64,
    /// What happened.
    pub what: String,
    story: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}\n{}", self.seed, self.what, self.story)
    }
}

/// Sees the whole life, from outside.
#[derive(Debug)]
pub(crate) struct Witness {
    pub(crate) seed: u64,
    pub(crate) world: World,
    /// What can be told of each sink.
    pub(crate) evidence: Vec<Evidence>,
    /// Whether a run may be complete without it.
    pub(crate) required: Vec<bool>,
    /// Runs on somebody else's machine.
    pub(crate) strangers_runs: Vec<u32>,
    /// Everything that was reported.
    pub(crate) claims: Vec<Claim>,
}

type Verdict = Result<(), Box<Finding>>;

impl Witness {
    pub(crate) fn new(
        seed: u64,
        world: World,
        evidence: Vec<Evidence>,
        required: Vec<bool>,
    ) -> Self {
        Self { seed, world, evidence, required, strangers_runs: Vec::new(), claims: Vec::new() }
    }

    /// Holds the newest report against the world as it is now.
    pub(crate) fn check(&self) -> Verdict {
        let newest = self.claims.last();
        let found = newest.and_then(|claim| {
            wrote_a_dead_token(&self.world, claim)
                .or_else(|| self.rash_reset(claim))
                .or_else(|| reset_after_an_interrupt(&self.world, claim))
                .or_else(|| wrote_before_consent(&self.world, claim))
                .or_else(|| self.rehearsed_over_another_value(claim))
                .or_else(|| self.forgot_an_unfinished_reset(claim))
                .or_else(|| self.wrote_again_for_nothing(claim))
        });
        self.refuse(found.or_else(|| self.wrong_claim()))
    }

    /// Once everything that was under way has landed, what was claimed must still be true.
    pub(crate) fn check_again(&self) -> Verdict {
        self.refuse(self.wrong_claim())
    }

    /// Where nothing went wrong, nothing may be left undone.
    pub(crate) fn check_end(&self) -> Verdict {
        let undone = |claim: &&Claim| {
            matches!(claim.report.outcome, Outcome::Partial | Outcome::Unknown | Outcome::Invalid)
        };
        let undone = self.claims.last().filter(undone).map(|claim| claim.report.outcome);
        self.refuse(undone.map(|outcome| format!("nothing went wrong, and it ended {outcome:?}")))
    }

    /// After one quiet `sync`, every sink holds the live token.
    pub(crate) fn check_repaired(&self, report: Option<&Report>) -> Verdict {
        let live = Some(self.world.live());
        let stale = (0..self.evidence.len()).find(|sink| self.world.held(*sink) != live);
        self.refuse(match report.map(|report| report.outcome) {
            Some(Outcome::Complete) => stale.map(|sink| format!("sink {sink} was not repaired")),
            other => Some(format!("a quiet sync ended with {other:?}")),
        })
    }

    /// What happened, with everything that led to it.
    pub(crate) fn finding(&self, what: String) -> Box<Finding> {
        Box::new(Finding { seed: self.seed, what, story: self.story() })
    }

    fn refuse(&self, found: Option<String>) -> Verdict {
        found.map_or(Ok(()), |what| Err(self.finding(what)))
    }

    /// A reset leaves only after every required sink was prepared, and on top of the token that
    /// was shown to the person who said yes.
    fn rash_reset(&self, claim: &Claim) -> Option<String> {
        let calls = self.world.calls();
        let ours = |called: &&RecordedCall| called.run == claim.run;
        let reset = calls.iter().filter(ours).find(|called| called.call == Call::Reset)?;
        let answered = |called: &&RecordedCall| {
            called.at + called.response.takes <= reset.at
                && matches!(
                    called.response.ending,
                    Ending::Succeeded | Ending::SucceededWithStaleValue(_)
                )
        };
        let unprepared =
            (0..self.required.len()).filter(|sink| self.required[*sink]).find(|sink| {
                let prepare = |called: &&RecordedCall| called.call == Call::Prepare(*sink);
                !calls.iter().filter(ours).filter(answered).any(|called| prepare(&called))
            });
        if let Some(sink) = unprepared {
            return Some(format!("the reset left before sink {sink} was prepared"));
        }
        let unproven = (0..self.required.len()).filter(|sink| self.required[*sink]).find(|sink| {
            let proof = |called: &&RecordedCall| {
                called.call == Call::Prove(*sink) || called.call == Call::Write(*sink)
            };
            !calls.iter().filter(ours).filter(answered).any(|called| proof(&called))
        });
        if let Some(sink) = unproven {
            return Some(format!("the reset was sent before sink {sink} was proven"));
        }
        let current = |called: &&RecordedCall| called.call == Call::Current;
        let read = calls.iter().rev().filter(ours).filter(answered).find(current)?;
        let lag = match read.response.ending {
            Ending::SucceededWithStaleValue(lag) => lag,
            _ => Duration::ZERO,
        };
        let resets = self.world.resets();
        let seen_at = read.at + read.response.takes / 2 - lag;
        let before = claim.shown.as_ref()?;
        let seen = held_within(&resets, before, seen_at - INSTANT, seen_at + INSTANT);
        (!seen).then(|| "it reset on top of somebody else's reset".to_owned())
    }

    fn wrong_claim(&self) -> Option<String> {
        let claim = self.claims.last()?;
        too_many_resets(&self.world)
            .or_else(|| self.wrong_token(claim))
            .or_else(|| wrong_outcome(&self.world, claim))
            .or_else(|| {
                let mut sinks = claim.report.sinks.iter().enumerate();
                sinks.find_map(|(index, sink)| self.wrong_sink(claim, index, sink))
            })
    }

    /// The token that the report names was live, at a moment at which the run could see it; and still
    /// is, if nobody else reset it.
    fn wrong_token(&self, claim: &Claim) -> Option<String> {
        if claim.report.outcome == Outcome::Unknown {
            return None;
        }
        let after = claim.report.token.after.as_ref()?;
        let resets = self.world.resets();
        let foreign = self.others_since(&resets, claim);
        if !foreign {
            let live = self.world.live().fingerprint();
            return (live != *after).then(|| format!("{after} is said to be live, but {live} is"));
        }
        let seen_from = last_answered(&self.world, claim, Call::Current).unwrap_or(claim.begun);
        let was_live = held_within(&resets, after, seen_from - LONGEST_LAG, claim.ended);
        (!was_live)
            .then(|| format!("{after} is said to be live, but was not when it was last read"))
    }

    /// Whether anybody else changed it since the run began.
    fn others_since(&self, history: &[Change], claim: &Claim) -> bool {
        let is_foreign = |change: &Change| match change.by {
            Author::Initial => false,
            Author::External => true,
            // What an earlier run of ours left under way is ours; a later run is another story.
            Author::Run(run) => run > claim.run || self.strangers_runs.contains(&run),
        };
        let since = claim.begun - LONGEST_LAG;
        history.iter().any(|change| change.at >= since && is_foreign(change))
    }

    fn wrong_sink(&self, claim: &Claim, index: usize, sink: &SinkReport) -> Option<String> {
        let after = claim.report.token.after.as_ref()?;
        let history = self.world.history(index);
        let looked = last_answered(&self.world, claim, Call::Inspect(index));
        let from = looked.unwrap_or(claim.begun) - LONGEST_LAG;
        let unreadable = self.evidence[index] == Evidence::Nothing;
        let is_wrong = match sink.state {
            // What cannot be read is current by our own write, whoever came after: even a write of
            // a run that was killed, where somebody else's reset made its token a dead one.
            State::Current
                if unreadable
                    && (self.a_stranger_reset() || self.others_since(&history, claim)) =>
            {
                let ours = |change: &&Change| change.by == Author::Run(claim.run);
                !history.iter().rev().find(ours).is_some_and(|change| is_of(change, after))
            }
            State::Current if !self.others_since(&history, claim) => !holds_now(&history, after),
            State::Current => !held_within(&history, after, from, claim.ended),
            State::Stale => holds_throughout(&history, after, from, claim.ended),
            State::Unknown => false,
        };
        is_wrong.then(|| format!("{} is said to be {:?}, and is not", sink.name, sink.state))
    }

    /// A rehearsal leaves alone what is known to be another value.
    fn rehearsed_over_another_value(&self, claim: &Claim) -> Option<String> {
        let shown =
            claim.shown.as_ref().filter(|_| claim.report.command == Some(Command::Reset))?;
        let mut calls = self.world.calls().into_iter().filter(|called| called.run == claim.run);
        calls.find_map(|called| {
            let Call::Write(sink) = called.call else { return None };
            let is_rehearsal = called.token.as_ref()?.fingerprint() == *shown;
            let history = self.world.history(sink);
            let was_other = held_between(&history, claim.begun - LONGEST_LAG, called.at)
                .all(|change| change.value.is_some() && !is_of(change, shown));
            (is_rehearsal && was_other && self.evidence[sink] == Evidence::Value)
                .then(|| format!("the rehearsal overwrote another value in sink {sink}"))
        })
    }

    /// A reset that was killed stays unfinished until a run is complete.
    fn forgot_an_unfinished_reset(&self, claim: &Claim) -> Option<String> {
        let calls = self.world.calls();
        let reported = |run: u32| self.claims.iter().find(|claim| claim.run == run);
        let is_settled = |since: u32| {
            let complete = |claim: &Claim| {
                claim.report.outcome == Outcome::Complete
                    && matches!(claim.report.command, Some(Command::Reset | Command::Sync))
            };
            self.claims
                .iter()
                .any(|other| other.run > since && other.run < claim.run && complete(other))
        };
        let unfinished = calls.iter().find(|called| {
            called.call == Call::Reset
                && called.run < claim.run
                && reported(called.run).is_none()
                && !is_settled(called.run)
        })?;
        let has_reset =
            calls.iter().any(|called| called.run == claim.run && called.call == Call::Reset);
        let is_status = claim.report.command == Some(Command::Status);
        let forgot = has_reset || (is_status && claim.report.exit_code == 0);
        forgot.then(|| format!("run {} did not finish, and was forgotten", unfinished.run))
    }

    /// One acknowledged write of a token is enough, unless somebody else wrote after it.
    fn wrote_again_for_nothing(&self, claim: &Claim) -> Option<String> {
        let after = claim.report.token.after.as_ref()?;
        let calls = self.world.calls();
        (0..self.evidence.len()).find_map(|index| {
            let history = self.world.history(index);
            let is_disturbed = self.others_since(&history, claim)
                || calls.iter().any(|called| {
                    let is_write = called.call == Call::Write(index);
                    let is_inspect = called.call == Call::Inspect(index);
                    let is_well = matches!(
                        called.response.ending,
                        Ending::Succeeded | Ending::SucceededWithStaleValue(_)
                    );
                    (is_write || is_inspect) && !(is_well && called.response.takes < QUICK)
                });
            let is_ours = |called: &&RecordedCall| {
                called.run == claim.run
                    && called.call == Call::Write(index)
                    && called.token.as_ref().is_some_and(|token| token.fingerprint() == *after)
            };
            let writes = calls.iter().filter(is_ours).count();
            let is_rehearsal = claim.report.token.before.as_ref() == Some(after);
            (!is_disturbed && !is_rehearsal && writes > 1)
                .then(|| format!("sink {index} was written {writes} times for nothing"))
        })
    }

    fn a_stranger_reset(&self) -> bool {
        self.world.resets().iter().any(|change| change.by == Author::External)
    }

    fn story(&self) -> String {
        let resets = self.world.resets();
        let Some(begin) = resets.first().map(|change| change.at) else { return String::new() };
        let mut lines: Vec<(Instant, String)> = Vec::new();
        let mut changed = |what: String, change: &Change| {
            let held = name(change.value.as_ref());
            lines.push((change.at, format!("{what}: {held} by {:?}", change.by)));
        };
        resets.iter().for_each(|change| changed("live".to_owned(), change));
        for sink in 0..self.evidence.len() {
            let history = self.world.history(sink);
            history.iter().for_each(|change| changed(format!("sink {sink}"), change));
        }
        for RecordedCall { at, call, run, token, response } in self.world.calls() {
            let with = token.as_ref().map(|token| name(Some(token))).unwrap_or_default();
            lines.push((at, format!("run {run}: {call:?} {with} -> {response:?}")));
        }
        for claim in &self.claims {
            let report = serde_json::to_string(&claim.report).unwrap_or_default();
            lines.push((claim.ended, format!("run {} reports {report}", claim.run)));
        }
        lines.sort_by_key(|(at, _)| *at);
        let shown = lines
            .iter()
            .map(|(at, line)| format!("{:>10.3}s {line}\n", (*at - begin).as_secs_f64()));
        shown.collect()
    }
}

fn name(token: Option<&Token>) -> String {
    token.map_or_else(|| "nothing".to_owned(), |token| token.fingerprint().to_string())
}

/// After an interrupt no reset is sent.
fn reset_after_an_interrupt(world: &World, claim: &Claim) -> Option<String> {
    let interrupted_at = claim.interrupted_at?;
    let calls = world.calls();
    let mut later = calls.iter().skip(interrupted_at);
    later
        .any(|called| called.run == claim.run && called.call == Call::Reset)
        .then(|| "a reset was sent after an interrupt".to_owned())
}

/// A plan sends nothing that could be a write.
fn wrote_before_consent(world: &World, claim: &Claim) -> Option<String> {
    let is_look = matches!(claim.report.command, Some(Command::Check | Command::Status));
    let is_write = |called: &RecordedCall| {
        called.run == claim.run && matches!(called.call, Call::Write(_) | Call::Prove(_))
    };
    (is_look && world.calls().iter().any(is_write))
        .then(|| format!("{:?} sent what could be a write", claim.report.command))
}

/// At most one reset of each run takes effect.
fn too_many_resets(world: &World) -> Option<String> {
    let resets = world.resets();
    let mut runs = resets.iter().filter_map(|change| match change.by {
        Author::Run(run) => Some(run),
        _ => None,
    });
    let mut seen = Vec::new();
    runs.find(|run| {
        let again = seen.contains(run);
        seen.push(*run);
        again
    })
    .map(|run| format!("run {run} reset the token twice"))
}

/// A token is never written after a newer one, nor one that was dead before the run began.
fn wrote_a_dead_token(world: &World, claim: &Claim) -> Option<String> {
    let resets = world.resets();
    let mut newest = BTreeMap::new();
    for called in world.calls().into_iter().filter(|called| called.run == claim.run) {
        let (Call::Write(sink), Some(token)) = (called.call, &called.token) else { continue };
        let shown = token.fingerprint();
        let age = resets.iter().position(|change| change.value.as_ref() == Some(token));
        let before = newest.insert(sink, age).unwrap_or(age);
        if before > age {
            return Some(format!("sink {sink} got {shown} after a newer token"));
        }
        if !held_within(&resets, &shown, claim.begun, called.at) {
            return Some(format!("sink {sink} got {shown}, which was dead before the run began"));
        }
    }
    None
}

fn wrong_outcome(world: &World, claim: &Claim) -> Option<String> {
    let report = &claim.report;
    let resets = world.resets();
    let reset = resets.iter().any(|change| change.by == Author::Run(claim.run));
    match report.outcome {
        Outcome::Unchanged if reset => {
            Some("it reset, and says that nothing was changed".to_owned())
        }
        Outcome::Complete | Outcome::Ready if report.command != Some(Command::Status) => {
            let unproven = |sink: &&SinkReport| {
                sink.required && sink.state != State::Current && report.outcome == Outcome::Complete
            };
            let found = report.sinks.iter().find(unproven);
            found.map(|sink| format!("complete, but {} is {:?}", sink.name, sink.state))
        }
        // A status that finds an unfinished run still knows what the sinks hold.
        Outcome::Unknown if report.command != Some(Command::Status) => {
            let mut sinks = report.sinks.iter();
            let sure = sinks.find(|sink| sink.state == State::Current);
            sure.map(|sink| format!("{} is current, of a token that may be dead", sink.name))
        }
        _ if reset && report.command != Some(Command::Reset) => {
            Some(format!("{:?} reset the token", report.command))
        }
        _ => None,
    }
}

/// When the last read of this sort was made that the run got an answer to.
fn last_answered(world: &World, claim: &Claim, call: Call) -> Option<Instant> {
    let answered = |called: &RecordedCall| {
        called.run == claim.run
            && called.call == call
            && called.at + called.response.takes <= claim.ended
            && matches!(
                called.response.ending,
                Ending::Succeeded | Ending::SucceededWithStaleValue(_)
            )
    };
    world.calls().into_iter().rev().find(|called| answered(called)).map(|called| called.at)
}

fn is_of(change: &Change, fingerprint: &Fingerprint) -> bool {
    change.value.as_ref().is_some_and(|token| token.fingerprint() == *fingerprint)
}

fn holds_now(history: &[Change], fingerprint: &Fingerprint) -> bool {
    history.last().is_some_and(|change| is_of(change, fingerprint))
}

/// What it held at some moment between the two.
fn held_between(
    history: &[Change],
    from: Instant,
    until: Instant,
) -> impl Iterator<Item = &Change> {
    history.iter().enumerate().filter_map(move |(index, change)| {
        let replaced = history.get(index + 1).map(|next| next.at);
        let began = index == 0 || change.at <= until;
        let overlaps = began && replaced.is_none_or(|replaced| replaced > from);
        overlaps.then_some(change)
    })
}

fn held_within(history: &[Change], held: &Fingerprint, from: Instant, until: Instant) -> bool {
    held_between(history, from, until).any(|change| is_of(change, held))
}

fn holds_throughout(history: &[Change], held: &Fingerprint, from: Instant, until: Instant) -> bool {
    held_between(history, from, until).all(|change| is_of(change, held))
}
