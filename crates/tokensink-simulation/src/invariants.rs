//! The invariants: compares each report with the recorded events.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokensink_core::{Fingerprint, Token};
use tokensink_engine::{Command, Outcome, Report, SinkReport, State};
use tokensink_testkit::{Author, Call, Change, Ending, Evidence, RecordedCall, World};
use tokio::time::Instant;

use crate::faults::MAX_LAG;

/// The resolution of paused time.
const INSTANT: Duration = Duration::from_millis(1);

/// An attempt that takes less does not time out.
const QUICK: Duration = Duration::from_secs(1);

/// A run with its report.
#[derive(Debug)]
pub(crate) struct ReportedRun {
    pub(crate) run: u32,
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
    /// The number of calls before the first interrupt.
    pub(crate) interrupted_at: Option<usize>,
    /// The token that was shown for the user's consent.
    pub(crate) shown: Option<Fingerprint>,
    pub(crate) report: Report,
}

/// A violated invariant, with the history of the scenario.
#[derive(Debug)]
pub struct InvariantViolation {
    /// The seed that replays the scenario.
    pub seed: u64,
    /// The violation.
    pub what: String,
    history: String,
}

impl fmt::Display for InvariantViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}\n{}", self.seed, self.what, self.history)
    }
}

/// Observes a scenario and checks the invariants.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) seed: u64,
    pub(crate) world: World,
    /// The evidence that each sink gives.
    pub(crate) evidence: Vec<Evidence>,
    /// Whether each sink is required.
    pub(crate) required: Vec<bool>,
    /// The runs on another machine.
    pub(crate) foreign_runs: Vec<u32>,
    /// All runs that reported.
    pub(crate) reported_runs: Vec<ReportedRun>,
}

type Verdict = Result<(), Box<InvariantViolation>>;

impl Observer {
    pub(crate) fn new(
        seed: u64,
        world: World,
        evidence: Vec<Evidence>,
        required: Vec<bool>,
    ) -> Self {
        Self {
            seed,
            world,
            evidence,
            required,
            foreign_runs: Vec::new(),
            reported_runs: Vec::new(),
        }
    }

    /// Checks the newest report against the current state.
    pub(crate) fn check(&self) -> Verdict {
        let newest = self.reported_runs.last();
        let found = newest.and_then(|reported| {
            wrote_a_revoked_token(&self.world, reported)
                .or_else(|| self.reset_too_early(reported))
                .or_else(|| reset_after_an_interrupt(&self.world, reported))
                .or_else(|| wrote_before_consent(&self.world, reported))
                .or_else(|| self.rehearsed_over_another_value(reported))
                .or_else(|| self.forgot_an_unfinished_reset(reported))
                .or_else(|| self.wrote_again_for_nothing(reported))
        });
        self.refuse(found.or_else(|| self.wrong_report()))
    }

    /// Checks the newest report again after all requests have taken effect.
    pub(crate) fn check_again(&self) -> Verdict {
        self.refuse(self.wrong_report())
    }

    /// Checks that a run without faults has a final outcome.
    pub(crate) fn check_end(&self) -> Verdict {
        let undone = |reported: &&ReportedRun| {
            matches!(
                reported.report.outcome,
                Outcome::Partial | Outcome::Unknown | Outcome::Invalid
            )
        };
        let undone =
            self.reported_runs.last().filter(undone).map(|reported| reported.report.outcome);
        self.refuse(
            undone.map(|outcome| format!("there was no fault, but the outcome is {outcome:?}")),
        )
    }

    /// Checks that every sink contains the live token after a `sync` without faults.
    pub(crate) fn check_repaired(&self, report: Option<&Report>) -> Verdict {
        let live = Some(self.world.live());
        let stale = (0..self.evidence.len()).find(|sink| self.world.held(*sink) != live);
        self.refuse(match report.map(|report| report.outcome) {
            Some(Outcome::Complete) => stale.map(|sink| format!("sink {sink} was not repaired")),
            other => Some(format!("a sync without faults ended with {other:?}")),
        })
    }

    /// Returns a violation with the history of the scenario.
    pub(crate) fn violation(&self, what: String) -> Box<InvariantViolation> {
        Box::new(InvariantViolation { seed: self.seed, what, history: self.history() })
    }

    fn refuse(&self, found: Option<String>) -> Verdict {
        found.map_or(Ok(()), |what| Err(self.violation(what)))
    }

    /// Checks that a reset is sent only after every required sink was prepared and proven, and only for the
    /// token that was shown to the user.
    fn reset_too_early(&self, reported: &ReportedRun) -> Option<String> {
        let calls = self.world.calls();
        let ours = |called: &&RecordedCall| called.run == reported.run;
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
            return Some(format!("the reset was sent before sink {sink} was prepared"));
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
        let before = reported.shown.as_ref()?;
        let seen = held_within(&resets, before, seen_at - INSTANT, seen_at + INSTANT);
        (!seen).then(|| "it replaced the token of an external reset".to_owned())
    }

