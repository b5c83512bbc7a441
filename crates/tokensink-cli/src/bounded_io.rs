//! File access with limits of time and size: a path may name a pipe without a writer, or a disk that
//! does not respond.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, stdin};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;
use zeroize::Zeroizing;

/// Names standard input in place of a file.
pub(crate) const STANDARD_INPUT: &str = "-";

/// The longest wait for a file on a disk.
pub(crate) const FILE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest wait for a pipe: the program that writes it may ask its user for a password first.
pub(crate) const PIPE_TIMEOUT: Duration = Duration::from_secs(60);

/// The content of a file or a pipe.
#[derive(Debug)]
pub(crate) struct FileContent {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// Whether it came from standard input, a pipe or a device, and so is not in a directory.
    pub(crate) is_stream: bool,
}

/// Reads a file, a pipe, or standard input where `path` is `-`. Dropping the future ends the wait.
///
/// # Errors
///
/// [`ErrorKind::IsADirectory`]; [`ErrorKind::FileTooLarge`] beyond `max_bytes`;
/// [`ErrorKind::TimedOut`] after five seconds, or a minute for a pipe; those of the file system.
pub(crate) async fn read(path: &Path, max_bytes: usize) -> io::Result<FileContent> {
    if path == Path::new(STANDARD_INPUT) {
        let input = standard_input()?;
        let bytes = within(PIPE_TIMEOUT, move || read_to_end(input, max_bytes)).await?;
        return Ok(FileContent { bytes, is_stream: true });
    }
    let path = path.to_owned();
    let file = path.clone();
    let metadata = within(FILE_TIMEOUT, move || fs::metadata(file)).await?;
    if metadata.is_dir() {
        return Err(ErrorKind::IsADirectory.into());
    }
    let is_stream = !metadata.is_file();
    let limit = if is_stream { PIPE_TIMEOUT } else { FILE_TIMEOUT };
    let bytes = within(limit, move || read_to_end(File::open(path)?, max_bytes)).await?;
    Ok(FileContent { bytes, is_stream })
}

/// Returns standard input without the standard library's buffer, which would keep a secret.
pub(crate) fn standard_input() -> io::Result<File> {
    Ok(File::from(stdin().as_fd().try_clone_to_owned()?))
}

/// Reads at most `max_bytes`. The buffer is never reallocated, which would leave copies of a secret.
pub(crate) fn read_to_end(file: File, max_bytes: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(max_bytes + 1));
    file.take(max_bytes as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max_bytes {
        let problem = format!("it is larger than {} KB", max_bytes >> 10);
        return Err(io::Error::new(ErrorKind::FileTooLarge, problem));
    }
    Ok(bytes)
}

/// Runs `work`, which accesses files, away from the async threads.
///
/// # Errors
///
/// Those of `work`, and [`ErrorKind::TimedOut`] after `limit`. The thread is abandoned then.
pub(crate) async fn within<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match timeout(limit, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(io::Error::other(error)),
        Err(_) => Err(io::Error::new(ErrorKind::TimedOut, format!("no response within {limit:?}"))),
    }
}
