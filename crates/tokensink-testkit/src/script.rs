//! What becomes of each call to a double: decided by a script, so that a test can make anything
//! happen at any moment.

use std::time::Duration;

/// One call to a double.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// The issuer is asked for the live token.
    Current,
    /// The issuer is asked to reset it.
    Reset,
    /// QStash is asked whether it lets a token in.
    Accepts,
    /// The sink of this index is prepared.
    Prepare(usize),
    /// The sink of this index is inspected.
    Inspect(usize),
    /// The sink of this index is surveyed.
    Survey(usize),
    /// The write of the sink of this index is proven.
    Prove(usize),
    /// The sink of this index is written.
    Write(usize),
}

/// What becomes of one call.
#[derive(Clone, Copy, Debug)]
pub struct ScriptedResponse {
    /// How long the caller waits. A call that takes effect does so after half of it.
    pub takes: Duration,
    /// What it gets then.
    pub ending: Ending,
}

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Answered,
    /// Well, but what it tells, of the token or of a sink, was true this long ago.
    AnsweredLate(Duration),
    /// With an error, and without an effect.
    Failed(Fault),
    /// With an error, although it takes effect this long after it was made: whoever refuses need not
    /// be the one who carries it out.
    FailedButLands(Fault, Duration),
    /// The connection breaks: the caller cannot know that the call takes effect this long after it
    /// was made.
    AnswerLost(Duration),
    /// Never. It may have taken effect, this long after the call was made.
    Hangs(Option<Duration>),
    /// The plugin panics. For the issuer the same as a fault that may pass.
    Panics,
}

/// What an error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It may pass.
    Transient,
    /// It will not.
    Permanent,
    /// The provider asks for a pause.
    Limited(Duration),
    /// Somebody else wrote in between.
    Conflict,
    /// It is certain that nothing left this machine.
    NotSent,
}

impl ScriptedResponse {
    /// Answered well, at once.
    pub const WELL: Self = Self { takes: Duration::ZERO, ending: Ending::Answered };

    /// An error at once.
    pub const fn failed(fault: Fault) -> Self {
        Self { takes: Duration::ZERO, ending: Ending::Failed(fault) }
    }

    /// Answered well after `takes`.
    pub const fn slow(takes: Duration) -> Self {
        Self { takes, ending: Ending::Answered }
    }
}

/// Decides what becomes of each call, in the order in which they are made.
pub trait Script: Send {
    /// The fate of the next call.
    fn fate(&mut self, call: Call) -> ScriptedResponse;
}

impl<F: FnMut(Call) -> ScriptedResponse + Send> Script for F {
    fn fate(&mut self, call: Call) -> ScriptedResponse {
        self(call)
    }
}

/// Everything is answered well, at once.
#[derive(Clone, Copy, Debug)]
pub struct Calm;

impl Script for Calm {
    fn fate(&mut self, _: Call) -> ScriptedResponse {
        ScriptedResponse::WELL
    }
}

/// Some calls meet the fates that were planned for them, in order; all others are answered well,
/// at once.
#[derive(Clone, Debug, Default)]
pub struct Planned(Vec<(Call, ScriptedResponse)>);

impl Planned {
    /// The next `call` that has no plan yet meets `fate`.
    #[must_use]
    pub fn then(mut self, call: Call, fate: ScriptedResponse) -> Self {
        self.0.push((call, fate));
        self
    }
}

impl Script for Planned {
    fn fate(&mut self, call: Call) -> ScriptedResponse {
        match self.0.iter().position(|(planned, _)| *planned == call) {
            Some(index) => self.0.remove(index).1,
            None => ScriptedResponse::WELL,
        }
    }
}
