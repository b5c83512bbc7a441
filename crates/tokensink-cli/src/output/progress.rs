//! Progress on standard error: a spinner on a terminal, nothing elsewhere.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokensink_engine::{Event, Progress, State};

/// Shows a person what is going on.
#[derive(Debug)]
pub(crate) struct Watcher {
    bar: ProgressBar,
    total: AtomicUsize,
    done: AtomicUsize,
}

impl Watcher {
    /// A watcher that draws where standard error is a terminal.
    pub(crate) fn start() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, total: AtomicUsize::new(0), done: AtomicUsize::new(0) }
    }

    /// Takes the spinner away, so that something else may be printed.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn phase(&self, total: usize, doing: &str) {
        self.total.store(total, Ordering::Relaxed);
        self.done.store(0, Ordering::Relaxed);
        let plural = if total == 1 { "" } else { "s" };
        self.bar.set_message(format!("{doing} {total} sink{plural}"));
    }

    fn one_more(&self, name: &str, how: &str) {
        let done = 1 + self.done.fetch_add(1, Ordering::Relaxed);
        let total = self.total.load(Ordering::Relaxed);
        self.bar.set_message(format!("{done}/{total} {how}: {name}"));
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Progress for Watcher {
    fn on(&self, event: &Event<'_>) {
        match event {
            Event::Preparing { total } => self.phase(*total, "preparing"),
            Event::Prepared { sink, ready: true } => self.one_more(&sink.name, "ready"),
            Event::Prepared { sink, ready: false } => self.one_more(&sink.name, "not ready"),
            Event::Rehearsing { total } => self.phase(*total, "rehearsing on"),
            Event::AwaitingRoom => self.bar.set_message("waiting until the providers have room"),
            Event::Resetting => self.bar.set_message("resetting the token"),
            Event::FanningOut { total } => self.phase(*total, "writing to"),
            Event::Written { sink, state: State::Current } => {
                self.one_more(&sink.name, "acknowledged");
            }
            Event::Written { sink, .. } => self.one_more(&sink.name, "failed"),
            Event::Settling => self.bar.set_message("verifying"),
            Event::Superseded => self.bar.set_message("someone else reset the token: pushing it"),
            _ => {}
        }
    }
}
