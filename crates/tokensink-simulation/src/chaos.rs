//! The weather of a life: what becomes of each call, drawn from a seeded generator.

use std::time::Duration;

use fastrand::Rng;
use tokensink_testkit::{Call, Ending, Script, ScriptedError, ScriptedResponse};

/// The longest that a read tells of the past.
pub(crate) const LONGEST_LAG: Duration = Duration::from_secs(4);

/// The longest from a refusal of a reset to its effect, if it has one.
const LONGEST_REFUSED_LANDING: Duration = Duration::from_secs(3);

/// The longest from a call to its effect: what was sent does not lie around for ever. A reset may
/// land late, but within the time in which the coordinator still looks for it.
pub(crate) const LONGEST_LANDING: Duration = Duration::from_secs(19);

/// The longest that an answer takes, if it comes.
const SLOWEST: Duration = Duration::from_secs(12);

/// What a life is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Nothing goes wrong but what others do: every run must reach its end.
    AlwaysSucceeds,
    /// Anything may go wrong at any time.
    Rough,
    /// A reset is killed, and repaired at once: what it sent may still be under way.
    Hasty,
}

/// Draws responses.
#[derive(Debug)]
pub(crate) struct Chaos {
    rng: Rng,
    mood: Mood,
    /// How many of a thousand calls go wrong.
    trouble: u32,
    /// A sink whose provider is down for the whole life.
    down: Option<usize>,
    /// A sink whose inspections always lag this long.
    lagging: Option<(usize, Duration)>,
}

impl Chaos {
    pub(crate) fn new(rng: &mut Rng, mood: Mood, sinks: usize) -> Self {
        let (trouble, down) = match mood {
            Mood::AlwaysSucceeds => (0, None),
            Mood::Rough => {
                let down = (rng.u8(..8) == 0).then(|| rng.usize(..sinks));
                ([20, 100, 300, 600][rng.usize(..4)], down)
            }
            Mood::Hasty => ([100, 300][rng.usize(..2)], None),
        };
        let lagging = (rng.u8(..4) == 0)
            .then(|| (rng.usize(..sinks), between(rng, Duration::ZERO, LONGEST_LAG)));
        Self { rng: rng.fork(), mood, trouble, down, lagging }
    }

    /// How long something that was sent may be under way. Whoever is hasty must at least leave it
    /// the time that the coordinator looks for it.
    fn landing(&self) -> Duration {
        if self.mood == Mood::Hasty { Duration::from_secs(4) } else { LONGEST_LANDING }
    }

    fn takes(&mut self) -> Duration {
        match self.rng.u8(..20) {
            0 => Duration::ZERO,
            1 if self.mood != Mood::AlwaysSucceeds => {
                between(&mut self.rng, Duration::ZERO, SLOWEST)
            }
            _ => Duration::from_millis(self.rng.u64(1..300)),
        }
    }

    fn fault(&mut self) -> ScriptedError {
        match self.rng.u8(..8) {
            0 => ScriptedError::Permanent,
            1 => ScriptedError::RateLimited(between(
                &mut self.rng,
                Duration::ZERO,
                Duration::from_secs(90),
            )),
            2 => ScriptedError::Conflict,
            3 => ScriptedError::NotSent,
            _ => ScriptedError::Transient,
        }
    }

    fn wrong_read(&mut self) -> Ending {
        match self.rng.u8(..10) {
            0 => Ending::Hangs(None),
            1 => Ending::Panics,
            2..5 => {
                Ending::SucceededWithStaleValue(between(&mut self.rng, Duration::ZERO, LONGEST_LAG))
            }
            _ => Ending::Failed(self.fault()),
        }
    }

    fn wrong_change(&mut self, call: Call) -> Ending {
        match self.rng.u8(..12) {
            0 => Ending::Hangs(None),
            1 => {
                let longest = self.landing();
                Ending::Hangs(Some(between(&mut self.rng, Duration::ZERO, longest)))
            }
            2 => Ending::Panics,
            10 | 11 => {
                let fault = [ScriptedError::Permanent, ScriptedError::RateLimited(Duration::ZERO)]
                    [self.rng.usize(..2)];
                // A write that was refused takes effect at once or never.
                let longest = match call {
                    Call::Reset => LONGEST_REFUSED_LANDING,
                    _ => Duration::ZERO,
                };
                let after = between(&mut self.rng, Duration::ZERO, longest);
                Ending::FailedWithEffect(fault, after)
            }
            3..6 => {
                Ending::ResponseLost(between(&mut self.rng, Duration::ZERO, Duration::from_secs(4)))
            }
            _ => Ending::Failed(self.fault()),
        }
    }
}

impl Script for Chaos {
    fn response(&mut self, call: Call) -> ScriptedResponse {
        let takes = self.takes();
        let lag = match (call, self.lagging) {
            (Call::Inspect(sink), Some((lagging, lag))) if sink == lagging => Some(lag),
            _ => None,
        };
        let is_down = matches!(call, Call::Write(sink) if Some(sink) == self.down);
        let ending = if is_down {
            Ending::Failed(ScriptedError::Transient)
        } else if self.mood == Mood::Hasty && call == Call::Reset {
            self.wrong_change(call)
        } else if self.rng.u32(..1000) >= self.trouble {
            lag.map_or(Ending::Succeeded, Ending::SucceededWithStaleValue)
        } else if matches!(call, Call::Reset | Call::Write(_)) {
            self.wrong_change(call)
        } else {
            self.wrong_read()
        };
        ScriptedResponse { takes, ending }
    }
}

pub(crate) fn between(rng: &mut Rng, shortest: Duration, longest: Duration) -> Duration {
    let spread = longest.saturating_sub(shortest).as_millis().try_into().unwrap_or(u64::MAX);
    shortest + Duration::from_millis(rng.u64(..=spread))
}
