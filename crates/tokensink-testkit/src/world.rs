//! An account and its sinks in memory, with the history of all calls and changes.
//!
//! The tokens are invented, so that the history can be shown.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokensink_core::Token;
use tokio::time::{Instant, sleep};

use crate::script::{Call, Script, ScriptedResponse};

/// An account and its sinks. Clones share one world.
#[derive(Clone)]
pub struct World(Arc<Mutex<State>>);

struct State {
    script: Box<dyn Script>,
    run: u32,
    live: Vec<Change>,
    sinks: Vec<Vec<Change>>,
    calls: Vec<RecordedCall>,
    accepts_old_tokens: bool,
}

/// A change of the live token or of a sink's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The time of the change.
    pub at: Instant,
    /// The new value. `None` if nothing is stored.
    pub value: Option<Token>,
    /// The origin of the change.
    pub by: Author,
}

/// The origin of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// The initial state.
    Initial,
    /// The run with this number.
    Run(u32),
    /// Another program or a user.
    External,
}

/// A call that was made.
#[derive(Clone, Debug)]
pub struct RecordedCall {
    /// The time of the call.
    pub at: Instant,
    /// The called operation.
    pub call: Call,
    /// The number of the run.
    pub run: u32,
    /// The token that was passed, if any.
    pub token: Option<Token>,
    /// The response.
    pub response: ScriptedResponse,
}

impl World {
    /// Creates a world with `sinks` sinks that all contain the live token.
    pub fn new(sinks: usize, script: impl Script + 'static) -> Self {
        let first = Change { at: Instant::now(), value: Some(token(0)), by: Author::Initial };
        let state = State {
            script: Box::new(script),
            run: 0,
            live: vec![first.clone()],
            sinks: vec![vec![first]; sinks],
            calls: Vec::new(),
            accepts_old_tokens: false,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the script.
    pub fn set_script(&self, script: impl Script + 'static) {
        self.state().script = Box::new(script);
    }

    /// Begins the next run, to which new test doubles belong, and returns its number.
    pub fn begin_run(&self) -> u32 {
        let mut state = self.state();
        state.run += 1;
        state.run
    }

    pub(crate) fn this_run(&self) -> u32 {
        self.state().run
    }

    /// Returns the live token.
    pub fn live(&self) -> Token {
        self.live_ago(Duration::ZERO)
    }

    /// Returns the token that was live this long ago.
    pub fn live_ago(&self, ago: Duration) -> Token {
        value_at(&self.state().live, Instant::now() - ago).unwrap_or_else(|| token(0))
    }

    /// Makes QStash accept every token that was ever live, as if it never learned of a reset.
    pub fn accept_old_tokens(&self) {
        self.state().accepts_old_tokens = true;
    }

    /// Returns whether QStash accepts a token if it learns of a reset after `lag`. The lag delays only
    /// the acceptance of a new token: an old token is revoked at once.
    pub(crate) fn accepts(&self, token: &Token, lag: Duration) -> bool {
        if self.state().accepts_old_tokens {
            return self.resets().iter().any(|change| change.value.as_ref() == Some(token));
        }
        self.live() == *token && self.live_ago(lag) == *token
    }

    /// Returns every token that was ever live, oldest first.
    pub fn resets(&self) -> Vec<Change> {
        self.state().live.clone()
    }

    /// Returns the value of the sink with this index.
    pub fn held(&self, sink: usize) -> Option<Token> {
        self.held_ago(sink, Duration::ZERO)
    }

    /// Returns the value that the sink had this long ago.
    pub fn held_ago(&self, sink: usize, ago: Duration) -> Option<Token> {
        value_at(&self.state().sinks[sink], Instant::now() - ago)
    }

    /// Returns all changes of a sink, oldest first.
    pub fn history(&self, sink: usize) -> Vec<Change> {
        self.state().sinks[sink].clone()
    }

    /// Returns the version number that the sink had this long ago.
    pub fn version_ago(&self, sink: usize, ago: Duration) -> usize {
        let until = Instant::now() - ago;
        self.state().sinks[sink].iter().filter(|change| change.at <= until).count()
    }

    /// Returns all calls so far.
    pub fn calls(&self) -> Vec<RecordedCall> {
        self.state().calls.clone()
    }

    /// Resets the token like another program.
    pub fn reset_externally(&self) {
        self.reset(Author::External);
    }

    /// Changes the value of a sink like another program.
    pub fn store_externally(&self, sink: usize, value: Option<Token>) {
        self.store(sink, value, Author::External);
    }

    pub(crate) fn reset(&self, by: Author) -> Token {
        let mut state = self.state();
        let next = token(state.live.len());
        state.live.push(Change { at: Instant::now(), value: Some(next.clone()), by });
        next
    }

    pub(crate) fn store(&self, sink: usize, value: Option<Token>, by: Author) -> usize {
        let mut state = self.state();
        let history = &mut state.sinks[sink];
        history.push(Change { at: Instant::now(), value, by });
        history.len()
    }

    /// Records the call and returns the script's response.
    pub(crate) fn called(&self, run: u32, call: Call, token: Option<&Token>) -> ScriptedResponse {
        let mut state = self.state();
        let response = state.script.response(call);
        let (at, token) = (Instant::now(), token.cloned());
        state.calls.push(RecordedCall { at, call, run, token, response });
        response
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("World").field("live", &state.live).field("sinks", &state.sinks).finish()
    }
}

/// Returns the token of the given generation.
fn token(generation: usize) -> Token {
    Token::new(format!("test-token-{generation:04}"))
}

fn value_at(history: &[Change], moment: Instant) -> Option<Token> {
    let known = history.iter().rev().find(|change| change.at <= moment).or(history.first());
    known.and_then(|change| change.value.clone())
}

/// Applies a change after a delay, also if the caller is dropped: a request that was sent cannot be
/// cancelled.
pub(crate) fn take_effect_after<T: Send + 'static>(
    delay: Duration,
    change: impl FnOnce() -> T + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(async move {
        sleep(delay).await;
        change()
    })
}
