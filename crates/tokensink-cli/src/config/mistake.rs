//! A mistake in a config: where it stands, what is wrong, what was meant.

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

/// What has to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
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
