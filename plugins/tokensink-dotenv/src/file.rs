//! A `.env` file on disk: reading it, and replacing it atomically.
//!
//! The new bytes go into a temporary file beside it, which is then renamed over it: a reader sees
//! the old file or the new one, never half of one. A symbolic link stays; its target is replaced.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use tempfile::NamedTempFile;
use tokensink_core::SinkError;
use zeroize::Zeroizing;

use crate::attributes;
use crate::edit::MAX_BYTES;

/// Marks our temporary files, so that the next run can recognize one that a kill left behind.
pub(crate) const TEMPORARY: &str = ".tokensink-";

/// How many letters and digits `tempfile` puts after the prefix.
const RANDOM_LENGTH: usize = 6;

/// More than the standard library needs free to read into a buffer itself, not by way of another.
const SPARE: usize = 64;

/// How often a lock that another process holds is tried.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// A file as it was read, and enough to notice that it was changed since. It has no `Debug`: its
/// bytes are secrets.
pub(crate) struct Contents {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    pub(crate) mode: u32,
    identity: Option<Identity>,
    pub(crate) owner: (u32, u32),
}

#[derive(Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// Returns the path of a file that does not exist yet, with the symbolic links of its directory
/// resolved. A directory that cannot be found is an error of the caller's next step.
fn in_real_directory(path: &Path) -> PathBuf {
    let directory = path.parent().and_then(|directory| fs::canonicalize(directory).ok());
    match (directory, path.file_name()) {
        (Some(directory), Some(name)) => directory.join(name),
        _ => path.to_owned(),
    }
}

/// The file behind `path` and every symbolic link, and its directory.
#[derive(Clone, Debug)]
pub(crate) struct EnvFile {
    pub(crate) file: PathBuf,
    pub(crate) directory: PathBuf,
}

