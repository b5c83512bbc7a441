//! A mistake in a config: where it stands, what is wrong, what was meant.

use std::fmt;
use std::path::{Path, PathBuf};

/// One mistake. All of them are reported together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    file: PathBuf,
    line: Option<usize>,
    place: String,
    problem: String,
    advice: Option<String>,
}

impl Mistake {
    /// `place`: the dotted path of the table or key; empty for the file itself.
    pub(crate) fn new(file: &Path, place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            place: place.into(),
            problem: problem.into(),
            advice: None,
        }
    }

    #[must_use]
    pub(crate) fn advise(mut self, advice: impl Into<String>) -> Self {
        let advice = advice.into();
        self.advice = Some(advice).filter(|advice| !advice.is_empty());
        self
    }

    #[must_use]
    pub(crate) fn at_line(mut self, line: Option<usize>) -> Self {
        self.line = line;
        self
    }

    /// The same mistake, on the line of `other`.
    #[must_use]
    pub(crate) fn at_line_of(self, other: &Self) -> Self {
        self.at_line(other.line)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
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
