//! Scripts decide the response to each call of a test double.

use std::time::Duration;

/// A call of a test double. The number is the index of the sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    /// [`TokenSource::current`](tokensink_core::TokenSource::current).
    Current,
    /// [`TokenIssuer::reset`](tokensink_core::TokenIssuer::reset).
    Reset,
    /// [`TokenSource::accepts`](tokensink_core::TokenSource::accepts).
    Accepts,
    /// [`TokenSink::prepare`](tokensink_core::TokenSink::prepare).
    Prepare(usize),
    /// [`TokenSink::inspect`](tokensink_core::TokenSink::inspect).
    Inspect(usize),
    /// [`TokenSink::survey`](tokensink_core::TokenSink::survey).
    Survey(usize),
    /// [`TokenWriter::prove`](tokensink_core::TokenWriter::prove).
    Prove(usize),
    /// [`TokenWriter::write`](tokensink_core::TokenWriter::write).
    Write(usize),
}

/// The response to a call.
#[derive(Clone, Copy, Debug)]
pub struct ScriptedResponse {
    /// How long the caller waits. A call that takes effect does so after half of this time.
    pub takes: Duration,
    /// The result of the call.
    pub ending: Ending,
}

/// The result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Success.
    Succeeded,
    /// Success, but the response contains the state of this long ago.
    SucceededWithStaleValue(Duration),
    /// An error. The call has no effect.
    Failed(ScriptedError),
    /// An error, although the call takes effect this long after it was made, as if a proxy had
    /// responded with an error after forwarding the request.
    FailedWithEffect(ScriptedError, Duration),
    /// The connection breaks. The call takes effect this long after it was made, which the caller
    /// cannot know.
    ResponseLost(Duration),
    /// The call does not return. If there is a duration, it takes effect this long after it was made.
    Hangs(Option<Duration>),
    /// The plugin panics. For the issuer the same as a transient error.
    Panics,
}

/// The kind of a scripted error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptedError {
    /// Probably temporary.
    Transient,
    /// A retry fails in the same way.
    Permanent,
    /// The rate limit is reached, and the provider requests this pause.
    RateLimited(Duration),
    /// Another program wrote in the meantime.
    Conflict,
    /// The request was certainly not sent.
    NotSent,
}

impl ScriptedResponse {
    /// Success, at once.
    pub const SUCCESS: Self = Self { takes: Duration::ZERO, ending: Ending::Succeeded };

    /// Returns an error, at once.
    pub const fn failed(error: ScriptedError) -> Self {
        Self { takes: Duration::ZERO, ending: Ending::Failed(error) }
    }

    /// Returns success after `takes`.
    pub const fn slow(takes: Duration) -> Self {
        Self { takes, ending: Ending::Succeeded }
    }
}

/// Decides the response to each call, in the order in which the calls are made.
pub trait Script: Send {
    /// Returns the response to the next call.
    fn response(&mut self, call: Call) -> ScriptedResponse;
}

impl<F: FnMut(Call) -> ScriptedResponse + Send> Script for F {
    fn response(&mut self, call: Call) -> ScriptedResponse {
        self(call)
    }
}

/// A script in which every call succeeds at once.
#[derive(Clone, Copy, Debug)]
pub struct AlwaysSucceeds;

impl Script for AlwaysSucceeds {
    fn response(&mut self, _: Call) -> ScriptedResponse {
        ScriptedResponse::SUCCESS
    }
}

/// A script with planned responses to some calls, in order. All other calls succeed at once.
#[derive(Clone, Debug, Default)]
pub struct Planned(Vec<(Call, ScriptedResponse)>);

impl Planned {
    /// Plans `response` for the next `call` without a planned response.
    #[must_use]
    pub fn then(mut self, call: Call, response: ScriptedResponse) -> Self {
        self.0.push((call, response));
        self
    }
}

impl Script for Planned {
    fn response(&mut self, call: Call) -> ScriptedResponse {
        match self.0.iter().position(|(planned, _)| *planned == call) {
            Some(index) => self.0.remove(index).1,
            None => ScriptedResponse::SUCCESS,
        }
    }
}
