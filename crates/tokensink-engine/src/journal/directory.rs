//! Creates the state directory and checks that only its owner can use it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::{JournalError, io_error};

/// The owner's permissions that are needed: to write and to enter.
const NEEDED: u32 = 0o300;

/// All permissions of other users.
const OF_OTHERS: u32 = 0o077;

/// Creates `directory` with mode 0700 if it does not exist, and checks it if it exists.
///
/// The owner's mode bits are checked for root, too, although root could write without them: a user who
/// removed them did so on purpose.
pub(super) fn create_private_directory(directory: &Path) -> Result<(), JournalError> {
    // Without a slash at the end, which would follow a symbolic link.
    let directory = &directory.components().collect::<PathBuf>();
    let found = match fs::symlink_metadata(directory) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return make(directory).map_err(|source| io_error("make", directory, source));
        }
        Err(source) => return Err(io_error("look at", directory, source)),
    };
    let problem = if found.is_symlink() {
        "is a symbolic link; name the directory itself with --state-dir"
    } else if !found.is_dir() {
        "is not a directory; name another one with --state-dir"
    } else if found.uid() != rustix::process::geteuid().as_raw() {
        "belongs to another user; name one of your own with --state-dir"
    } else if found.mode() & OF_OTHERS != 0 {
        "is open to others; close it with chmod 700, or name another one with --state-dir"
    } else if found.mode() & NEEDED != NEEDED {
        "is read-only by its mode; make it writable, or name another one with --state-dir"
    } else {
        return Ok(());
    };
    Err(JournalError::Unusable {
        path: directory.display().to_string(),
        problem: problem.to_owned(),
    })
}

/// Creates a directory and its parents, and syncs each parent: a record would be lost if its directory
/// did not survive a power failure.
fn make(directory: &Path) -> io::Result<()> {
    if let Some(above) = directory.parent().filter(|above| !above.as_os_str().is_empty()) {
        if !above.exists() {
            make(above)?;
        }
        fs::DirBuilder::new().mode(0o700).create(directory)?;
        return File::open(above)?.sync_all();
    }
    fs::DirBuilder::new().mode(0o700).create(directory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    #[test]
    fn an_unusable_directory_is_rejected() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        let refusal = |name: &str| create_private_directory(&place(name)).unwrap_err().to_string();

        create_private_directory(&place("state/deep")).unwrap();
        create_private_directory(&place("state/deep")).unwrap();
        fs::write(place("file"), "").unwrap();
        assert!(refusal("file").contains("not a directory"));
        assert!(refusal("file/below").starts_with("could not look at"));
        symlink(place("state"), place("link")).unwrap();
        assert!(refusal("link").contains("symbolic link"));
        assert!(refusal("link/").contains("symbolic link"));
        fs::create_dir(place("open")).unwrap();
        fs::set_permissions(place("open"), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(refusal("open").contains("open to others"));
        fs::create_dir(place("sealed")).unwrap();
        fs::set_permissions(place("sealed"), fs::Permissions::from_mode(0o500)).unwrap();
        assert!(refusal("sealed").contains("read-only"));
        // Only root may change the owner of a directory.
        fs::create_dir(place("theirs")).unwrap();
        if chown(place("theirs"), Some(1), None).is_ok() {
            assert!(refusal("theirs").contains("another user"));
        }
    }
}
