//! The weather of a life: what becomes of each call, drawn from a seeded generator.

use std::time::Duration;

use fastrand::Rng;
use tokensink_testkit::{Call, Ending, Fate, Fault, Script};

/// The longest that a read tells of the past.
pub(crate) const LONGEST_LAG: Duration = Duration::from_secs(3);

/// The longest from a call to its effect: what was sent does not lie around for ever. A reset may
/// land late, but within the time in which the coordinator still looks for it.
pub(crate) const LONGEST_LANDING: Duration = Duration::from_secs(19);

/// The longest that an answer takes, if it comes.
const SLOWEST: Duration = Duration::from_secs(12);

/// Draws fates.
#[derive(Debug)]
pub(crate) struct Chaos {
    rng: Rng,
    /// How many of a thousand calls go wrong.
    trouble: u32,
    /// A sink whose provider is down for the whole life.
    down: Option<usize>,
}

impl Chaos {
    pub(crate) fn new(rng: &mut Rng, sinks: usize) -> Self {
        let trouble = [0, 20, 100, 300, 600][rng.usize(..5)];
        let down = (rng.u8(..8) == 0).then(|| rng.usize(..sinks));
        Self { rng: rng.fork(), trouble, down }
    }

    fn takes(&mut self) -> Duration {
        match self.rng.u8(..20) {
            0 => Duration::ZERO,
            1 => between(&mut self.rng, Duration::ZERO, SLOWEST),
            _ => Duration::from_millis(self.rng.u64(1..300)),
        }
    }

    fn fault(&mut self) -> Fault {
        match self.rng.u8(..8) {
            0 => Fault::Permanent,
            1 => Fault::Limited(between(&mut self.rng, Duration::ZERO, Duration::from_secs(90))),
            2 => Fault::Conflict,
            3 => Fault::NotSent,
            _ => Fault::Transient,
        }
    }

    fn wrong_read(&mut self) -> Ending {
        match self.rng.u8(..10) {
            0 => Ending::Hangs(None),
            1 => Ending::Panics,
            2..5 => Ending::AnsweredLate(between(&mut self.rng, Duration::ZERO, LONGEST_LAG)),
            _ => Ending::Failed(self.fault()),
        }
    }

    fn wrong_change(&mut self) -> Ending {
        match self.rng.u8(..10) {
            0 => Ending::Hangs(None),
            1 => Ending::Hangs(Some(between(&mut self.rng, Duration::ZERO, LONGEST_LANDING))),
            2 => Ending::Panics,
            3..6 => {
                Ending::AnswerLost(between(&mut self.rng, Duration::ZERO, Duration::from_secs(4)))
            }
            _ => Ending::Failed(self.fault()),
        }
    }
}

impl Script for Chaos {
    fn fate(&mut self, call: Call) -> Fate {
        let takes = self.takes();
        let is_down = matches!(call, Call::Write(sink) if Some(sink) == self.down);
        let ending = if is_down {
            Ending::Failed(Fault::Transient)
        } else if self.rng.u32(..1000) >= self.trouble {
            Ending::Answered
        } else if matches!(call, Call::Reset | Call::Write(_)) {
            self.wrong_change()
        } else {
            self.wrong_read()
        };
        Fate { takes, ending }
    }
}

pub(crate) fn between(rng: &mut Rng, shortest: Duration, longest: Duration) -> Duration {
    let spread = longest.saturating_sub(shortest).as_millis().try_into().unwrap_or(u64::MAX);
    shortest + Duration::from_millis(rng.u64(..=spread))
}
