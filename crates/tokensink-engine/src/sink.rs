//! A sink as the coordinator sees it: the plugin's part and the options that every sink has.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokensink_core::{SinkError, SinkErrorKind, SinkInfo, TakesEffect, TokenSink};

/// How many attempts must fit into a sink's deadline, pauses between them included.
const ATTEMPTS_WITHIN_DEADLINE: u32 = 8;

/// One target of one `[sinks.NAME]` table.
#[derive(Debug)]
pub struct Sink {
    /// The table's name. A table with several targets gives several sinks of one name.
    pub name: String,
    /// The table's kind.
    pub kind: String,
    /// A run that fails here is not complete. Others are reported only.
    pub required: bool,
    /// The higher, the earlier where a limit forces an order.
    pub priority: i32,
    /// How long the coordinator keeps trying, not counting pauses that a provider demands.
    pub deadline: Duration,
    /// The plugin's facts, captured when the sink was built, with the table's `takes_effect`.
    pub info: SinkInfo,
    /// The plugin's part.
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
    /// Overrides what the plugin reports.
    pub takes_effect: Option<TakesEffect>,
}

impl Default for SinkOptions {
    fn default() -> Self {
        Self { required: true, priority: 0, deadline: Duration::from_secs(60), takes_effect: None }
    }
}

impl Sink {
    /// A sink of the table `name`. Captures the facts about `plugin`.
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

    /// The longest that one attempt may take when `deadline` is for all of them.
    pub fn attempt_timeout(deadline: Duration) -> Duration {
        deadline / ATTEMPTS_WITHIN_DEADLINE
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.info.label)
    }
}

/// What went wrong at a sink, with its whole chain of causes, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Decides whether it is worth another try.
    pub kind: SinkErrorKind,
    /// What was being done, and why it failed.
    pub message: String,
    /// What the reader should do next, if the sink knows.
    pub help: Option<String>,
}

impl Failure {
    /// Stands where nobody looked yet.
    pub(crate) fn not_asked() -> Self {
        Self { kind: SinkErrorKind::Other, message: "not asked".to_owned(), help: None }
    }

    /// The destination is not one that the user agreed to.
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

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        let help = error.help().map(str::to_owned);
        Self { kind: error.kind(), message: error_chain(&error), help }
    }
}

/// An error and its causes, outermost first; a cause that its parent quotes is not repeated.
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

impl fmt::Display for Failure {
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
    fn a_chain_of_causes_is_told_once() {
        let disk = || std::io::Error::other("the disk is full");
        let plain = SinkError::other("could not write it").with_source(disk());
        assert_eq!(error_chain(&plain), "could not write it: the disk is full");
        let quoting = SinkError::other("could not write it: the disk is full").with_source(disk());
        assert_eq!(error_chain(&quoting), "could not write it: the disk is full");
    }
}
