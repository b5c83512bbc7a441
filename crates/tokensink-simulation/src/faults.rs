//! Random responses to each call, drawn from a seeded generator.

use std::time::Duration;

use fastrand::Rng;
use tokensink_testkit::{Call, Ending, Script, ScriptedError, ScriptedResponse};

/// The maximum lag of a read.
pub(crate) const MAX_LAG: Duration = Duration::from_secs(4);

/// The maximum time from a refused reset to its effect, if it has one.
const MAX_REFUSED_DELAY: Duration = Duration::from_secs(3);

/// The maximum time from a call to its effect. A reset may take effect late, but within the time in which
/// the coordinator still observes the token.
pub(crate) const MAX_EFFECT_DELAY: Duration = Duration::from_secs(19);

/// The maximum time to a response, if there is one.
const MAX_RESPONSE_TIME: Duration = Duration::from_secs(12);

/// The kinds of faults in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultProfile {
    /// All calls succeed, but other programs may write and reset. Every run must be complete.
    NoFaults,
    /// Any fault may occur at any time.
    AnyFault,
    /// A reset is killed and followed by a `sync` at once, while its requests may still take effect.
    KilledReset,
}

/// A script that draws the responses.
#[derive(Debug)]
pub(crate) struct RandomFaults {
    rng: Rng,
    profile: FaultProfile,
    /// The number of faults in a thousand calls.
    faults_per_mille: u32,
    /// A sink whose provider is down for the whole scenario.
    down: Option<usize>,
    /// A sink whose inspections always lag by this time.
    lagging: Option<(usize, Duration)>,
}

impl RandomFaults {
    pub(crate) fn new(rng: &mut Rng, profile: FaultProfile, sinks: usize) -> Self {
        let (faults_per_mille, down) = match profile {
            FaultProfile::NoFaults => (0, None),
            FaultProfile::AnyFault => {
                let down = (rng.u8(..8) == 0).then(|| rng.usize(..sinks));
                ([20, 100, 300, 600][rng.usize(..4)], down)
            }
            FaultProfile::KilledReset => ([100, 300][rng.usize(..2)], None),
        };
        let lagging =
            (rng.u8(..4) == 0).then(|| (rng.usize(..sinks), between(rng, Duration::ZERO, MAX_LAG)));
        Self { rng: rng.fork(), profile, faults_per_mille, down, lagging }
    }

    /// Returns the maximum time from a call to its effect. It is shorter if a `sync` follows at once, because
    /// the effect must come while the coordinator still observes the token.
    fn max_effect_delay(&self) -> Duration {
        if self.profile == FaultProfile::KilledReset {
            Duration::from_secs(4)
        } else {
            MAX_EFFECT_DELAY
        }
    }

    fn takes(&mut self) -> Duration {
        match self.rng.u8(..20) {
            0 => Duration::ZERO,
            1 if self.profile != FaultProfile::NoFaults => {
                between(&mut self.rng, Duration::ZERO, MAX_RESPONSE_TIME)
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
                Ending::SucceededWithStaleValue(between(&mut self.rng, Duration::ZERO, MAX_LAG))
            }
            _ => Ending::Failed(self.fault()),
        }
    }

    fn wrong_change(&mut self, call: Call) -> Ending {
        match self.rng.u8(..12) {
            0 => Ending::Hangs(None),
            1 => {
                let longest = self.max_effect_delay();
                Ending::Hangs(Some(between(&mut self.rng, Duration::ZERO, longest)))
            }
            2 => Ending::Panics,
            10 | 11 => {
                let fault = [ScriptedError::Permanent, ScriptedError::RateLimited(Duration::ZERO)]
                    [self.rng.usize(..2)];
                // A refused write takes effect at once or never.
                let longest = match call {
                    Call::Reset => MAX_REFUSED_DELAY,
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

impl Script for RandomFaults {
    fn response(&mut self, call: Call) -> ScriptedResponse {
        let takes = self.takes();
        let lag = match (call, self.lagging) {
            (Call::Inspect(sink), Some((lagging, lag))) if sink == lagging => Some(lag),
            _ => None,
        };
        let is_down = matches!(call, Call::Write(sink) if Some(sink) == self.down);
        let ending = if is_down {
            Ending::Failed(ScriptedError::Transient)
        } else if self.profile == FaultProfile::KilledReset && call == Call::Reset {
            self.wrong_change(call)
        } else if self.rng.u32(..1000) >= self.faults_per_mille {
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
