//! What a sink was found to hold.

use crate::{Fingerprint, TargetId, has_token_form};

/// The answer of [`TokenSink::inspect`](crate::TokenSink::inspect): what the place holds now. It
/// carries no value, only fingerprints.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// What an application reads there.
    pub content: Content,
    /// Other values in the same place that look like tokens: variables of the same file, keys of
    /// the same JSON secret. The engine compares them with the tokens it knows.
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

/// What an application reads at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Content {
    /// The value was read.
    Value(HeldValue),
    /// Several occurrences were read, and they differ.
    Mixed(Vec<HeldValue>),
    /// The value cannot be read, but the provider shows that our last write is still the newest.
    UnchangedSinceOurWrite,
    /// The value cannot be read, and the provider shows a write later than ours.
    ChangedSinceOurWrite,
    /// There is no value.
    Absent,
    /// It cannot be told.
    Unknown {
        /// Why not, as a fragment.
        reason: String,
    },
}

/// A value that was read, without the value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeldValue {
    /// Identifies the value.
    pub fingerprint: Fingerprint,
    /// Whether it has the form of a QStash token.
    pub has_token_form: bool,
}

impl HeldValue {
    /// Describes `value`, which is not kept.
    pub fn of(value: &str) -> Self {
        Self { fingerprint: Fingerprint::of(value), has_token_form: has_token_form(value) }
    }
}

/// A value near a sink that may be a copy of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearbyValue {
    /// Names where it is, for people: `.env.local QSTASH_TOKEN`, `key OLD_TOKEN`.
    pub place: String,
    /// Its identity, if it could be a sink of its own: a place that is one is not reported.
    pub target: Option<TargetId>,
    /// Identifies the value; `None` where it cannot be read.
    pub fingerprint: Option<Fingerprint>,
    /// Whether applications read it instead of the sink's own value.
    pub takes_precedence: bool,
}

impl NearbyValue {
    /// A value that was read at `place`.
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

/// The answer of [`TokenSink::survey`](crate::TokenSink::survey): advice that prevents nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Survey {
    /// Values outside the place itself: sibling files, closer scopes.
    pub nearby: Vec<NearbyValue>,
    /// Anything else that deserves attention, as fragments.
    pub warnings: Vec<String>,
}

impl Survey {
    /// With these values and warnings.
    pub fn new(nearby: Vec<NearbyValue>, warnings: Vec<String>) -> Self {
        Self { nearby, warnings }
    }
}
