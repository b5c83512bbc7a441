//! Logs for people who look for a fault: ours alone, whatever `RUST_LOG` asks for. A library's log
//! may quote a header.

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
            crate::output::warn(&format!("RUST_LOG is not understood: {error}"));
            return;
        }
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(|| Lines)
        .with_ansi(false)
        // It would complain on standard error, and panic where that is closed.
        .log_internal_errors(false);
    let ours = filter_fn(|metadata| metadata.target().starts_with("tokensink"));
    // The only error is a subscriber that is there already, and then logs are on.
    let _ = tracing_subscriber::registry()
        .with(lines.with_filter(targets).with_filter(ours))
        .try_init();
}

/// Hands over what is written: a log must not hold up what it tells of.
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