impl EnvFile {
    /// Follows links; where `may_be_missing`, the file itself need not exist.
    pub(crate) fn find(path: &Path, may_be_missing: bool) -> Result<Self, SinkError> {
        let file = match fs::canonicalize(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound && path.is_symlink() => {
                return Err(SinkError::not_found(
                    "is a symbolic link to a file that does not exist",
                )
                .with_help("create the file that it points to, or name another one"));
            }
            Err(error) if error.kind() == ErrorKind::NotFound && may_be_missing => {
                in_real_directory(path)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(SinkError::not_found("there is no such file")
                    .with_help("create it, or set `create = true`"));
            }
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                return Err(SinkError::rejected("is a symbolic link in a loop")
                    .with_help("point it at a file"));
            }
            Err(error) => return Err(failed("find it", error)),
        };
        let directory = file.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self { file, directory })
    }

    /// Returns the file's contents; `None` where it does not exist.
    pub(crate) fn read(&self) -> Result<Option<Contents>, SinkError> {
        // Opening a FIFO without this would wait for a writer.
        let options = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(&self.file);
        let opened = match options {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed("open it", error)),
        };
        let found = opened.metadata().map_err(|error| failed("read its metadata", error))?;
        if !found.is_file() {
            let what = if found.is_dir() { "a directory" } else { "a device, pipe or socket" };
            return Err(
                SinkError::rejected(format!("is {what}, not a file")).with_help("name the file")
            );
        }
        if found.len() > MAX_BYTES {
            return Err(
                SinkError::rejected("is larger than 10 MB").with_help("name a smaller file")
            );
        }
        // With room to spare, so that growing leaves no unzeroized copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(found.len() as usize + SPARE));
        let mut limited = opened.take(MAX_BYTES + 1);
        limited.read_to_end(&mut bytes).map_err(|error| failed("read it", error))?;
        Ok(Some(Contents {
            bytes,
            mode: found.mode() & 0o7777,
            identity: Some(Identity::of(&found)),
            owner: (found.uid(), found.gid()),
        }))
    }

    /// Removes the temporary files of killed runs. Call it under the lock, so that none is in use.
    /// Returns a warning for each that could not be removed: that prevents no write.
    pub(crate) fn sweep(&self) -> Vec<String> {
        let warning = |error| format!("cannot look for files of a killed run: {error}");
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) => return vec![warning(error)],
        };
        let mut warnings = Vec::new();
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    warnings.push(warning(error));
                    continue;
                }
            };
            let name = entry.file_name();
            if !self.is_temporary_name(&name.to_string_lossy()) || !is_our_file(&entry.path()) {
                continue;
            }
            if let Err(error) = fs::remove_file(entry.path()) {
                let name = name.to_string_lossy();
                warnings.push(format!(
                    "cannot remove {name}, which a killed run left and which may contain a token: {error}"
                ));
            }
        }
        warnings
    }

    /// Whether a name has exactly the form of our temporary files, of this version or an earlier one
    /// (`..env.tokensink-…`).
    fn is_temporary_name(&self, name: &str) -> bool {
        let prefix = self.temporary_prefix();
        let is_random = |random: &str| {
            random.len() == RANDOM_LENGTH && random.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let current = name
            .strip_prefix(&prefix)
            .and_then(|rest| rest.strip_suffix(&self.temporary_suffix()))
            .is_some_and(is_random);
        let earlier = name.strip_prefix('.').and_then(|rest| rest.strip_prefix(&prefix));
        current || earlier.is_some_and(is_random)
    }

    /// Writes `bytes` durably to a temporary file beside this one, which only this user may read. It
    /// is removed when it is dropped.
    pub(crate) fn stage(&self, bytes: &[u8]) -> Result<NamedTempFile, SinkError> {
        let mut temporary = tempfile::Builder::new()
            .prefix(&self.temporary_prefix())
            .suffix(&self.temporary_suffix())
            .tempfile_in(&self.directory)
            .map_err(|error| failed("write it", error))?;
        fill(temporary.as_file_mut(), bytes)?;
        Ok(temporary)
    }

    /// Puts a staged file in the place of `original`, with its mode and owner, unless that was
    /// changed since it was read. The caller makes the returned file and the directory durable.
    pub(crate) fn replace(
        &self,
        staged: NamedTempFile,
        original: &Contents,
    ) -> Result<File, SinkError> {
        let now = fs::metadata(&self.file).ok().map(|found| Identity::of(&found));
        if now != original.identity {
            return Err(SinkError::conflict("was changed by another program at the same time"));
        }
        self.copy_access(staged.as_file(), original)?;
        staged.persist(&self.file).map_err(|error| failed("write it", error.error))
    }

    /// Gives `file` the owner, mode and attributes of `original`. Called just before the rename:
    /// until then only we may read it.
    pub(crate) fn copy_access(&self, file: &File, original: &Contents) -> Result<(), SinkError> {
        let not_written = |error| failed("write it", error);
        if original.exists() {
            let (user, group) = original.owner;
            let ours = file.metadata().map_err(not_written)?;
            if (ours.uid(), ours.gid()) != (user, group) {
                fchown(file, Some(user), Some(group)).map_err(|error| {
                    failed("keep its owner and group", error)
                        .with_help("run as a member of its group")
                })?;
            }
            // Before the mode, which would give access to the users in the directory's default list.
            attributes::copy(&File::open(&self.file).map_err(not_written)?, file);
            file.set_permissions(Permissions::from_mode(original.mode)).map_err(not_written)?;
        }
        Ok(())
    }

    /// The whole name comes first and its last part is repeated at the end, so that the patterns of
    /// ignore files that match the name (`.env*`, `*.env`, `.env*.local`) match ours too.
    fn temporary_prefix(&self) -> String {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        format!("{name}{TEMPORARY}")
    }

    fn temporary_suffix(&self) -> String {
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        name.rfind('.').map_or(String::new(), |dot| name[dot..].to_owned())
    }

    /// Returns where the token goes if that is outside `base_dir`, symbolic links resolved.
    pub(crate) fn outside(&self, base_dir: &Path) -> Option<String> {
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let file = real(&self.directory).join(self.file.file_name().unwrap_or_default());
        (!file.starts_with(real(base_dir)))
            .then(|| format!("writes {}, outside the directory of the config file", file.display()))
    }
}

