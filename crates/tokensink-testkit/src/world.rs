//! A small world in memory: one account, some sinks, and everything that ever happened to them.
//!
//! It keeps no real secret: its tokens are made up, so that what was seen can be shown.

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
    calls: Vec<Called>,
    lets_old_tokens_in: bool,
}

/// From when on something held a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Since when.
    pub at: Instant,
    /// The token; `None` where nothing is stored.
    pub value: Option<Token>,
    /// Whose doing it was.
    pub by: Author,
}

/// Who changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// It was so from the beginning.
    Beginning,
    /// This run of ours.
    Run(u32),
    /// Somebody else.
    Stranger,
}

/// A call that was made.
#[derive(Clone, Debug)]
pub struct Called {
    /// When.
    pub at: Instant,
    /// Which.
    pub call: Call,
    /// In which run.
    pub run: u32,
    /// With which token, where there is one.
    pub token: Option<Token>,
    /// What became of it.
    pub fate: ScriptedResponse,
}

impl World {
    /// A world with `sinks` sinks that all hold the live token.
    pub fn new(sinks: usize, script: impl Script + 'static) -> Self {
        let first = Change { at: Instant::now(), value: Some(token(0)), by: Author::Beginning };
        let state = State {
            script: Box::new(script),
            run: 0,
            live: vec![first.clone()],
            sinks: vec![vec![first]; sinks],
            calls: Vec::new(),
            lets_old_tokens_in: false,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on `script` decides.
    pub fn play(&self, script: impl Script + 'static) {
        self.state().script = Box::new(script);
    }

    /// Doubles that are made from now on belong to the next run. Returns its number.
    pub fn begin_run(&self) -> u32 {
        let mut state = self.state();
        state.run += 1;
        state.run
    }

    pub(crate) fn this_run(&self) -> u32 {
        self.state().run
    }

    /// The live token.
    pub fn live(&self) -> Token {
        self.live_ago(Duration::ZERO)
    }

    /// The token that was live this long ago.
    pub fn live_ago(&self, ago: Duration) -> Token {
        value_at(&self.state().live, Instant::now() - ago).unwrap_or_else(|| token(0))
    }

    /// From now on a token that ever was live is let in, as if resets did not reach QStash.
    pub fn let_old_tokens_in(&self) {
        self.state().lets_old_tokens_in = true;
    }

    /// Whether QStash lets a token in, if the news of a reset take `lag`. A lag only ever makes the
    /// gate late to open: an old token is dead at once.
    pub(crate) fn lets_in(&self, token: &Token, lag: Duration) -> bool {
        if self.state().lets_old_tokens_in {
            return self.resets().iter().any(|change| change.value.as_ref() == Some(token));
        }
        self.live() == *token && self.live_ago(lag) == *token
    }

    /// Every token that ever was live, oldest first.
    pub fn resets(&self) -> Vec<Change> {
        self.state().live.clone()
    }

    /// What the sink of this index holds.
    pub fn held(&self, sink: usize) -> Option<Token> {
        self.held_ago(sink, Duration::ZERO)
    }

    /// What it held this long ago.
    pub fn held_ago(&self, sink: usize, ago: Duration) -> Option<Token> {
        value_at(&self.state().sinks[sink], Instant::now() - ago)
    }

    /// All that it ever held, oldest first.
    pub fn history(&self, sink: usize) -> Vec<Change> {
        self.state().sinks[sink].clone()
    }

    /// How often the sink was stored, up to this long ago: a version number.
    pub fn version_ago(&self, sink: usize, ago: Duration) -> usize {
        let until = Instant::now() - ago;
        self.state().sinks[sink].iter().filter(|change| change.at <= until).count()
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Called> {
        self.state().calls.clone()
    }

    /// Somebody else resets the token.
    pub fn reset_externally(&self) {
        self.reset(Author::Stranger);
    }

    /// Somebody else stores something in a sink.
    pub fn store_externally(&self, sink: usize, value: Option<Token>) {
        self.store(sink, value, Author::Stranger);
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

    /// Notes the call and asks the script what becomes of it.
    pub(crate) fn called(&self, run: u32, call: Call, token: Option<&Token>) -> ScriptedResponse {
        let mut state = self.state();
        let fate = state.script.fate(call);
        let (at, token) = (Instant::now(), token.cloned());
        state.calls.push(Called { at, call, run, token, fate });
        fate
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("World").field("live", &state.live).field("sinks", &state.sinks).finish()
    }
}

/// The token that the `generation`th reset brings.
fn token(generation: usize) -> Token {
    Token::new(format!("made-up-token-{generation:04}"))
}

fn value_at(history: &[Change], moment: Instant) -> Option<Token> {
    let known = history.iter().rev().find(|change| change.at <= moment).or(history.first());
    known.and_then(|change| change.value.clone())
}

/// Lets something happen in the world, whether or not the caller still waits: what has left this
/// machine cannot be called back.
pub(crate) fn lands<T: Send + 'static>(
    after: Duration,
    happens: impl FnOnce() -> T + Send + 'static,
) -> tokio::task::JoinHandle<T> {
    tokio::spawn(async move {
        sleep(after).await;
        happens()
    })
}
