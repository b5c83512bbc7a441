//! A journal in the user's state directory: one file of JSON lines for each run, and a lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::appender::Appender;
use super::directory::create_private_directory;
use super::{Entry, Journal, JournalError, Record, RunId, RunRecord, io_error};

/// The version of the lines. A newer version is not read.
const VERSION: u32 = 1;

/// The maximum size of a record. A run with ten thousand sinks has about 4 MB.
const MAX_RECORD_BYTES: u64 = 64 << 20;

/// A journal with each run in `runs/ID.jsonl` and the locks in `locks/`, below a directory of mode 0700.
#[derive(Debug)]
pub struct FileJournal {
    directory: PathBuf,
    appender: Appender,
}

#[derive(Serialize, Deserialize)]
struct Line {
    v: u32,
    at: Timestamp,
    entry: Entry,
}

/// The part of a line that shows whether a newer version wrote it.
#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

impl FileJournal {
    /// Opens the journal in `directory`, which is created if it does not exist.
    ///
    /// # Errors
    ///
    /// When it is not a directory, is a symbolic link, belongs to another user, or is not writable.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let directory = directory.into();
        create_private_directory(&directory)?;
        for part in ["runs", "locks"] {
            create_private_directory(&directory.join(part))?;
        }
        Ok(Self { directory, appender: Appender::default() })
    }

    /// Takes the lock of one QStash, so that this user has one run at a time on this machine. The system
    /// releases the lock when the process ends.
    ///
    /// # Errors
    ///
    /// When another process has the lock, or when locking fails.
    pub fn lock(&self, issuer: &str, purpose: &str) -> Result<Lock, LockError> {
        let path = self.directory.join("locks").join(format!("{}.lock", file_name_of(issuer)));
        let failed = |source| LockError::Journal(io_error("lock", &path, source));
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The holder is only additional information.
                let _ = (&file).take(200).read_to_string(&mut holder);
                return Err(LockError::Held { holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let holder = format!("`{purpose}`, process {}, since {}", std::process::id(), now());
        // On a full disk the lock is still held, but another process cannot show its holder.
        let emptied = file.set_len(0).and_then(|()| file.rewind());
        if let Err(error) = emptied.and_then(|()| file.write_all(holder.as_bytes())) {
            tracing::warn!(%error, "could not write the holder of the lock");
        }
        Ok(Lock { _file: file })
    }

    fn record_of(&self, run: &RunId) -> PathBuf {
        self.directory.join("runs").join(format!("{run}.jsonl"))
    }
}

/// The right to run against one QStash, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// An error while taking the lock.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has the lock.
    #[error("another run is under way for this QStash: {holder}; wait for it to end")]
    Held {
        /// The command, process and start time of the holder.
        holder: String,
    },
    /// Locking failed.
    #[error(transparent)]
    Journal(JournalError),
}

#[async_trait]
impl Journal for FileJournal {
    async fn append(&self, run: &RunId, entry: &Entry) -> Result<(), JournalError> {
        let path = self.record_of(run);
        let line = Line { v: VERSION, at: Timestamp::now(), entry: entry.clone() };
        let failed = |error: serde_json::Error| io_error("write", &path, error.into());
        let mut line = serde_json::to_string(&line).map_err(failed)?;
        line.push('\n');
        self.appender.append(path, line).await
    }

    async fn runs(&self) -> Result<Vec<RunRecord>, JournalError> {
        let directory = self.directory.join("runs");
        off_the_runtime(&self.directory, move || read_runs(&directory)).await
    }
}

async fn off_the_runtime<T: Send + 'static>(
    directory: &Path,
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(io_error("use", directory, io::Error::other(error))),
    }
}

fn read_runs(directory: &Path) -> Result<Vec<RunRecord>, JournalError> {
    let failed = |source| io_error("read", directory, source);
    let mut runs = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let Some(id) = run_named_by(&path) {
            // A record that cannot be read must not prevent a repair.
            let (records, damage) = read_records(&path).unwrap_or_else(|error| {
                (Vec::new(), Some(format!("{} could not be read: {error}", path.display())))
            });
            runs.push(RunRecord { id, records, damage });
        }
    }
    runs.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(runs)
}

fn run_named_by(path: &Path) -> Option<RunId> {
    let is_record = path.extension().is_some_and(|extension| extension == "jsonl");
    let stem = path.file_stem()?.to_str()?;
    is_record.then(|| RunId::parse(stem))
}

/// Reads the records of a file, and returns the first problem. Lines after a damaged one are read, too, so
/// that a confirmed reset after it is not lost.
fn read_records(path: &Path) -> io::Result<(Vec<Record>, Option<String>)> {
    // Opening a FIFO would block until there is a writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(MAX_RECORD_BYTES).read_to_end(&mut text)?;
    let (mut records, mut damage) = (Vec::new(), None);
    for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match parse_line(line) {
            Ok(record) => records.push(record),
            // A line that was truncated by a crash.
            Err(_) if !line.ends_with(b"\n") => {}
            Err(problem) if damage.is_none() => {
                let line = index + 1;
                damage = Some(format!("line {line} of {} {problem}", path.display()));
            }
            Err(_) => {}
        }
    }
    Ok((records, damage))
}

