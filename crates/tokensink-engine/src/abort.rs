//! The errors that end a command early.

use std::time::Duration;

/// An error that ended a command early. The message names the cause; the report names the sinks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Abort {
    /// The user interrupted the run before anything was changed.
    #[error("interrupted")]
    Interrupted,
    /// There is no journal, which a reset needs in order to know the earlier runs.
    #[error("a reset needs a journal, and there is none")]
    NoHistory,
    /// An earlier run is not finished.
    #[error("{0}")]
    Unfinished(String),
    /// The source did not return the live token.
    #[error("{0}")]
    Source(String),
    /// QStash does not accept the source's current token.
    #[error("QStash does not accept the current token of {0}")]
    TokenNotAccepted(String),
    /// The run could not be recorded.
    #[error("{0}")]
    Journal(String),
    /// The token was reset by another program before our reset.
    #[error("another program reset the token in the meantime; it was not reset again")]
    TokenReplaced,
    /// Required sinks cannot be written.
    #[error("a required sink is not ready")]
    Obstructed,
    /// The sinks would be stale for too long.
    #[error("the sinks would be stale for longer than allowed")]
    OutageTooLong {
        /// The expected outage.
        forecast: Duration,
        /// The maximum outage.
        allowed: Duration,
        /// The cause that takes longest.
        dominated_by: String,
        /// A way to shorten it.
        advice: Option<String>,
    },
    /// The proof of a write failed at these required sinks.
    #[error("a required sink refused the proof of a write")]
    ProofFailed(Vec<String>),
    /// These required sinks can neither be proven writable nor be rehearsed.
    #[error("a required sink can neither be proven writable nor be rehearsed")]
    NotRehearsable(Vec<String>),
    /// The rehearsal failed at these required sinks.
    #[error("the rehearsal failed")]
    RehearsalFailed(Vec<String>),
    /// The reset did not happen.
    #[error("{0}")]
    NotReset(String),
    /// It is not known whether the reset happened.
    #[error("it is not known whether the token was reset: {0}")]
    ResetUnknown(String),
}
