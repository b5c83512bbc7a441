//! What can go wrong at a sink or at the issuer, sorted by what the coordinator does about it.
//!
//! Messages are lowercase fragments that name the thing and the reason; `advice` is the next step.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// Why a sink could not be built, prepared, written or inspected.
#[derive(Debug)]
pub struct SinkError {
    kind: SinkErrorKind,
    message: String,
    advice: Option<String>,
    source: Option<Source>,
}

/// What the coordinator does about a [`SinkError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SinkErrorKind {
    /// The table is wrong. Nothing is started; exit code 2.
    Config,
    /// The credential is missing, expired, or not allowed to. Not retried.
    Denied,
    /// The target does not exist. Not retried.
    NotFound,
    /// The target exists and cannot hold this value. Not retried.
    Refused,
    /// Someone else wrote in between: prepared and written again.
    Conflict,
    /// The provider asks for a pause of this length. Waited for, and not counted against the
    /// sink's deadline.
    Limited {
        /// How long from now until the provider takes requests again.
        wait: Duration,
    },
    /// May pass: tried again, with backoff, until the sink's deadline.
    Transient,
    /// None of the above. Not retried.
    Other,
}

impl SinkError {
    fn new(kind: SinkErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), advice: None, source: None }
    }

    /// See [`SinkErrorKind::Config`]. Quote the option that is wrong in backticks, before anything
    /// else in backticks: the command line looks for its line in the config, and gives a value from
    /// the environment another type where the option does not take a text.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(SinkErrorKind::Config, message)
    }

    /// See [`SinkErrorKind::Denied`].
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(SinkErrorKind::Denied, message)
    }

    /// See [`SinkErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(SinkErrorKind::NotFound, message)
    }

    /// See [`SinkErrorKind::Refused`].
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(SinkErrorKind::Refused, message)
    }

    /// See [`SinkErrorKind::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(SinkErrorKind::Conflict, message)
    }

    /// See [`SinkErrorKind::Limited`].
    pub fn limited(wait: Duration, message: impl Into<String>) -> Self {
        Self::new(SinkErrorKind::Limited { wait }, message)
    }

    /// See [`SinkErrorKind::Transient`].
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(SinkErrorKind::Transient, message)
    }

    /// See [`SinkErrorKind::Other`].
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(SinkErrorKind::Other, message)
    }

    /// Adds what the reader should do next: an imperative, lowercase, without a full stop.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// Adds the error underneath. Its whole chain is shown, so it must carry no secret.
    #[must_use]
    pub fn because(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the coordinator does about it.
    pub fn kind(&self) -> SinkErrorKind {
        self.kind
    }

    /// What the reader should do next, if the sink knows.
    pub fn advice(&self) -> Option<&str> {
        self.advice.as_deref()
    }
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for SinkError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Why the issuer could not be asked. The message says which service, what it answered, and what
/// to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// The answer will be the same next time: a wrong key, an account that may not, no such id.
    #[error("{message}")]
    Permanent {
        /// What was asked, why it failed, what to do next.
        message: String,
    },
    /// May pass: tried again while there is time.
    #[error("{message}")]
    Transient {
        /// What was asked and why it failed.
        message: String,
        /// The pause the service asked for, if it named one.
        wait: Option<Duration>,
    },
}

/// How a reset failed: the distinction on which everything after it hangs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResetError {
    /// It is certain that the request never left (refused connection, name look-up, TLS
    /// handshake). The only case in which it may be sent again.
    #[error("the reset was not sent: {message}")]
    NotSent {
        /// Why it was not sent.
        message: String,
    },
    /// The service answered that it did not do it. Nothing was changed.
    #[error("the reset was refused: {message}")]
    Refused {
        /// What the service said, and what to do next.
        message: String,
    },
    /// The request may have taken effect, or may still. Never sent again; the current token is
    /// read and compared instead.
    #[error("the outcome of the reset is not known: {message}")]
    OutcomeUnknown {
        /// What happened instead of a readable answer.
        message: String,
    },
}
