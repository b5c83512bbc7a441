//! A sink as the coordinator sees it: the plugin's part and the options that every sink has.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use tokensink_core::{SinkError, SinkErrorKind, TakesEffect, TargetId, TokenSink};

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
    /// Overrides what the plugin says.
    pub takes_effect: Option<TakesEffect>,
    /// The plugin's part.
    pub target: Box<dyn TokenSink>,
}

impl Sink {
    /// The longest that one attempt may take when `deadline` is for all of them.
    pub fn attempt_timeout(deadline: Duration) -> Duration {
        deadline / ATTEMPTS_WITHIN_DEADLINE
    }

    /// The identity of the target.
    pub fn id(&self) -> TargetId {
        self.target.target()
    }

    /// When a write there takes effect.
    pub fn takes_effect(&self) -> TakesEffect {
        self.takes_effect.unwrap_or_else(|| self.target.takes_effect())
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
    pub advice: Option<String>,
}

impl Failure {
    /// Stands where nobody looked yet.
    pub(crate) fn not_asked() -> Self {
        Self { kind: SinkErrorKind::Other, message: "not asked".to_owned(), advice: None }
    }

    pub(crate) fn panicked() -> Self {
        Self {
            kind: SinkErrorKind::Other,
            message: "the plugin panicked".to_owned(),
            advice: Some("this is a bug in the plugin: report it to its authors".to_owned()),
        }
    }
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Self {
        let advice = error.help().map(str::to_owned);
        Self { kind: error.kind(), message: error_chain(&error), advice }
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
        match &self.advice {
            Some(advice) => write!(f, " ({advice})"),
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
