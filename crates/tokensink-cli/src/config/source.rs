//! The text of a config file: read with limits of size and time, and searchable for the line of a key.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::config_error::ConfigError;
use crate::bounded_io::{self, FileContent, STANDARD_INPUT};

/// The maximum size of a config file: enough for thousands of sinks.
const MAX_BYTES: usize = 1024 * 1024;

/// A config file that was parsed as TOML.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: PathBuf,
    pub(crate) text: String,
    /// Whether it was read from a pipe, and so is not in a directory.
    is_stream: bool,
}

impl Source {
    /// Reads `file`, which may be a pipe, or standard input if it is `-`. Returns `None` if there is no
    /// such file.
    pub(crate) async fn read(file: &Path) -> Result<Option<Self>, ConfigError> {
        let is_standard_input = file == Path::new(STANDARD_INPUT);
        let name = if is_standard_input { Path::new("standard input") } else { file };
        match bounded_io::read(file, MAX_BYTES).await {
            Ok(FileContent { bytes, is_stream }) => {
                let source = Self::parse(name, bytes.to_vec())?;
                Ok(Some(Self { is_stream, ..source }))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(name, &error)),
        }
    }

    /// Parses `bytes`, the content of `file`.
    pub(super) fn parse(file: &Path, bytes: Vec<u8>) -> Result<Self, ConfigError> {
        if bytes.len() > MAX_BYTES {
            return Err(unreadable(file, &ErrorKind::FileTooLarge.into()));
        }
        let text = String::from_utf8(bytes).map_err(|_| {
            ConfigError::new(file, "", "is not UTF-8").with_help("save it as UTF-8")
        })?;
        let source = Self { file: file.to_owned(), text, is_stream: false };
        source.check_syntax()?;
        Ok(source)
    }

    /// Returns the directory that relative paths in the config start from: the file's, or the current
    /// one for a pipe.
    pub(super) fn directory(&self) -> io::Result<PathBuf> {
        if self.is_stream {
            return std::env::current_dir();
        }
        Ok(std::path::absolute(&self.file)?.parent().unwrap_or(Path::new("/")).to_owned())
    }

    fn check_syntax(&self) -> Result<(), ConfigError> {
        let table = DeTable::parse(&self.text).map_err(|error| {
            let line = error.span().map(|span| self.line_at(span.start));
            let problem = error.message().trim().replace('\n', ", ");
            let error = ConfigError::new(&self.file, "", format!("is not TOML: {problem}"));
            let help = if problem == "duplicate key" {
                "remove one of the two"
            } else {
                "`tokensink init --config NEW` writes a valid file"
            };
            error.at_line(line).with_help(help)
        })?;
        // The `config` crate would parse such a key at the top as a path: `"upstash.api_url" = "…"`.
        match table.get_ref().keys().find(|key| !is_bare(key.get_ref())) {
            None => Ok(()),
            Some(key) => {
                let error = ConfigError::new(&self.file, "", "the name of a table is in quotes");
                let line = self.line_at(key.span().start);
                Err(error
                    .at_line(Some(line))
                    .with_help("the tables are [upstash] and [sinks.NAME]"))
            }
        }
    }

    /// Returns the line of `place`, a dotted path, or `None` if this file does not set it.
    pub(crate) fn line_of(&self, place: &str) -> Option<usize> {
        let lines = self.lines_along(place);
        lines.last().copied().filter(|_| lines.len() == place.split('.').count())
    }

    /// Returns the line and the depth of the innermost part of `place` that this file sets.
    pub(crate) fn line_near(&self, place: &str) -> Option<(usize, usize)> {
        let lines = self.lines_along(place);
        Some((*lines.last()?, lines.len()))
    }

    fn lines_along(&self, place: &str) -> Vec<usize> {
        let mut lines = Vec::new();
        let Ok(root) = DeTable::parse(&self.text) else { return lines };
        let mut table = root.get_ref();
        for part in place.split('.') {
            let found = table.iter().find(|(key, _)| key.get_ref() == part);
            let Some((key, value)) = found else { break };
            lines.push(self.line_at(key.span().start));
            let DeValue::Table(inner) = value.get_ref() else { break };
            table = inner;
        }
        lines
    }

    fn line_at(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
}

fn unreadable(file: &Path, error: &io::Error) -> ConfigError {
    let (problem, help) = match error.kind() {
        ErrorKind::FileTooLarge => ("is larger than 1 MB".to_owned(), "name the config file"),
        ErrorKind::IsADirectory => ("is a directory".to_owned(), "name a file in it with --config"),
        _ => (
            format!("cannot be read: {error}"),
            "make it readable, or name another file with --config",
        ),
    };
    ConfigError::new(file, "", problem).with_help(help)
}

fn is_bare(key: &str) -> bool {
    let bare = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    !key.is_empty() && key.chars().all(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_key_is_found() {
        let text = "[upstash]\nregion = \"x\"\n\n[sinks.a]\nkind = \"dotenv\"\npath = \"p\"\n";
        let source = Source::parse(Path::new("f"), text.into()).unwrap();
        assert_eq!(source.line_of("upstash.region"), Some(2));
        assert_eq!(source.line_of("sinks.a"), Some(4));
        assert_eq!(source.line_of("sinks.a.path"), Some(6));
        assert_eq!(source.line_of("sinks.a.missing"), None);
        assert_eq!(source.line_near("sinks.a.missing"), Some((4, 2)));
        assert_eq!(source.line_near("absent"), None);
    }
}
