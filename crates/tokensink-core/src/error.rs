//! Errors of sinks and of the issuer, classified by the engine's reaction to them.
//!
//! A message is a lowercase fragment that names the action, the object and the reason, such as
//! `cannot write .env: permission denied`. The help is the next step.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

type Source = Box<dyn StdError + Send + Sync + 'static>;

/// An error while building, preparing, writing or inspecting a sink.
#[derive(Debug)]
pub struct SinkError {
    kind: SinkErrorKind,
    message: String,
    option: Option<String>,
    help: Option<String>,
    source: Option<Source>,
}

/// The kind of a [`SinkError`], which decides how the engine reacts; see
/// [`retry_policy`](Self::retry_policy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SinkErrorKind {
    /// The table is invalid. Nothing is started, and the exit code is 2.
    Config,
    /// The credential is missing, expired, or lacks a permission.
    PermissionDenied,
    /// The target does not exist.
    NotFound,
    /// The target exists and cannot hold this value.
    Rejected,
    /// Another program wrote the target in the meantime.
    Conflict,
    /// The provider's rate limit is reached.
    RateLimited {
        /// How long from now until the provider accepts requests again.
        retry_after: Duration,
    },
    /// Probably temporary: a timeout, a broken connection, a server error.
    Transient,
    /// None of the above.
    Other,
}

/// The engine's reaction to an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryPolicy {
    /// Does not retry, because the next attempt would fail in the same way.
    Never,
    /// Does not retry while the old token is still accepted: the user can then fix the cause without
    /// an outage. After it was revoked, retries with backoff until the sink's deadline, because the
    /// response does not prove that the cause is permanent.
    OnceRevoked,
    /// Retries with backoff until the sink's deadline.
    Backoff,
    /// Prepares the sink again, then retries with backoff until the sink's deadline.
    PrepareAgain,
    /// Waits this long, which does not count towards the sink's deadline, and retries.
    After(Duration),
}

impl SinkErrorKind {
    /// Returns what the engine does after an error of this kind. The match is exhaustive, so that a
    /// new kind cannot be forgotten.
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
    /// Creates an error of a computed kind, for example of one derived from an HTTP status.
    pub fn of_kind(kind: SinkErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), option: None, help: None, source: None }
    }

    /// Creates an error of kind [`Config`](SinkErrorKind::Config). Name the option with
    /// [`for_option`](Self::for_option).
    pub fn config(message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::Config, message)
    }

    /// Creates an error of kind [`PermissionDenied`](SinkErrorKind::PermissionDenied).
    pub fn permission_denied(message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::PermissionDenied, message)
    }

    /// Creates an error of kind [`NotFound`](SinkErrorKind::NotFound).
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::NotFound, message)
    }

    /// Creates an error of kind [`Rejected`](SinkErrorKind::Rejected).
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::Rejected, message)
    }

    /// Creates an error of kind [`Conflict`](SinkErrorKind::Conflict).
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::Conflict, message)
    }

    /// Creates an error of kind [`RateLimited`](SinkErrorKind::RateLimited).
    pub fn rate_limited(retry_after: Duration, message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::RateLimited { retry_after }, message)
    }

    /// Creates an error of kind [`Transient`](SinkErrorKind::Transient).
    pub fn transient(message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::Transient, message)
    }

    /// Creates an error of kind [`Other`](SinkErrorKind::Other).
    pub fn other(message: impl Into<String>) -> Self {
        Self::of_kind(SinkErrorKind::Other, message)
    }

    /// Names the invalid option of the table, so that the message can show its line in the config.
    #[must_use]
    pub fn for_option(mut self, option: impl Into<String>) -> Self {
        self.option = Some(option.into());
        self
    }

    /// Adds the user's next step: a lowercase imperative without a full stop.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds the underlying error. Its whole chain is shown, so it must not contain a secret.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns the kind, which decides how the engine reacts.
    pub fn kind(&self) -> SinkErrorKind {
        self.kind
    }

    /// Returns the invalid option of the table, if the error is about one.
    pub fn option(&self) -> Option<&str> {
        self.option.as_deref()
    }

    /// Returns the user's next step, if the sink knows it.
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

/// An error while reading from the issuer. The message names the service, its response and the next
/// step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// A retry would fail in the same way: a wrong key, a missing permission, an unknown id.
    #[error("{message}")]
    Permanent {
        /// The request, why it failed, and the next step.
        message: String,
    },
    /// Probably temporary. It is retried until the deadline.
    #[error("{message}")]
    Transient {
        /// The request and why it failed.
        message: String,
        /// The pause that the service requested, if any.
        retry_after: Option<Duration>,
    },
}

/// An error of a reset. What the engine may do afterwards depends on the variant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResetError {
    /// The request was certainly not sent (refused connection, name lookup, TLS handshake). This is
    /// the only case in which it may be sent again.
    #[error("the reset was not sent: {message}")]
    NotSent {
        /// The reason.
        message: String,
    },
    /// The service responded that it refused the reset. The response may come from a proxy that had
    /// already forwarded the request, so it is believed only after the old token was accepted for
    /// the settling window.
    #[error("the reset was refused: {message}")]
    Refused {
        /// The service's message and the next step.
        message: String,
    },
    /// The request may have taken effect, or may still do so. It is never sent again; the engine
    /// reads the current token and compares it instead.
    #[error("the outcome of the reset is not known: {message}")]
    OutcomeUnknown {
        /// Why there is no usable response.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_kind_has_its_retry_policy() {
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
