//! Appends lines to the record of a run. One writer at a time syncs all lines that arrived during the
//! previous sync, because a separate fsync for each of ten thousand sinks would take too long.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, oneshot};

use super::{JournalError, io_error};

/// The lines that wait for the next fsync.
#[derive(Debug, Default)]
pub(super) struct Appender {
    waiting: Mutex<Vec<Waiting>>,
    writing: Arc<AsyncMutex<()>>,
}

/// A line for the record at `path`, and the sender that reports when it is durable.
#[derive(Debug)]
struct Waiting {
    path: PathBuf,
    line: String,
    done: oneshot::Sender<io::Result<()>>,
}

impl Appender {
    /// Appends `line` and returns when it is durable. If the write fails, a partial line is removed.
    pub(super) async fn append(&self, path: PathBuf, line: String) -> Result<(), JournalError> {
        let failed = |source| io_error("write", &path, source);
        let (done, is_done) = oneshot::channel();
        self.waiting().push(Waiting { path: path.clone(), line, done });
        let writing = Arc::clone(&self.writing).lock_owned().await;
        let batch = std::mem::take(&mut *self.waiting());
        // An earlier writer may have written this line with its own.
        if !batch.is_empty() {
            // The lock moves into the task, which continues even if this future is dropped.
            tokio::task::spawn_blocking(move || {
                write(batch);
                drop(writing);
            });
        }
        match is_done.await {
            Ok(outcome) => outcome.map_err(failed),
            Err(lost) => Err(failed(io::Error::other(lost))),
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes all lines of each file at once, and reports the result to their senders.
fn write(batch: Vec<Waiting>) {
    let mut lines: BTreeMap<PathBuf, Vec<Waiting>> = BTreeMap::new();
    for one in batch {
        lines.entry(one.path.clone()).or_default().push(one);
    }
    for (path, of_one_file) in lines {
        let text: String = of_one_file.iter().map(|one| one.line.as_str()).collect();
        let outcome = append(&path, &text);
        for one in of_one_file {
            let copy = outcome.as_ref().copied();
            let copy = copy.map_err(|error| io::Error::new(error.kind(), error.to_string()));
            // The receiver is gone if the run was abandoned.
            let _ = one.done.send(copy);
        }
    }
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    let is_new = !path.exists();
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    let before = file.metadata()?.len();
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_data()) {
        // A partial line would merge with the next one. If this fails too, the reader skips the line.
        let _ = file.set_len(before);
        return Err(error);
    }
    match path.parent().filter(|_| is_new) {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn concurrent_lines_are_all_written_completely() {
        let directory = tempfile::tempdir().unwrap();
        let appender = Appender::default();
        let record = |run: usize| directory.path().join(format!("{run}.jsonl"));
        let lines: Vec<String> = (0..200).map(|one| format!("{{\"line\":{one}}}\n")).collect();
        let appended = lines.iter().enumerate();
        let appended =
            appended.map(|(index, line)| appender.append(record(index % 2), line.clone()));
        for outcome in join_all(appended).await {
            outcome.unwrap();
        }
        for run in 0..2 {
            let mut there: Vec<String> = std::fs::read_to_string(record(run))
                .unwrap()
                .split_inclusive('\n')
                .map(str::to_owned)
                .collect();
            let mut expected: Vec<String> = lines.iter().skip(run).step_by(2).cloned().collect();
            there.sort();
            expected.sort();
            assert_eq!(there, expected);
        }
    }

    #[tokio::test]
    async fn an_error_is_reported_to_every_caller() {
        let directory = tempfile::tempdir().unwrap();
        let appender = Appender::default();
        let path = directory.path().join("missing/run.jsonl");
        let appended = (0..3).map(|_| appender.append(path.clone(), "{}\n".to_owned()));
        for outcome in join_all(appended).await {
            assert!(outcome.unwrap_err().to_string().contains("could not write"));
        }
    }
}