/// Writes `bytes` durably. The file keeps the mode that it was created with.
pub(crate) fn fill(file: &mut File, bytes: &[u8]) -> Result<(), SinkError> {
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|error| failed("write it", error))
}

/// Whether `path` is a regular file that only this user's runs could have created.
fn is_our_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| {
        let us = rustix::process::geteuid();
        found.is_file() && found.nlink() == 1 && (us.is_root() || found.uid() == us.as_raw())
    })
}

impl Contents {
    /// A file that does not exist yet: it is created with mode 0600.
    pub(crate) fn missing() -> Self {
        Self { bytes: Zeroizing::default(), mode: 0o600, identity: None, owner: (0, 0) }
    }

    /// Whether the file exists.
    pub(crate) fn exists(&self) -> bool {
        self.identity.is_some()
    }
}

impl Identity {
    fn of(found: &fs::Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
        }
    }
}

/// Prevents other runs from editing files in `directory` until the returned lock is dropped. No file
/// is left behind.
pub(crate) fn lock_directory(directory: &Path, patience: Duration) -> Result<File, SinkError> {
    let lock = open_directory(directory)?;
    let until = Instant::now() + patience;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::Error(error)) => {
                return Err(failed("lock its directory", error)
                    .with_help("keep it on a file system that has locks for directories"));
            }
            Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                return Err(SinkError::transient("another process keeps its directory locked"));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(POLL_INTERVAL),
        }
    }
}

pub(crate) fn open_directory(directory: &Path) -> Result<File, SinkError> {
    File::open(directory).map_err(|error| failed("open its directory", error))
}

pub(crate) fn failed(action: &str, error: std::io::Error) -> SinkError {
    let problem = format!("cannot {action}");
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            SinkError::permission_denied(problem)
                .with_help("allow writing to the file and its directory")
                .with_source(error)
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            SinkError::transient(problem).with_help("make room on the disk").with_source(error)
        }
        ErrorKind::Interrupted | ErrorKind::WouldBlock => {
            SinkError::transient(problem).with_source(error)
        }
        _ => SinkError::other(problem).with_source(error),
    }
}

#[cfg(test)]
mod tests {
    use tokensink_core::SinkErrorKind;

    use super::*;

    #[test]
    fn only_the_user_may_read_a_staged_file_until_it_is_renamed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".env");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        for original_mode in [0o644, 0o666, 0o600] {
            fs::write(&path, "K=old\n").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(original_mode)).unwrap();
            let place = EnvFile::find(&path, false).unwrap();
            let original = place.read().unwrap().unwrap();
            let staged = place.stage(b"K=new\n").unwrap();
            assert_eq!(mode(staged.path()), 0o600);
            place.replace(staged, &original).unwrap();
            assert_eq!(mode(&path), original_mode);
        }
    }

    #[test]
    fn errors_that_may_pass_are_distinguished_from_permanent_ones() {
        for (error, kind) in [
            (ErrorKind::PermissionDenied, SinkErrorKind::PermissionDenied),
            (ErrorKind::ReadOnlyFilesystem, SinkErrorKind::PermissionDenied),
            (ErrorKind::StorageFull, SinkErrorKind::Transient),
            (ErrorKind::QuotaExceeded, SinkErrorKind::Transient),
            (ErrorKind::Interrupted, SinkErrorKind::Transient),
            (ErrorKind::InvalidInput, SinkErrorKind::Other),
        ] {
            assert_eq!(failed("write it", error.into()).kind(), kind, "{error}");
        }
    }
}