    fn wrong_report(&self) -> Option<String> {
        let reported = self.reported_runs.last()?;
        too_many_resets(&self.world)
            .or_else(|| self.wrong_token(reported))
            .or_else(|| wrong_outcome(&self.world, reported))
            .or_else(|| {
                let mut sinks = reported.report.sinks.iter().enumerate();
                sinks.find_map(|(index, sink)| self.wrong_sink(reported, index, sink))
            })
    }

    /// Checks that the token in the report was live when the run could read it, and still is live if there was
    /// no external reset.
    fn wrong_token(&self, reported: &ReportedRun) -> Option<String> {
        if reported.report.outcome == Outcome::Unknown {
            return None;
        }
        let after = reported.report.token.after.as_ref()?;
        let resets = self.world.resets();
        let foreign = self.others_since(&resets, reported);
        if !foreign {
            let live = self.world.live().fingerprint();
            return (live != *after)
                .then(|| format!("{after} is reported as live, but {live} is live"));
        }
        let seen_from =
            last_success(&self.world, reported, Call::Current).unwrap_or(reported.begun);
        let was_live = held_within(&resets, after, seen_from - MAX_LAG, reported.ended);
        (!was_live)
            .then(|| format!("{after} is reported as live, but was not live at the last read"))
    }

    /// Returns whether there was an external change since the run began.
    fn others_since(&self, history: &[Change], reported: &ReportedRun) -> bool {
        let is_foreign = |change: &Change| match change.by {
            Author::Initial => false,
            Author::External => true,
            // A late effect of an earlier run on this machine is not external. A later run is.
            Author::Run(run) => run > reported.run || self.foreign_runs.contains(&run),
        };
        let since = reported.begun - MAX_LAG;
        history.iter().any(|change| change.at >= since && is_foreign(change))
    }

    fn wrong_sink(
        &self,
        reported: &ReportedRun,
        index: usize,
        sink: &SinkReport,
    ) -> Option<String> {
        let after = reported.report.token.after.as_ref()?;
        let history = self.world.history(index);
        let looked = last_success(&self.world, reported, Call::Inspect(index));
        let from = looked.unwrap_or(reported.begun) - MAX_LAG;
        let unreadable = self.evidence[index] == Evidence::Nothing;
        let is_wrong = match sink.state {
            // A sink that cannot be read is current because of our own write, also if there was a later
            // one: even of a killed run whose token was revoked by an external reset.
            State::Current
                if unreadable
                    && (self.was_reset_externally() || self.others_since(&history, reported)) =>
            {
                let ours = |change: &&Change| change.by == Author::Run(reported.run);
                !history.iter().rev().find(ours).is_some_and(|change| is_of(change, after))
            }
            State::Current if !self.others_since(&history, reported) => !holds_now(&history, after),
            State::Current => !held_within(&history, after, from, reported.ended),
            State::Stale => holds_throughout(&history, after, from, reported.ended),
            State::Unknown => false,
        };
        is_wrong.then(|| format!("{} is reported as {:?}, but is not", sink.name, sink.state))
    }

    /// Checks that a rehearsal does not overwrite a value that is known to be another one.
    fn rehearsed_over_another_value(&self, reported: &ReportedRun) -> Option<String> {
        let shown =
            reported.shown.as_ref().filter(|_| reported.report.command == Some(Command::Reset))?;
        let mut calls = self.world.calls().into_iter().filter(|called| called.run == reported.run);
        calls.find_map(|called| {
            let Call::Write(sink) = called.call else { return None };
            let is_rehearsal = called.token.as_ref()?.fingerprint() == *shown;
            let history = self.world.history(sink);
            let was_other = held_between(&history, reported.begun - MAX_LAG, called.at)
                .all(|change| change.value.is_some() && !is_of(change, shown));
            (is_rehearsal && was_other && self.evidence[sink] == Evidence::Value)
                .then(|| format!("the rehearsal overwrote another value in sink {sink}"))
        })
    }

    /// Checks that a killed reset is reported as unfinished until a run is complete.
    fn forgot_an_unfinished_reset(&self, reported: &ReportedRun) -> Option<String> {
        let calls = self.world.calls();
        let find_run = |run: u32| self.reported_runs.iter().find(|reported| reported.run == run);
        let is_settled = |since: u32| {
            let complete = |reported: &ReportedRun| {
                reported.report.outcome == Outcome::Complete
                    && matches!(reported.report.command, Some(Command::Reset | Command::Sync))
            };
            self.reported_runs
                .iter()
                .any(|other| other.run > since && other.run < reported.run && complete(other))
        };
        let unfinished = calls.iter().find(|called| {
            called.call == Call::Reset
                && called.run < reported.run
                && find_run(called.run).is_none()
                && !is_settled(called.run)
        })?;
        let has_reset =
            calls.iter().any(|called| called.run == reported.run && called.call == Call::Reset);
        let is_status = reported.report.command == Some(Command::Status);
        let forgot = has_reset || (is_status && reported.report.exit_code == 0);
        forgot.then(|| format!("run {} is unfinished but was ignored", unfinished.run))
    }

