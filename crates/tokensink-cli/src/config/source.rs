//! A config file's text: read with care, and able to say on which line something stands.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::mistake::Mistake;

/// The largest config file that is read: thousands of sinks fit.
const MAX_BYTES: u64 = 1024 * 1024;

/// A config file that is TOML.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) file: PathBuf,
    pub(crate) text: String,
}

impl Source {
    /// Reads `file`; `None` where there is none.
    pub(crate) fn read(file: &Path) -> Result<Option<Self>, Mistake> {
        let mistake = |problem: String| {
            let advice = "put a file there that can be read, or name another one with --config";
            Mistake::new(file, "", problem).with_help(advice)
        };
        // A pipe without a writer could not even be opened: nothing would end that wait.
        match fs::metadata(file) {
            Ok(found) if found.is_file() => {}
            Ok(found) if found.is_dir() => return Err(mistake("is a folder".to_owned())),
            Ok(_) => return Err(mistake("is not a regular file".to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(mistake(format!("could not be looked at: {error}"))),
        }
        let opened =
            File::open(file).map_err(|error| mistake(format!("could not be opened: {error}")))?;
        let mut bytes = Vec::new();
        opened
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| mistake(format!("could not be read: {error}")))?;
        Self::parse(file, bytes).map(Some)
    }

    /// What `file` holds.
    pub(super) fn parse(file: &Path, bytes: Vec<u8>) -> Result<Self, Mistake> {
        let mistake = |problem: &str| Mistake::new(file, "", problem);
        if bytes.len() as u64 > MAX_BYTES {
            return Err(mistake("is larger than 1 MB").with_help("is this the right file?"));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| mistake("is not UTF-8").with_help("save it as UTF-8"))?;
        let source = Self { file: file.to_owned(), text };
        source.check_syntax()?;
        Ok(source)
    }

    fn check_syntax(&self) -> Result<(), Mistake> {
        let table = DeTable::parse(&self.text).map_err(|error| {
            let line = error.span().map(|span| self.line_at(span.start));
            let problem = error.message().trim().replace('\n', ", ");
            let mistake = Mistake::new(&self.file, "", format!("is not TOML: {problem}"));
            let advice = if problem == "duplicate key" {
                "leave one of the two out"
            } else {
                "`tokensink init --config NEW` writes a file that is"
            };
            mistake.at_line(line).with_help(advice)
        })?;
        // `config` would take such a key at the top for a path: `"upstash.api_url" = "…"`.
        match table.get_ref().keys().find(|key| !is_bare(key.get_ref())) {
            None => Ok(()),
            Some(key) => {
                let mistake = Mistake::new(&self.file, "", "a table's name is in quotes");
                let line = self.line_at(key.span().start);
                Err(mistake.at_line(Some(line)).with_help("there are [upstash] and [sinks.NAME]"))
            }
        }
    }

    /// The line on which `place`, a dotted path, stands; `None` where this file does not set it.
    pub(crate) fn line_of(&self, place: &str) -> Option<usize> {
        let lines = self.lines_along(place);
        lines.last().copied().filter(|_| lines.len() == place.split('.').count())
    }

    /// The line of the innermost part of `place` that is there, and how deep it is.
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

fn is_bare(key: &str) -> bool {
    let bare = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    !key.is_empty() && key.chars().all(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found() {
        let text = "[upstash]\nregion = \"x\"\n\n[sinks.a]\nkind = \"dotenv\"\npath = \"p\"\n";
        let source = Source { file: "f".into(), text: text.to_owned() };
        assert_eq!(source.line_of("upstash.region"), Some(2));
        assert_eq!(source.line_of("sinks.a"), Some(4));
        assert_eq!(source.line_of("sinks.a.path"), Some(6));
        assert_eq!(source.line_of("sinks.a.missing"), None);
        assert_eq!(source.line_near("sinks.a.missing"), Some((4, 2)));
        assert_eq!(source.line_near("absent"), None);
    }
}
