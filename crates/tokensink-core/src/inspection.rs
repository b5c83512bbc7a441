//! The results of inspecting and surveying a sink.

use crate::{Fingerprint, TargetId, has_token_form};

/// The result of [`TokenSink::inspect`](crate::TokenSink::inspect): the current content of the
/// target. It contains fingerprints, never values.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// The content that an application reads.
    pub content: Content,
    /// Other values in the same target that look like tokens: variables of the same file, keys of
    /// the same JSON secret. The engine compares them with the tokens that it knows.
    pub nearby: Vec<NearbyValue>,
}

impl Inspection {
    /// Sets [`nearby`](Self::nearby).
    #[must_use]
    pub fn with_nearby(self, nearby: Vec<NearbyValue>) -> Self {
        Self { nearby, ..self }
    }
}

impl From<Content> for Inspection {
    fn from(content: Content) -> Self {
        Self { content, nearby: Vec::new() }
    }
}

/// The content that an application reads from a target.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// The value was read.
    Value(HeldValue),
    /// Several occurrences of the value were read, and they differ.
    Mixed(Vec<HeldValue>),
    /// The value cannot be read, but the provider shows that our last write is still the newest.
    UnchangedSinceOurWrite,
    /// The value cannot be read, and the provider shows a newer write than ours.
    ChangedSinceOurWrite,
    /// There is no value.
    Absent,
    /// Neither the value nor the time of its last write is known.
    Unknown {
        /// The reason, as a fragment.
        reason: String,
    },
}

/// A description of a value that was read. It does not contain the value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldValue {
    /// Identifies the value.
    pub fingerprint: Fingerprint,
    /// Whether it has the form of a QStash token.
    pub has_token_form: bool,
}

impl HeldValue {
    /// Describes `value` without keeping it.
    pub fn of(value: &str) -> Self {
        Self { fingerprint: Fingerprint::of(value), has_token_form: has_token_form(value) }
    }
}

/// A value near a sink that may be a copy of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearbyValue {
    /// The name of the place in messages: `.env.local QSTASH_TOKEN`, `key OLD_TOKEN`.
    pub place: String,
    /// The target of a sink for this place, if there can be one. A place that has its own sink in the
    /// config is not reported.
    pub target: Option<TargetId>,
    /// Identifies the value. `None` if it cannot be read.
    pub fingerprint: Option<Fingerprint>,
    /// Whether applications read this value instead of the sink's own.
    pub takes_precedence: bool,
}

impl NearbyValue {
    /// Creates a value at `place` with an unknown target and without precedence.
    pub fn new(place: impl Into<String>, fingerprint: Option<Fingerprint>) -> Self {
        Self { place: place.into(), target: None, fingerprint, takes_precedence: false }
    }

    /// Sets [`target`](Self::target).
    #[must_use]
    pub fn at_target(self, target: TargetId) -> Self {
        Self { target: Some(target), ..self }
    }

    /// Sets [`takes_precedence`](Self::takes_precedence).
    #[must_use]
    pub fn taking_precedence(self) -> Self {
        Self { takes_precedence: true, ..self }
    }
}

/// The result of [`TokenSink::survey`](crate::TokenSink::survey): warnings that do not prevent a
/// reset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Survey {
    /// Values outside the target: sibling files, scopes with precedence.
    pub nearby: Vec<NearbyValue>,
    /// Other warnings, as fragments.
    pub warnings: Vec<String>,
}

impl Survey {
    /// Creates a survey with these values and warnings.
    pub fn new(nearby: Vec<NearbyValue>, warnings: Vec<String>) -> Self {
        Self { nearby, warnings }
    }
}