    /// Checks that a token is written again only after an external change or a fault.
    fn wrote_again_for_nothing(&self, reported: &ReportedRun) -> Option<String> {
        let after = reported.report.token.after.as_ref()?;
        let calls = self.world.calls();
        (0..self.evidence.len()).find_map(|index| {
            let history = self.world.history(index);
            let is_disturbed = self.others_since(&history, reported)
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
                called.run == reported.run
                    && called.call == Call::Write(index)
                    && called.token.as_ref().is_some_and(|token| token.fingerprint() == *after)
            };
            let writes = calls.iter().filter(is_ours).count();
            let is_rehearsal = reported.report.token.before.as_ref() == Some(after);
            (!is_disturbed && !is_rehearsal && writes > 1)
                .then(|| format!("sink {index} was written {writes} times without a reason"))
        })
    }

    fn was_reset_externally(&self) -> bool {
        self.world.resets().iter().any(|change| change.by == Author::External)
    }

    fn history(&self) -> String {
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
        for reported in &self.reported_runs {
            let report = serde_json::to_string(&reported.report).unwrap_or_default();
            lines.push((reported.ended, format!("run {} reports {report}", reported.run)));
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

/// Checks that no reset is sent after an interrupt.
fn reset_after_an_interrupt(world: &World, reported: &ReportedRun) -> Option<String> {
    let interrupted_at = reported.interrupted_at?;
    let calls = world.calls();
    let mut later = calls.iter().skip(interrupted_at);
    later
        .any(|called| called.run == reported.run && called.call == Call::Reset)
        .then(|| "a reset was sent after an interrupt".to_owned())
}

/// Checks that a plan sends no request that could be a write.
fn wrote_before_consent(world: &World, reported: &ReportedRun) -> Option<String> {
    let is_look = matches!(reported.report.command, Some(Command::Check | Command::Status));
    let is_write = |called: &RecordedCall| {
        called.run == reported.run && matches!(called.call, Call::Write(_) | Call::Prove(_))
    };
    (is_look && world.calls().iter().any(is_write))
        .then(|| format!("{:?} sent a request that could be a write", reported.report.command))
}

/// Checks that at most one reset of each run takes effect.
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

/// Checks that a token is never written after a newer one, or if it was revoked before the run began.
fn wrote_a_revoked_token(world: &World, reported: &ReportedRun) -> Option<String> {
    let resets = world.resets();
    let mut newest = BTreeMap::new();
    for called in world.calls().into_iter().filter(|called| called.run == reported.run) {
        let (Call::Write(sink), Some(token)) = (called.call, &called.token) else { continue };
        let shown = token.fingerprint();
        let age = resets.iter().position(|change| change.value.as_ref() == Some(token));
        let before = newest.insert(sink, age).unwrap_or(age);
        if before > age {
            return Some(format!("sink {sink} got {shown} after a newer token"));
        }
        if !held_within(&resets, &shown, reported.begun, called.at) {
            return Some(format!(
                "sink {sink} got {shown}, which was revoked before the run began"
            ));
        }
    }
    None
}

fn wrong_outcome(world: &World, reported: &ReportedRun) -> Option<String> {
    let report = &reported.report;
    let resets = world.resets();
    let reset = resets.iter().any(|change| change.by == Author::Run(reported.run));
    match report.outcome {
        Outcome::Unchanged if reset => {
            Some("it reset the token but reports that nothing was changed".to_owned())
        }
        Outcome::Complete | Outcome::Ready if report.command != Some(Command::Status) => {
            let unproven = |sink: &&SinkReport| {
                sink.required && sink.state != State::Current && report.outcome == Outcome::Complete
            };
            let found = report.sinks.iter().find(unproven);
            found.map(|sink| format!("complete, but {} is {:?}", sink.name, sink.state))
        }
        // The status of an unfinished run may still report current sinks.
        Outcome::Unknown if report.command != Some(Command::Status) => {
            let mut sinks = report.sinks.iter();
            let sure = sinks.find(|sink| sink.state == State::Current);
            sure.map(|sink| format!("{} is current, but its token may be revoked", sink.name))
        }
        _ if reset && report.command != Some(Command::Reset) => {
            Some(format!("{:?} reset the token", report.command))
        }
        _ => None,
    }
}

/// Returns the time of the run's last successful call of this kind.
fn last_success(world: &World, reported: &ReportedRun, call: Call) -> Option<Instant> {
    let answered = |called: &RecordedCall| {
        called.run == reported.run
            && called.call == call
            && called.at + called.response.takes <= reported.ended
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

/// Returns the values between two times.
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
