//! Causes for a write to fail, found before the reset, when they can still be fixed.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
#[cfg(target_os = "linux")]
use std::path::Path;

#[cfg(target_os = "linux")]
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
use tokensink_core::SinkError;

use crate::file::{Contents, EnvFile, failed, fill, open_directory};

impl EnvFile {
    /// Refuses a file that a rename would break, or that must not be written.
    pub(crate) fn refuse_unwritable(&self, contents: &Contents) -> Result<(), SinkError> {
        if contents.exists() {
            self.refuse_closed(contents)?;
        }
        self.refuse_fixed()
    }

    fn refuse_closed(&self, contents: &Contents) -> Result<(), SinkError> {
        if contents.mode & 0o222 == 0 {
            return Err(SinkError::permission_denied("is read-only by its mode")
                .with_help("run chmod u+w on it"));
        }
        let found = fs::metadata(&self.file).map_err(|error| failed("read its metadata", error))?;
        if found.nlink() > 1 {
            let problem =
                format!("has {} hard links, and replacing it would separate them", found.nlink());
            return Err(SinkError::rejected(problem).with_help("use a symbolic link instead"));
        }
        let us = rustix::process::geteuid();
        if contents.owner.0 != us.as_raw() && !us.is_root() {
            return Err(SinkError::permission_denied(
                "belongs to another user, which replacing it would change",
            )
            .with_help("run as that user"));
        }
        Ok(())
    }

    /// Refuses a file that the system would not allow us to replace. Only Linux reports that beforehand.
    #[cfg(target_os = "linux")]
    fn refuse_fixed(&self) -> Result<(), SinkError> {
        let (file, directory) = (attributes_of(&self.file), attributes_of(&self.directory));
        if file.contains(StatxAttributes::MOUNT_ROOT) {
            return Err(SinkError::rejected("is mounted by itself, so it cannot be replaced")
                .with_help("mount its directory"));
        }
        let seals =
            [(StatxAttributes::IMMUTABLE, "immutable"), (StatxAttributes::APPEND, "append-only")];
        for (found, what) in [(file, ""), (directory, "its directory ")] {
            if let Some((_, seal)) = seals.iter().find(|(seal, _)| found.contains(*seal)) {
                return Err(SinkError::permission_denied(format!("{what}is {seal}"))
                    .with_help("remove that attribute with chattr"));
            }
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn refuse_fixed(&self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Does what a write does, up to the rename, in a file without a name.
    pub(crate) fn rehearse(&self, original: &Contents, bytes: &[u8]) -> Result<(), SinkError> {
        let directory = open_directory(&self.directory)?;
        let mut file = tempfile::tempfile_in(&self.directory)
            .map_err(|error| failed("create a file in its directory", error))?;
        fill(&mut file, bytes)?;
        self.copy_access(&file, original)?;
        file.sync_all().map_err(|error| failed("write it", error))?;
        directory.sync_all().map_err(|error| failed("save its directory", error))
    }
}

/// Returns none where the system does not know them, which does not prevent a write.
#[cfg(target_os = "linux")]
fn attributes_of(path: &Path) -> StatxAttributes {
    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::empty());
    found.map_or(StatxAttributes::empty(), |found| found.stx_attributes)
}
