//! Progress on standard error: a spinner on a terminal, nothing elsewhere.

use std::io::{IsTerminal as _, stderr};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokensink_engine::{Event, Progress, State};

use super::print_sentence_stderr;
use super::standard_error::{flush, spin};

/// Tells a person what is going on. It never waits for the terminal.
#[derive(Debug)]
pub(crate) struct ProgressReporter {
    is_watched: bool,
    total: AtomicUsize,
    done: AtomicUsize,
}

impl ProgressReporter {
    /// A watcher that speaks where standard error is a terminal.
    pub(crate) fn start() -> Self {
        let is_watched = stderr().is_terminal();
        Self { is_watched, total: AtomicUsize::new(0), done: AtomicUsize::new(0) }
    }

    /// Takes the spinner away until there is news, so that something else may be printed.
    pub(crate) fn clear(&self) {
        if self.is_watched {
            spin(None);
            flush();
        }
    }

    fn show(&self, doing: &str) {
        if self.is_watched {
            spin(Some(doing));
        }
    }

    fn phase(&self, total: usize, doing: &str) {
        self.total.store(total, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
        let plural = if total == 1 { "" } else { "s" };
        self.show(&format!("{doing} {total} sink{plural}"));
    }

    fn are_all_done(&self) -> bool {
        self.done.load(Ordering::Relaxed) == self.total.load(Ordering::Relaxed)
    }

    fn one_more(&self, name: &str, how: &str) {
        let done = 1 + self.done.fetch_add(1, Ordering::Relaxed);
        let total = self.total.load(Ordering::Relaxed);
        self.show(&format!("{done}/{total} {how}: {name}"));
    }
}

impl Drop for ProgressReporter {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Progress for ProgressReporter {
    fn on(&self, event: &Event<'_>) {
        match event {
            Event::Preparing { total } => self.phase(*total, "preparing"),
            Event::Prepared { sink, ready } => {
                self.one_more(&sink.name, if *ready { "ready" } else { "not ready" });
                if self.are_all_done() {
                    self.show("asking which token is live, and where");
                }
            }
            Event::Proving { total } => self.phase(*total, "proving writes to"),
            Event::Rehearsing { total } => self.phase(*total, "rehearsing on"),
            Event::AwaitingRoom => self.show("waiting until the providers have room"),
            Event::Resetting => self.show("resetting the token"),
            Event::FanningOut { total } => self.phase(*total, "writing to"),
            Event::Written { sink, state: State::Current } => {
                self.one_more(&sink.name, "acknowledged");
            }
            Event::Written { sink, .. } => self.one_more(&sink.name, "failed"),
            Event::Settling => self.show("verifying"),
            Event::Superseded => self.show("someone else reset the token: pushing it"),
            Event::Interrupted => {
                print_sentence_stderr(
                    "what was begun is finished first; a second Ctrl-C abandons it",
                );
            }
            _ => {}
        }
    }
}
