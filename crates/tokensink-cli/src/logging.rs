//! Logs, as `RUST_LOG` selects them. Only those of tokensink's own crates: a library's log could contain
//! a header with a credential.

use std::io::{self, Write};
use std::str::FromStr as _;

use tokensink_core::Environment;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

pub(crate) fn start(environment: &Environment) {
    let Some(asked) = environment.setting("RUST_LOG") else { return };
    let targets = match Targets::from_str(asked) {
        Ok(targets) => targets,
        Err(error) => {
            crate::output::warn(&format!("RUST_LOG is not valid: {error}"));
            return;
        }
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Lines)
        .with_ansi(false)
        // It would print to standard error directly, and panic if that is closed.
        .log_internal_errors(false);
    let ours = filter_fn(|metadata| metadata.target().starts_with("tokensink"));
    // The only error is that a subscriber was installed before, and then logs are enabled.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(targets).with_filter(ours))
        .try_init();
}

/// Queues lines for standard error, so that logging never blocks.
struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        crate::output::log(&String::from_utf8_lossy(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
