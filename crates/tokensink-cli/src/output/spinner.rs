//! The spinner. Drawing it blocks on the terminal, so only the thread of standard error uses it.

use indicatif::{ProgressBar, ProgressStyle};

use super::printable::Printable;

/// Shows a status, if there is one.
#[derive(Debug, Default)]
pub(super) struct Spinner(Option<ProgressBar>);

impl Spinner {
    pub(super) fn is_visible(&self) -> bool {
        self.0.is_some()
    }

    /// Shows `status`, or removes the spinner if there is none.
    pub(super) fn show(&mut self, status: Option<Printable>) {
        match status {
            Some(status) => {
                let bar = self.0.get_or_insert_with(start);
                // Both `tick` and `set_message` draw, and one of them is enough.
                if bar.message() == status.as_str() {
                    bar.tick();
                } else {
                    bar.set_message(status.as_str().to_owned());
                }
            }
            None => {
                if let Some(bar) = self.0.take() {
                    bar.finish_and_clear();
                }
            }
        }
    }

    /// Removes the spinner while `print` runs.
    pub(super) fn suspend(&self, print: impl FnOnce()) {
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
