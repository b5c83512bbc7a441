//! The journal in a user's state folder: one file of JSON lines for each run, and the lock.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::appender::Appender;
use super::folder::make_private_folder;
use super::{Entry, Journal, JournalError, Record, Run, RunId, io_error};

/// The version of the lines. A reader refuses what is newer.
const VERSION: u32 = 1;

/// The longest record that is read: a run over ten thousand sinks takes about 4 MB.
const MAX_RECORD_BYTES: u64 = 64 << 20;

/// Keeps each run in `runs/ID.jsonl`, and the locks in `locks/`, below one folder of mode 0700.
#[derive(Debug)]
pub struct FileJournal {
    folder: PathBuf,
    appender: Appender,
}

#[derive(Serialize, Deserialize)]
struct Line {
    v: u32,
    at: Timestamp,
    entry: Entry,
}

/// Enough of a line to tell that a newer version wrote it.
#[derive(Deserialize)]
struct Versioned {
    v: u32,
}

impl FileJournal {
    /// Opens the journal in `folder`, and makes the folder where there is none.
    ///
    /// # Errors
    ///
    /// When it is no folder, a symbolic link, somebody else's, or cannot be written.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let folder = folder.into();
        make_private_folder(&folder)?;
        for part in ["runs", "locks"] {
            make_private_folder(&folder.join(part))?;
        }
        Ok(Self { folder, appender: Appender::default() })
    }

    /// Takes the lock of one QStash, so that this user has one run at a time on this machine. The
    /// lock goes with the process, however it ends.
    ///
    /// # Errors
    ///
    /// When another process has it, by name; or when it could not be tried.
    pub fn lock(&self, issuer: &str, purpose: &str) -> Result<Lock, LockError> {
        let path = self.folder.join("locks").join(format!("{}.lock", file_name_of(issuer)));
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
                // Who it is helps, but is not what the error is about.
                let _ = (&file).take(200).read_to_string(&mut holder);
                return Err(LockError::Held { holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let holder = format!("`{purpose}`, process {}, since {}", std::process::id(), now());
        // On a full disk the lock holds all the same; the other one is told less.
        let told = file.set_len(0).and_then(|()| file.rewind());
        if let Err(error) = told.and_then(|()| file.write_all(holder.as_bytes())) {
            tracing::warn!(%error, "could not note who holds the lock");
        }
        Ok(Lock { _file: file })
    }

    fn record_of(&self, run: &RunId) -> PathBuf {
        self.folder.join("runs").join(format!("{run}.jsonl"))
    }
}

/// The right to run against one QStash, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why the lock could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("another run is under way for this QStash: {holder}; wait for it to end")]
    Held {
        /// Command, process and start of the other one.
        holder: String,
    },
    /// It could not be tried.
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

    async fn runs(&self) -> Result<Vec<Run>, JournalError> {
        let folder = self.folder.join("runs");
        off_the_runtime(&self.folder, move || read_runs(&folder)).await
    }
}

async fn off_the_runtime<T: Send + 'static>(
    folder: &Path,
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(io_error("use", folder, io::Error::other(error))),
    }
}

fn read_runs(folder: &Path) -> Result<Vec<Run>, JournalError> {
    let failed = |source| io_error("read", folder, source);
    let mut runs = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let Some(id) = run_named_by(&path) {
            // One record that cannot be read must not stand in the way of a repair.
            let (records, damage) = read_records(&path).unwrap_or_else(|error| {
                (Vec::new(), Some(format!("{} could not be read: {error}", path.display())))
            });
            runs.push(Run { id, records, damage });
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

/// What could be read, and what could not: lines after a damaged one count, so that a confirmed
/// reset is not forgotten for a damaged line before it.
fn read_records(path: &Path) -> io::Result<(Vec<Record>, Option<String>)> {
    // Opening a FIFO would wait for a writer.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(MAX_RECORD_BYTES).read_to_end(&mut text)?;
    let (mut records, mut damage) = (Vec::new(), None);
    for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match parse_line(line) {
            Ok(record) => records.push(record),
            // A crash in the middle of an append.
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
        serde_json::from_slice(line).map_err(|_| "is no journal line".to_owned())?;
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

/// A QStash id is a UUID; whatever else it may be, it must not name another folder.
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
        let folder = tempfile::tempdir().unwrap();
        let journal = FileJournal::open(folder.path().join("state")).unwrap();
        (folder, journal)
    }

    fn started() -> Entry {
        Entry::Started { command: Command::Reset, issuer: "q".to_owned(), left_out: Vec::new() }
    }

    #[tokio::test]
    async fn what_was_appended_is_read_again() {
        let (_folder, journal) = journal();
        let (run, token) = (RunId::after(&[]), Token::new("token").fingerprint());
        let target = TargetId::new("file", "/x");
        let receipt = Receipt::default().with("version", "7");
        journal.append(&run, &started()).await.unwrap();
        journal.append(&run, &Entry::ResetIntended { before: token.clone() }).await.unwrap();
        assert!(journal.runs().await.unwrap()[0].is_unconfirmed());
        journal.append(&run, &Entry::ResetConfirmed { after: token.clone() }).await.unwrap();
        let written = Entry::Written { target: target.clone(), token: token.clone(), receipt };
        journal.append(&run, &written).await.unwrap();
        journal.append(&run, &Entry::Finished { outcome: Outcome::Complete }).await.unwrap();

        let runs = journal.runs().await.unwrap();
        assert_eq!(runs.len(), 1);
        assert!(!runs[0].is_unconfirmed());
        assert_eq!(runs[0].outcome(), Some(Outcome::Complete));
        let last = super::super::last_write(&runs, "q", &target).unwrap();
        assert_eq!((last.token, last.receipt.get("version")), (token, Some("7")));
    }

    #[tokio::test]
    async fn a_torn_last_line_is_survived_and_a_damaged_one_named() {
        let (_folder, journal) = journal();
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
        assert!(damaged.is_unconfirmed());
        let strange = journal.folder.join("runs/strange.jsonl");
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
    async fn only_the_owner_may_look() {
        let (_folder, journal) = journal();
        let run = RunId::after(&[]);
        journal.append(&run, &started()).await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&journal.folder), 0o700);
        assert_eq!(mode(&journal.record_of(&run)), 0o600);
    }

    #[test]
    fn the_second_run_is_told_who_has_the_lock() {
        let (_folder, journal) = journal();
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
