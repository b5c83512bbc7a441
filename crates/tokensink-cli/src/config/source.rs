//! A config file's text: read with care, and able to say on which line something stands.

use std::fs::File;
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
        let mistake = |problem: String| Mistake::new(file, "", problem);
        let opened = match File::open(file) {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(mistake(format!("could not be opened: {error}"))),
        };
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
            return Err(mistake("is larger than 1 MB").advise("is this the right file?"));
        }
        let text = String::from_utf8(bytes)
            .map_err(|_| mistake("is not UTF-8").advise("save it as UTF-8"))?;
        let source = Self { file: file.to_owned(), text };
        source.check_syntax()?;
        Ok(source)
    }

    fn check_syntax(&self) -> Result<(), Mistake> {
        let Err(error) = DeTable::parse(&self.text) else { return Ok(()) };
        let line = error.span().map(|span| self.line_at(span.start));
        let problem = error.message().trim().replace('\n', ", ");
        Err(Mistake::new(&self.file, "", format!("is not TOML: {problem}")).at_line(line))
    }

    /// The line on which `place`, a dotted path, or the innermost part of it that is there, stands.
    pub(crate) fn line_of(&self, place: &str) -> Option<usize> {
        let root = DeTable::parse(&self.text).ok()?;
        let mut table = root.get_ref();
        let mut line = None;
        for part in place.split('.') {
            let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == part) else {
                break;
            };
            line = Some(self.line_at(key.span().start));
            let DeValue::Table(inner) = value.get_ref() else { break };
            table = inner;
        }
        line
    }

    fn line_at(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        1 + before.filter(|byte| **byte == b'\n').count()
    }
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
        assert_eq!(source.line_of("sinks.a.missing"), Some(4));
        assert_eq!(source.line_of("absent"), None);
    }
}
