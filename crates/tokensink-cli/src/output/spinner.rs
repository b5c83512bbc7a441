//! The spinner. It is drawn where it is called, and waits for the terminal: on one thread only.

use indicatif::{ProgressBar, ProgressStyle};

use super::printable::Printable;

/// Says what is going on, while something is.
#[derive(Debug, Default)]
pub(super) struct Spinner(Option<ProgressBar>);

impl Spinner {
    pub(super) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    /// Turns, and says `doing`; or goes away.
    pub(super) fn show(&mut self, doing: Option<Printable>) {
        match doing {
            Some(doing) => {
                let bar = self.0.get_or_insert_with(start);
                // Either of them draws.
                if bar.message() == doing.as_str() {
                    bar.tick();
                } else {
                    bar.set_message(doing.as_str().to_owned());
                }
            }
            None => {
                if let Some(bar) = self.0.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }

    /// Lets something else be printed.
    pub(super) fn step_aside(&self, print: impl FnOnce()) {
        match &self.0 {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

fn start() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    match ProgressStyle::with_template("{spinner} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