fn parse_line(line: &[u8]) -> Result<Record, String> {
    let version: Versioned =
        serde_json::from_slice(line).map_err(|_| "is not a journal line".to_owned())?;
    if version.v > VERSION {
        return Err(format!(
            "was written by a newer tokensink (format {}, known is {VERSION})",
            version.v
        ));
    }
    let line: Line =
        serde_json::from_slice(line).map_err(|error| format!("cannot be read: {error}"))?;
    Ok(Record { at: line.at, entry: line.entry })
}

/// Returns a file name for a QStash id. The id is usually a UUID, but must not be usable as a path.
fn file_name_of(issuer: &str) -> String {
    issuer
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || letter == '-' { letter } else { '_' })
        .collect()
}

fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tokensink_core::{Receipt, TargetId, Token};

    use super::*;
    use crate::{Command, Outcome};

    fn journal() -> (tempfile::TempDir, FileJournal) {
        let directory = tempfile::tempdir().unwrap();
        let journal = FileJournal::open(directory.path().join("state")).unwrap();
        (directory, journal)
    }

    fn started() -> Entry {
        Entry::Started { command: Command::Reset, issuer: "q".to_owned(), left_out: Vec::new() }
    }

    #[tokio::test]
    async fn appended_entries_are_read_back() {
        let (_directory, journal) = journal();
        let (run, token) = (RunId::after(&[]), Token::new("token").fingerprint());
        let target = TargetId::new("file", "/x");
        let receipt = Receipt::default().with("version", "7");
        journal.append(&run, &started()).await.unwrap();
        journal.append(&run, &Entry::ResetIntended { before: token.clone() }).await.unwrap();
        assert!(journal.runs().await.unwrap()[0].has_unacknowledged_reset());
        journal.append(&run, &Entry::ResetConfirmed { after: token.clone() }).await.unwrap();
        let written = Entry::Written { target: target.clone(), token: token.clone(), receipt };
        journal.append(&run, &written).await.unwrap();
        journal.append(&run, &Entry::Finished { outcome: Outcome::Complete }).await.unwrap();

        let runs = journal.runs().await.unwrap();
        assert_eq!(runs.len(), 1);
        assert!(!runs[0].has_unacknowledged_reset());
        assert_eq!(runs[0].outcome(), Some(Outcome::Complete));
        let last = super::super::last_write(&runs, "q", &target).unwrap();
        assert_eq!((last.token, last.receipt.get("version")), (token, Some("7")));
    }

    #[tokio::test]
    async fn a_truncated_last_line_is_skipped_and_a_damaged_line_is_reported() {
        let (_directory, journal) = journal();
        let run = RunId::after(&[]);
        journal.append(&run, &started()).await.unwrap();
        let path = journal.record_of(&run);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [whole.as_slice(), br#"{"v":1,"at":"20"#].concat()).unwrap();
        let torn = &journal.runs().await.unwrap()[0];
        assert_eq!((torn.records.len(), &torn.damage), (1, &None));
        fs::write(&path, [b"garbage\nmore\n", whole.as_slice()].concat()).unwrap();
        let damaged = &journal.runs().await.unwrap()[0];
        assert!(damaged.damage.as_ref().unwrap().contains("line 1"), "{damaged:?}");
        assert_eq!(damaged.command(), Some(Command::Reset));
        assert!(damaged.has_unacknowledged_reset());
        let strange = journal.directory.join("runs/strange.jsonl");
        fs::create_dir(&strange).unwrap();
        let runs = journal.runs().await.unwrap();
        assert_eq!((runs.len(), runs[0].records.len()), (2, 1));
        assert!(runs[1].damage.as_ref().unwrap().contains("it is not a file"), "{runs:?}");
        fs::remove_dir(&strange).unwrap();
        fs::write(&path, "{\"v\":2,\"entry\":\"new\"}\n").unwrap();
        let newer = &journal.runs().await.unwrap()[0];
        assert!(newer.damage.as_ref().unwrap().contains("newer tokensink"), "{newer:?}");
        assert!(newer.may_be_of("any"));
    }

    #[tokio::test]
    async fn only_the_owner_may_read_the_journal() {
        let (_directory, journal) = journal();
        let run = RunId::after(&[]);
        journal.append(&run, &started()).await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&journal.directory), 0o700);
        assert_eq!(mode(&journal.record_of(&run)), 0o600);
    }

    #[test]
    fn the_error_for_a_held_lock_names_the_holder() {
        let (_directory, journal) = journal();
        let lock = journal.lock("a/../b", "tokensink reset").unwrap();
        let error = journal.lock("a/../b", "tokensink sync").unwrap_err().to_string();
        assert!(error.contains("`tokensink reset`, process "), "{error}");
        assert!(error.contains(" UTC"), "{error}");
        let _other = journal.lock("b/../a", "tokensink reset").unwrap();
        journal.lock("another", "tokensink reset").unwrap();
        drop(lock);
        journal.lock("a/../b", "tokensink sync").unwrap();
    }
}
