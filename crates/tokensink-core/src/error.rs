//! What can fail at a sink or at the issuer, by what the engine does about it.
//!
//! Messages are lowercase fragments that name the thing and the reason; the help is the next step.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// Why a sink could not be built, prepared, written or inspected.
#[derive(Debug)]
pub struct SinkError {
    kind: SinkErrorKind,
    message: String,
    option: Option<String>,
    help: Option<String>,
    source: Option<Source>,
}

/// What the engine does about a [`SinkError`]; see [`retry_policy`](Self::retry_policy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SinkErrorKind {
    /// The table is wrong. Nothing is started; exit code 2.
    Config,
    /// The credential is missing, expired, or lacks a permission.
    PermissionDenied,
    /// The target does not exist.
    NotFound,
    /// The target exists and cannot hold this value.
    Rejected,
    /// Another writer came in between.
    Conflict,
    /// The provider asks for a pause.
    RateLimited {
        /// How long from now until the provider accepts requests again.
        retry_after: Duration,
    },
    /// May pass by itself: a timeout, a broken connection, a server error.
    Transient,
    /// None of the above.
    Other,
}

/// What the engine does after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryPolicy {
    /// Gives up: the next attempt would fail in the same way.
    Never,
    /// Gives up while the old token is still accepted, because the user can then fix the cause at no
    /// cost. After it was revoked, tries again with backoff until the sink's deadline: the response
    /// does not prove that the cause is permanent.
    OnceRevoked,
    /// Tries again with backoff until the sink's deadline.
    Backoff,
    /// Prepares again, then tries again with backoff until the sink's deadline.
    PrepareAgain,
    /// Waits this long, which does not count towards the sink's deadline, and tries again.
    After(Duration),
}

impl SinkErrorKind {
    /// Returns what the engine does after an error of this kind. Exhaustive, so that a new kind
    /// cannot be forgotten.
    pub fn retry_policy(self) -> RetryPolicy {
        match self {
            Self::Config => RetryPolicy::Never,
            Self::PermissionDenied | Self::NotFound | Self::Rejected | Self::Other => {
                RetryPolicy::OnceRevoked
            }
            Self::Conflict => RetryPolicy::PrepareAgain,
            Self::RateLimited { retry_after } => RetryPolicy::After(retry_after),
            Self::Transient => RetryPolicy::Backoff,
        }
    }
}

impl SinkError {
    /// Creates an error of a kind that was computed, such as from an HTTP status.
    pub fn of_kind(kind: SinkErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), option: None, help: None, source: None }
    }

    /// See [`SinkErrorKind::Config`]. Name the option with [`for_option`](Self::for_option).
    pub fn config(message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::Config, message)
    }

    /// See [`SinkErrorKind::PermissionDenied`].
    pub fn permission_denied(message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::PermissionDenied, message)
    }

    /// See [`SinkErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::NotFound, message)
    }

    /// See [`SinkErrorKind::Rejected`].
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::Rejected, message)
    }

    /// See [`SinkErrorKind::Conflict`].
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::Conflict, message)
    }

    /// See [`SinkErrorKind::RateLimited`].
    pub fn rate_limited(retry_after: Duration, message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::RateLimited { retry_after }, message)
    }

    /// See [`SinkErrorKind::Transient`].
    pub fn transient(message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::Transient, message)
    }

    /// See [`SinkErrorKind::Other`].
    pub fn other(message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::Other, message)
    }

    /// Names the option of the table that is wrong: the command line finds its line in the config.
    #[must_use]
    pub fn for_option(mut self, option: impl Into<String>) -> Self {
        self.option = Some(option.into());
        self
    }

    /// Adds what the reader should do next: an imperative, lowercase, without a full stop.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the underlying error. Its whole chain is shown, so it must carry no secret.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind, which decides what the engine does.
    pub fn kind(&self) -> SinkErrorKind {
        self.kind
    }

    /// The option of the table that is wrong, if the error is about one.
    pub fn option(&self) -> Option<&str> {
        self.option.as_deref()
    }

    /// What the reader should do next, if the sink knows.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
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

/// Why the issuer could not be asked. The message says which service, what it responded, and what
/// to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// The response will be the same next time: a wrong key, a missing permission, no such id.
    #[error("{message}")]
    Permanent {
        /// What was asked, why it failed, what to do next.
        message: String,
    },
    /// May pass by itself: tried again while there is time.
    #[error("{message}")]
    Transient {
        /// What was asked and why it failed.
        message: String,
        /// The pause that the service asked for, if it named one.
        retry_after: Option<Duration>,
    },
}

/// How a reset failed. Everything after a reset depends on this distinction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResetError {
    /// It is certain that the request never left (refused connection, name lookup, TLS handshake).
    /// The only case in which it may be sent again.
    #[error("the reset was not sent: {message}")]
    NotSent {
        /// Why it was not sent.
        message: String,
    },
    /// The service responded that it did not do it. Somebody in between may have made that
    /// response after the request went through: it is believed once the old token was accepted for
    /// the settling window.
    #[error("the reset was refused: {message}")]
    Refused {
        /// What the service said, and what to do next.
        message: String,
    },
    /// The request may have taken effect, or may still. Never sent again; the current token is
    /// read and compared instead.
    #[error("the outcome of the reset is not known: {message}")]
    OutcomeUnknown {
        /// What happened instead of a readable response.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_permanent_is_retried_only_once_the_old_token_is_revoked() {
        for (error, policy) in [
            (SinkError::config("x"), RetryPolicy::Never),
            (SinkError::permission_denied("x"), RetryPolicy::OnceRevoked),
            (SinkError::not_found("x"), RetryPolicy::OnceRevoked),
            (SinkError::rejected("x"), RetryPolicy::OnceRevoked),
            (SinkError::other("x"), RetryPolicy::OnceRevoked),
            (SinkError::conflict("x"), RetryPolicy::PrepareAgain),
            (SinkError::transient("x"), RetryPolicy::Backoff),
            (
                SinkError::rate_limited(Duration::from_secs(1), "x"),
                RetryPolicy::After(Duration::from_secs(1)),
            ),
        ] {
            assert_eq!(error.kind().retry_policy(), policy, "{:?}", error.kind());
        }
    }
}
