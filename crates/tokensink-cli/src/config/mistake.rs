//! A mistake in a config: where it stands, what is wrong, what was meant.
//!
//! All of them are told together, in the order in which a person mends them.

use std::fmt;
use std::path::{Path, PathBuf};

/// One mistake. All of them are reported together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    origin: Origin,
    place: String,
    problem: String,
    advice: Option<String>,
}

/// Why a command cannot start with this config, or with these flags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// Each says itself what was expected.
    pub(crate) errors: Vec<String>,
    /// What helps with all of them.
    pub(crate) next: Option<&'static str>,
}

impl From<Vec<Mistake>> for Invalid {
    fn from(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by(|one, other| one.origin.cmp(&other.origin));
        let next = if mistakes.iter().any(|mistake| mistake.place.starts_with("sinks.")) {
            Some("mend what is named above; `tokensink sinks KIND` explains the options of a kind")
        } else if mistakes.iter().any(|mistake| mistake.advice.is_none()) {
            Some("mend what is named above")
        } else {
            None
        };
        Self { errors: mistakes.iter().map(ToString::to_string).collect(), next }
    }
}

/// A flag that names something else than there is.
impl From<Vec<String>> for Invalid {
    fn from(errors: Vec<String>) -> Self {
        Self { errors, next: None }
    }
}

/// What has to be changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    File { file: PathBuf, line: Option<usize> },
    Variable { name: String },
}

impl Mistake {
    /// `place`: the dotted path of the table or key; empty for the file itself.
    pub(crate) fn new(file: &Path, place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::of(Origin::File { file: file.to_owned(), line: None }, place, problem)
    }

    /// The same for a key that the environment sets.
    pub(crate) fn in_variable(
        name: &str,
        place: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self::of(Origin::Variable { name: name.to_owned() }, place, problem)
    }

    fn of(origin: Origin, place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { origin, place: place.into(), problem: problem.into(), advice: None }
    }

    #[must_use]
    pub(crate) fn with_help(mut self, advice: impl Into<String>) -> Self {
        let advice = advice.into();
        self.advice = Some(advice).filter(|advice| !advice.is_empty());
        self
    }

    #[must_use]
    pub(crate) fn at_line(mut self, found: Option<usize>) -> Self {
        if let Origin::File { line, .. } = &mut self.origin {
            *line = found;
        }
        self
    }

    /// The same mistake, on the line or in the variable of `other`.
    #[must_use]
    pub(crate) fn where_stands(self, other: Self) -> Self {
        Self { origin: other.origin, ..self }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::File { file, line: Some(line) } => write!(f, "{}:{line}", file.display())?,
            Origin::File { file, line: None } => write!(f, "{}", file.display())?,
            Origin::Variable { name } => f.write_str(name)?,
        }
        if !self.place.is_empty() {
            write!(f, ": [{}]", self.place)?;
        }
        write!(f, ": {}", self.problem)?;
        match &self.advice {
            Some(advice) => write!(f, " ({advice})"),
            None => Ok(()),
        }
    }
}
