//! Writes to the files of one directory, committed together.
//!
//! Durability is what a write waits for: its own bytes, and the directory's entry for them. So the
//! writes that are requested while others of the same directory are in progress are collected. One
//! thread then locks the directory, writes all of their files, and makes the directory durable once
//! for all of them. No write is acknowledged before that.

use std::collections::HashMap;
use std::error::Error as _;
use std::fs::File;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tempfile::NamedTempFile;
use tokensink_core::{SinkError, Token};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::file::{Contents, EnvFile, failed, lock_directory};
use crate::sink::DotenvSink;

/// Files that are written to the disk at once, each by a thread that mostly waits for it.
const MAX_THREADS: usize = 8;

/// The most writes that may be in flight: their bytes are in memory at the same time. The disk takes
/// little longer for many files than for one, so there is no reason for fewer.
pub(crate) const MAX_IN_FLIGHT: usize = 64;

/// The directories of a config's sinks.
#[derive(Debug, Default)]
pub(crate) struct Directories(Mutex<HashMap<PathBuf, Arc<Directory>>>);

impl Directories {
    /// Returns the one at `path`, which has no symbolic links in it.
    pub(crate) fn get(&self, path: &Path) -> Arc<Directory> {
        let new = || Arc::new(Directory { path: path.to_owned(), queue: Mutex::default() });
        Arc::clone(locked(&self.0).entry(path.to_owned()).or_insert_with(new))
    }
}

/// A directory and the writes that wait for it.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: Vec<Job>,
    /// Whether a thread is at work that will take the jobs.
    is_served: bool,
    /// How many times the directory was made durable.
    #[cfg(test)]
    commits: usize,
}

/// A write that was requested.
#[derive(Debug)]
struct Job {
    sink: DotenvSink,
    place: EnvFile,
    token: Token,
    acknowledgement: oneshot::Sender<Result<(), SinkError>>,
}

impl Job {
    /// A write that lands after its caller gave up could bring an old token back.
    fn is_abandoned(&self) -> bool {
        self.acknowledgement.is_closed()
    }

    fn finish(self, outcome: Result<(), SinkError>) {
        // Fails where the caller gave up: then nothing waits for the outcome.
        drop(self.acknowledgement.send(outcome));
    }
}

/// A write whose bytes are on the disk, under another name until it is committed.
struct Staged {
    job: Job,
    file: StagedFile,
}

enum StagedFile {
    Replacement {
        temporary: NamedTempFile,
        original: Contents,
    },
    /// The file holds the token already; an earlier attempt may not have made that durable.
    Unchanged(File),
}

impl Directory {
    /// Writes `token` to the variables of `sink` in the file at `place`, together with the other
    /// writes to this directory that are in flight. Returns when it is durable.
    pub(crate) async fn write(
        self: Arc<Self>,
        sink: DotenvSink,
        place: EnvFile,
        token: Token,
    ) -> Result<(), SinkError> {
        let patience = sink.patience();
        let (acknowledgement, outcome) = oneshot::channel();
        let is_first = {
            let mut queue = locked(&self.queue);
            queue.jobs.push(Job { sink, place, token, acknowledgement });
            !mem::replace(&mut queue.is_served, true)
        };
        if is_first {
            let service = Service { directory: self, is_over: false };
            tokio::task::spawn_blocking(move || service.run(patience));
        }
        outcome.await.unwrap_or_else(|_| Err(SinkError::other("the edit panicked")))
    }

    /// The next jobs, at most one for each file.
    fn next_batch(&self, queue: &mut Queue) -> Vec<Job> {
        let mut batch: Vec<Job> = Vec::new();
        for job in mem::take(&mut queue.jobs) {
            let fits = batch.len() < MAX_IN_FLIGHT
                && batch.iter().all(|other| other.place.file != job.place.file);
            if fits { batch.push(job) } else { queue.jobs.push(job) }
        }
        batch
    }

    /// Writes the files of `batch` and acknowledges those that are durable.
    fn commit(&self, batch: Vec<Job>) {
        let mut renamed = Vec::new();
        for staged in in_parallel(batch, |job| self.stage(job)).into_iter().flatten() {
            match staged.file.put_in_place(&staged.job) {
                Ok(file) => renamed.push((staged.job, file)),
                Err(error) => staged.job.finish(Err(error)),
            }
        }
        // The mode and the owner, which were set after the bytes were made durable.
        let synced = in_parallel(renamed, |(job, file)| (job, file.sync_all()));
        let directory = File::open(&self.path)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| failed("save its directory", error));
        #[cfg(test)]
        {
            locked(&self.queue).commits += 1;
        }
        for (job, file) in synced {
            let outcome = match (file, &directory) {
                (Err(error), _) => Err(failed("write it", error)),
                (_, Err(error)) => Err(same_error(error)),
                (Ok(()), Ok(())) => Ok(()),
            };
            job.finish(outcome);
        }
    }

    /// Writes the new bytes to a temporary file; `None` where the job ended with an error or its
    /// caller gave up.
    fn stage(&self, job: Job) -> Option<Staged> {
        if job.is_abandoned() {
            return None;
        }
        match self.staged_file(&job) {
            Ok(file) => Some(Staged { job, file }),
            Err(error) => {
                job.finish(Err(error));
                None
            }
        }
    }

    fn staged_file(&self, job: &Job) -> Result<StagedFile, SinkError> {
        // Read under the lock: what another program wrote since the preparation must not be lost.
        let (place, original) = job.sink.read()?;
        if place.file != job.place.file {
            return Err(SinkError::conflict("was replaced by a link at the same time"));
        }
        let bytes: Zeroizing<Vec<u8>> = job.sink.edited(&original, &job.token)?;
        if *bytes == *original.bytes && original.exists() {
            let unchanged = File::open(&place.file).map_err(|error| failed("open it", error))?;
            return Ok(StagedFile::Unchanged(unchanged));
        }
        let temporary = place.stage(&bytes)?;
        Ok(StagedFile::Replacement { temporary, original })
    }
}

