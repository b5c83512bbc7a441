//! Progress on standard error: a spinner if it is a terminal, otherwise nothing.

use std::io::{IsTerminal as _, stderr};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokensink_engine::{Event, Progress, State};

use super::print_sentence_stderr;
use super::standard_error::{flush, show_status};

/// Shows the progress of a run. It never waits for the terminal.
#[derive(Debug)]
pub(crate) struct ProgressReporter {
    is_terminal: bool,
    total: AtomicUsize,
    done: AtomicUsize,
}

impl ProgressReporter {
    /// Creates a reporter. It prints nothing unless standard error is a terminal.
    pub(crate) fn start() -> Self {
        let is_terminal = stderr().is_terminal();
        Self { is_terminal, total: AtomicUsize::new(0), done: AtomicUsize::new(0) }
    }

    /// Removes the spinner until the next event, so that other output is readable.
    pub(crate) fn clear(&self) {
        if self.is_terminal {
            show_status(None);
            flush();
        }
    }

    fn show(&self, status: &str) {
        if self.is_terminal {
            show_status(Some(status));
        }
    }

    fn start_phase(&self, total: usize, activity: &str) {
        self.total.store(total, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
        let plural = if total == 1 { "" } else { "s" };
        self.show(&format!("{activity} {total} sink{plural}"));
    }

    fn is_phase_done(&self) -> bool {
        self.done.load(Ordering::Relaxed) == self.total.load(Ordering::Relaxed)
    }

    fn count(&self, name: &str, result: &str) {
        let done = 1 + self.done.fetch_add(1, Ordering::Relaxed);
        let total = self.total.load(Ordering::Relaxed);
        self.show(&format!("{done}/{total} {result}: {name}"));
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
            Event::Preparing { total } => self.start_phase(*total, "preparing"),
            Event::Prepared { sink, ready } => {
                self.count(&sink.name, if *ready { "ready" } else { "not ready" });
                if self.is_phase_done() {
                    self.show("comparing the sinks with the live token");
                }
            }
            Event::Proving { total } => self.start_phase(*total, "testing write access to"),
            Event::Rehearsing { total } => self.start_phase(*total, "rehearsing on"),
            Event::AwaitingRoom => self.show("waiting for the providers' rate limits"),
            Event::Resetting => self.show("resetting the token"),
            Event::FanningOut { total } => self.start_phase(*total, "writing to"),
            Event::Written { sink, state: State::Current } => {
                self.count(&sink.name, "acknowledged");
            }
            Event::Written { sink, .. } => self.count(&sink.name, "failed"),
            Event::Settling => self.show("verifying"),
            Event::Superseded => self.show("the token was reset again: writing the newer one"),
            Event::Interrupted => {
                print_sentence_stderr(
                    "finishing the current step first; a second Ctrl-C abandons it",
                );
            }
            _ => {}
        }
    }
}
