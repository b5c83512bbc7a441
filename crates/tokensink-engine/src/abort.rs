//! Why a command ended before its work was done.

use std::time::Duration;

/// Why a command ended before its work was done. Every message says what stopped it; the sinks that
/// stopped it are named in the report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Abort {
    /// Ctrl-C came while nothing was changed.
    #[error("interrupted")]
    Interrupted,
    /// A reset must know what earlier runs did.
    #[error("a reset needs a journal, and there is none")]
    NoHistory,
    /// An earlier run is not finished.
    #[error("{0}")]
    Unfinished(String),
    /// The source did not return the live token.
    #[error("{0}")]
    Source(String),
    /// QStash does not accept the token that the source shows.
    #[error("QStash does not accept the current token of {0}")]
    TokenNotAccepted(String),
    /// The run could not be recorded.
    #[error("{0}")]
    Journal(String),
    /// Another reset came before ours.
    #[error("someone else reset the token meanwhile; it was not reset again")]
    TokenReplaced,
    /// Required sinks cannot be written.
    #[error("a required sink is not ready")]
    Obstructed,
    /// The sinks would be stale for too long.
    #[error("the sinks would be stale for longer than allowed")]
    OutageTooLong {
        /// How long they would be.
        forecast: Duration,
        /// How long they may be.
        allowed: Duration,
        /// What takes longest.
        dominated_by: String,
        /// What would shorten it.
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