impl StagedFile {
    /// Returns the file, which must be made durable.
    fn put_in_place(self, job: &Job) -> Result<File, SinkError> {
        if job.is_abandoned() {
            return Err(SinkError::other("was given up"));
        }
        match self {
            Self::Replacement { temporary, original } => job.place.replace(temporary, &original),
            Self::Unchanged(file) => Ok(file),
        }
    }
}

/// A thread's work on a directory. Where it ends early, the jobs end with an error and the next one
/// starts another thread.
struct Service {
    directory: Arc<Directory>,
    is_over: bool,
}

impl Service {
    fn run(mut self, patience: Duration) {
        let lock = lock_directory(&self.directory.path, patience);
        loop {
            let batch = {
                let mut queue = locked(&self.directory.queue);
                let batch = self.directory.next_batch(&mut queue);
                if batch.is_empty() {
                    queue.is_served = false;
                    self.is_over = true;
                    return;
                }
                batch
            };
            match &lock {
                Ok(_) => self.directory.commit(batch),
                Err(error) => {
                    for job in batch {
                        job.finish(Err(same_error(error)));
                    }
                }
            }
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if !self.is_over {
            let mut queue = locked(&self.directory.queue);
            queue.is_served = false;
            queue.jobs.clear();
        }
    }
}

/// What ended one job, for another.
fn same_error(error: &SinkError) -> SinkError {
    let mut same = SinkError::of_kind(error.kind(), error.to_string());
    if let Some(help) = error.help() {
        same = same.with_help(help);
    }
    match error.source() {
        Some(source) => same.with_source(source.to_string()),
        None => same,
    }
}

/// Does `work` on each item, in threads where there are several. The order is not kept.
fn in_parallel<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let threads = items.len().min(MAX_THREADS);
    if threads < 2 {
        return items.into_iter().map(work).collect();
    }
    let items = Mutex::new(items);
    let work_off = || {
        let mut done = Vec::new();
        loop {
            let next = locked(&items).pop();
            let Some(item) = next else { return done };
            done.push(work(item));
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work_off)).collect();
        let results = threads.into_iter().map(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.flatten().collect()
    })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokensink_core::{BuildContext, Environment, SinkErrorKind};

    use super::*;

    const FILES: usize = 60;

    fn sink(context: &BuildContext, name: &str) -> DotenvSink {
        DotenvSink::new(Path::new(name), &["K".to_owned()], false, context)
    }

    /// Starts a write of each file, all of which wait for the lock that this test holds, and returns
    /// their outcomes after it was released, with the number of commits.
    async fn write_together(
        directory: &Path,
        names: &[String],
    ) -> (Vec<Result<(), SinkError>>, usize) {
        let context = BuildContext::new(directory, Environment::default());
        let directory = Directories::default().get(&directory.canonicalize().unwrap());
        let lock = lock_directory(&directory.path, Duration::from_secs(5)).unwrap();
        let writes: Vec<_> = names
            .iter()
            .map(|name| {
                let sink = sink(&context, name);
                let place = EnvFile::find(&directory.path.join(name), false).unwrap();
                tokio::spawn(Arc::clone(&directory).write(sink, place, Token::new("bmV3")))
            })
            .collect();
        while locked(&directory.queue).jobs.len() < names.len() {
            tokio::task::yield_now().await;
        }
        drop(lock);
        let mut outcomes = Vec::new();
        for write in writes {
            outcomes.push(write.await.unwrap());
        }
        let commits = locked(&directory.queue).commits;
        (outcomes, commits)
    }

    fn create_files(directory: &Path) -> Vec<String> {
        let names: Vec<String> = (0..FILES).map(|index| format!("{index}.env")).collect();
        for name in &names {
            std::fs::write(directory.join(name), "K=old\n").unwrap();
        }
        names
    }

    #[tokio::test]
    async fn writes_in_flight_make_their_directory_durable_once() {
        let directory = tempfile::tempdir().unwrap();
        let names = create_files(directory.path());
        let (outcomes, commits) = write_together(directory.path(), &names).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert_eq!(commits, 1);
        for name in names {
            let text = std::fs::read_to_string(directory.path().join(&name)).unwrap();
            assert_eq!(text, "K=bmV3\n", "{name}");
        }
    }

    #[tokio::test]
    async fn a_failed_write_does_not_fail_the_others_of_its_batch() {
        let directory = tempfile::tempdir().unwrap();
        let names = create_files(directory.path());
        std::fs::write(directory.path().join(&names[7]), "OTHER=1\n").unwrap();
        let (outcomes, commits) = write_together(directory.path(), &names).await;
        assert_eq!(commits, 1);
        for (name, outcome) in names.iter().zip(outcomes) {
            let kind = outcome.err().map(|error| error.kind());
            assert_eq!(kind, (*name == names[7]).then_some(SinkErrorKind::NotFound), "{name}");
        }
    }

    #[tokio::test]
    async fn two_writes_of_one_file_are_made_one_after_the_other() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(".env"), "K=old\n").unwrap();
        let twice = [".env".to_owned(), ".env".to_owned()];
        let (outcomes, commits) = write_together(directory.path(), &twice).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert_eq!(commits, 2);
    }
}
