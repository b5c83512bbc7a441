//! A sink in the engine: the plugin's sink with the options that every sink has.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokensink_core::{SinkError, SinkErrorKind, SinkInfo, TakesEffect, TokenSink};

/// The number of attempts that must fit into a sink's deadline, including the pauses between them.
const ATTEMPTS_WITHIN_DEADLINE: u32 = 8;

/// One target of one `[sinks.NAME]` table.
#[derive(Debug)]
pub struct Sink {
    /// The table's name. A table with several targets has several sinks with the same name.
    pub name: String,
    /// The table's kind.
    pub kind: String,
    /// Whether a run is complete only if this sink is current.
    pub required: bool,
    /// The priority. Sinks with a higher one are written earlier if a rate limit forces an order.
    pub priority: i32,
    /// The time limit of all attempts together, without pauses that a provider demands.
    pub deadline: Duration,
    /// The plugin's facts, captured when the sink was built, with the table's `takes_effect`.
    pub info: SinkInfo,
    /// The plugin's sink.
    pub plugin: Box<dyn TokenSink>,
}

/// The options that every `[sinks.NAME]` table has.
#[derive(Clone, Copy, Debug)]
pub struct SinkOptions {
    /// See [`Sink::required`].
    pub required: bool,
    /// See [`Sink::priority`].
    pub priority: i32,
    /// See [`Sink::deadline`].
    pub deadline: Duration,
    /// Overrides the plugin's value.
    pub takes_effect: Option<TakesEffect>,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self { required: true, priority: 0, deadline: Duration::from_secs(60), takes_effect: None }
    }
}

impl Sink {
    /// Creates a sink of the table `name` and captures the facts of `plugin`.
    pub fn new(
        name: impl Into<String>,
        kind: impl Into<String>,
        options: SinkOptions,
        plugin: Box<dyn TokenSink>,
    ) -> Self {
        let SinkOptions { required, priority, deadline, takes_effect } = options;
        let mut info = plugin.info().clone();
        info.takes_effect = takes_effect.unwrap_or(info.takes_effect);
        Self { name: name.into(), kind: kind.into(), required, priority, deadline, info, plugin }
    }

    /// Returns the time limit of one attempt if `deadline` is the limit of all attempts.
    pub fn attempt_timeout(deadline: Duration) -> Duration {
        deadline / ATTEMPTS_WITHIN_DEADLINE
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.info.label)
    }
}

/// An error of a sink as text, with its chain of causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkFailure {
    /// The kind, which decides whether the attempt is repeated.
    pub kind: SinkErrorKind,
    /// The action and the reason.
    pub message: String,
    /// The user's next step, if the sink knows it.
    pub help: Option<String>,
}

impl SinkFailure {
    /// Returns the value for a sink that was not inspected or written yet.
    pub(crate) fn not_asked() -> Self {
        Self { kind: SinkErrorKind::Other, message: "not asked".to_owned(), help: None }
    }

    /// Returns the error for a destination that the user did not agree to.
    pub(crate) fn destination_changed(destination: &str) -> Self {
        Self {
            kind: SinkErrorKind::Rejected,
            message: format!(
                "the destination changed after you agreed to it: it now {destination}"
            ),
            help: Some("run the command again, which shows it and asks".to_owned()),
        }
    }

    pub(crate) fn panicked() -> Self {
        Self {
            kind: SinkErrorKind::Other,
            message: "the plugin panicked".to_owned(),
            help: Some("this is a bug in the plugin: report it to its authors".to_owned()),
        }
    }
}

impl From<SinkError> for SinkFailure {
    fn from(error: SinkError) -> Self {
        let help = error.help().map(str::to_owned);
        Self { kind: error.kind(), message: error_chain(&error), help }
    }
}

/// Returns the error and its causes, outermost first. A cause that is part of the message before it is
/// omitted.
pub fn error_chain(error: &dyn Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
        cause = inner.source();
    }
    message
}

impl fmt::Display for SinkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_the_message_quotes_is_not_repeated() {
        let disk = || std::io::Error::other("the disk is full");
        let plain = SinkError::other("could not write it").with_source(disk());
        assert_eq!(error_chain(&plain), "could not write it: the disk is full");
        let quoting = SinkError::other("could not write it: the disk is full").with_source(disk());
        assert_eq!(error_chain(&quoting), "could not write it: the disk is full");
    }
}
