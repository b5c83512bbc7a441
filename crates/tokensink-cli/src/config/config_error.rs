//! Errors in a config: file and line, or variable; problem; help. All errors of a config are reported
//! together, in the order of the files' lines.

use std::fmt;
use std::path::{Path, PathBuf};

/// One error in a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigError {
    location: Location,
    place: String,
    problem: String,
    help: Option<String>,
}

/// The errors of a config, or of flags, that end a command before it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidInput {
    pub(crate) errors: Vec<String>,
    /// The next step for all of the errors, if they do not contain their own.
    pub(crate) next: Option<&'static str>,
}

impl From<Vec<ConfigError>> for InvalidInput {
    fn from(mut errors: Vec<ConfigError>) -> Self {
        errors.sort_by(|one, other| one.location.cmp(&other.location));
        let next = if errors.iter().any(|error| error.place.starts_with("sinks.")) {
            Some("fix what is named above; `tokensink sinks KIND` explains the options of a kind")
        } else if errors.iter().any(|error| error.help.is_none()) {
            Some("fix what is named above")
        } else {
            None
        };
        Self { errors: errors.iter().map(ToString::to_string).collect(), next }
    }
}

/// Errors of flags: each contains its help.
impl From<Vec<String>> for InvalidInput {
    fn from(errors: Vec<String>) -> Self {
        Self { errors, next: None }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Location {
    File { file: PathBuf, line: Option<usize> },
    Variable { name: String },
}

impl ConfigError {
    /// Creates an error in `file`. `place` is the dotted path of a table or key, or empty for the file
    /// itself.
    pub(crate) fn new(file: &Path, place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::of(Location::File { file: file.to_owned(), line: None }, place, problem)
    }

    /// Creates an error for a key that the environment variable `name` sets.
    pub(crate) fn in_variable(
        name: &str,
        place: impl Into<String>,
        problem: impl Into<String>,
    ) -> Self {
        Self::of(Location::Variable { name: name.to_owned() }, place, problem)
    }

    fn of(location: Location, place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { location, place: place.into(), problem: problem.into(), help: None }
    }

    #[must_use]
    pub(crate) fn with_help(mut self, help: impl Into<String>) -> Self {
        let help = help.into();
        self.help = Some(help).filter(|help| !help.is_empty());
        self
    }

    #[must_use]
    pub(crate) fn at_line(mut self, found: Option<usize>) -> Self {
        if let Location::File { line, .. } = &mut self.location {
            *line = found;
        }
        self
    }

    /// Returns the same error with the file and line, or the variable, of `other`.
    #[must_use]
    pub(crate) fn located_at(self, other: Self) -> Self {
        Self { location: other.location, ..self }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Location::File { file, line: Some(line) } => write!(f, "{}:{line}", file.display())?,
            Location::File { file, line: None } => write!(f, "{}", file.display())?,
            Location::Variable { name } => f.write_str(name)?,
        }
        if !self.place.is_empty() {
            write!(f, ": [{}]", self.place)?;
        }
        write!(f, ": {}", self.problem)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}
