//! The destinations that the user agreed to.
//!
//! A config file may come from a stranger, so the token goes to a destination only after the user has
//! seen it once. The state directory keeps a digest of each destination that was agreed to, in one file
//! for each QStash; the run's lock serializes its writers.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;
use tokensink_engine::Destination;

const DIRECTORY: &str = "consent";

/// Distinguishes these digests from others, and from those of a later encoding.
const DOMAIN: &str = "tokensink destination 1";

/// The largest record that is read: a hundred thousand destinations.
const MAX_BYTES: u64 = 8 << 20;

/// The record of one QStash.
#[derive(Clone, Debug)]
pub(crate) struct ConsentRecord {
    source_id: String,
    /// `None` where there is no state directory: nothing was agreed to, and nothing can be recorded.
    state_directory: Option<PathBuf>,
}

impl ConsentRecord {
    /// The record of the QStash `source_id` in `state_directory`.
    pub(crate) fn of(source_id: &str, state_directory: Option<&Path>) -> Self {
        let state_directory = state_directory.map(Path::to_owned);
        Self { source_id: source_id.to_owned(), state_directory }
    }

    /// Returns those of `destinations` that were not agreed to.
    ///
    /// # Errors
    ///
    /// When the record cannot be read.
    pub(crate) fn missing(&self, destinations: &[Destination]) -> io::Result<Vec<Destination>> {
        let agreed = self.read()?;
        let is_missing = |one: &&Destination| !agreed.contains(&self.digest(one));
        Ok(destinations.iter().filter(is_missing).cloned().collect())
    }

    /// Records that the user agreed to `destinations`.
    ///
    /// # Errors
    ///
    /// When the record cannot be written. The next run asks again.
    pub(crate) fn add(&self, destinations: &[Destination]) -> io::Result<()> {
        let Some(file) = self.file() else {
            return Err(io::Error::other("there is no state directory"));
        };
        // A record that cannot be read is replaced.
        let mut agreed = self.read().unwrap_or_default();
        let before = agreed.len();
        agreed.extend(destinations.iter().map(|one| self.digest(one)));
        if agreed.len() == before {
            return Ok(());
        }
        let directory = file.parent().unwrap_or(Path::new("."));
        if !directory.exists() {
            fs::create_dir(directory)?;
            fs::set_permissions(directory, Permissions::from_mode(0o700))?;
        }
        // The temporary file has mode 0600.
        let mut written = NamedTempFile::new_in(directory)?;
        for digest in &agreed {
            writeln!(written, "{digest}")?;
        }
        written.as_file().sync_all()?;
        written.persist(&file)?;
        File::open(directory)?.sync_all()
    }

    fn read(&self) -> io::Result<BTreeSet<String>> {
        let Some(path) = self.file() else { return Ok(BTreeSet::new()) };
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Err(io::Error::other("not a regular file")),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(error) => return Err(error),
        }
        let mut text = String::new();
        File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn file(&self) -> Option<PathBuf> {
        let name = hex(&Sha256::digest(self.source_id.as_bytes()));
        Some(self.state_directory.as_ref()?.join(DIRECTORY).join(name))
    }

    /// Identifies a destination of this QStash's token. Every field is preceded by its length, so that
    /// no two destinations have the same encoding; the number of fields is part of it, so that more can
    /// be added.
    fn digest(&self, destination: &Destination) -> String {
        let target = destination.target.to_string();
        let host = destination.host.as_deref().unwrap_or_default();
        let foreign = destination.foreign_destination.as_deref().unwrap_or_default();
        let fields = [self.source_id.as_str(), &target, host, foreign];
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update((fields.len() as u64).to_be_bytes());
        for field in fields {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        hex(&hash.finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names a destination for the user, with what is unexpected about it.
pub(crate) fn describe(destination: &Destination) -> String {
    let Destination { name, label, host, foreign_destination, .. } = destination;
    let host = host.as_ref().map(|host| format!(" at {host}")).unwrap_or_default();
    let foreign = foreign_destination.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
    format!("{name} ({label}){host}{foreign}")
}

#[cfg(test)]
mod tests {
    use tokensink_core::{SinkInfo, TakesEffect, TargetId};

    use super::*;

    fn destination(target: &str, host: Option<&str>, foreign: Option<&str>) -> Destination {
        let target = TargetId::new("kind", target);
        let mut info = SinkInfo::new(target, "label", TakesEffect::OnRestart);
        info.host = host.map(str::to_owned);
        Destination::new("name", &info, foreign)
    }

    #[test]
    fn a_destination_is_missing_until_it_was_agreed_to() {
        let state = tempfile::tempdir().unwrap();
        let record = ConsentRecord::of("q", Some(state.path()));
        let all = [
            destination("a", None, None),
            destination("b", None, None),
            destination("a", Some("b"), None),
            destination("a", None, Some("b")),
            destination("a", Some("host:1"), None),
        ];
        assert_eq!(record.missing(&all).unwrap(), all);
        for (index, one) in all.iter().enumerate() {
            record.add(std::slice::from_ref(one)).unwrap();
            assert_eq!(record.missing(&all).unwrap(), all[index + 1..]);
        }
        // Another QStash has another token.
        let other = ConsentRecord::of("other", Some(state.path()));
        assert_eq!(other.missing(&all).unwrap(), all);
        let directory = state.path().join(DIRECTORY);
        for file in fs::read_dir(&directory).unwrap() {
            let mode = file.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(fs::metadata(directory).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn without_a_state_directory_nothing_is_agreed_to() {
        let record = ConsentRecord::of("q", None);
        let one = [destination("a", None, None)];
        assert!(record.add(&one).is_err());
        assert_eq!(record.missing(&one).unwrap(), one);
    }

    #[test]
    fn a_record_that_is_not_a_file_is_an_error() {
        let state = tempfile::tempdir().unwrap();
        let record = ConsentRecord::of("q", Some(state.path()));
        fs::create_dir_all(record.file().unwrap()).unwrap();
        let one = [destination("a", None, None)];
        assert!(record.missing(&one).is_err());
        assert!(record.add(&one).is_err());
    }

    #[test]
    fn a_description_contains_the_host_and_what_is_foreign() {
        let at_host = destination("a", Some("ghe.example"), Some("writes /x"));
        assert_eq!(describe(&at_host), "name (label) at ghe.example: writes /x");
        assert_eq!(describe(&destination("a", None, None)), "name (label)");
    }
}
