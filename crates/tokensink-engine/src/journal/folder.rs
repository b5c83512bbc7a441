//! The state folder: made for its owner alone, and refused where it is something else.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::{JournalError, io_error};

/// Writing and entering, for the owner.
const NEEDED: u32 = 0o300;

/// Whatever others may do.
const OF_OTHERS: u32 = 0o077;

/// Makes `folder` with mode 0700 where there is none.
///
/// The bits of one that is there count for root too, who could write all the same: whoever took them
/// away meant it.
pub(super) fn make_private_folder(folder: &Path) -> Result<(), JournalError> {
    // Without a slash at the end, which would look through a symbolic link.
    let folder = &folder.components().collect::<PathBuf>();
    let found = match fs::symlink_metadata(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return make(folder).map_err(|source| io_error("make", folder, source));
        }
        Err(source) => return Err(io_error("look at", folder, source)),
    };
    let problem = if found.is_symlink() {
        "is a symbolic link; name the folder itself with --state-dir"
    } else if !found.is_dir() {
        "is not a folder; name another one with --state-dir"
    } else if found.uid() != rustix::process::geteuid().as_raw() {
        "belongs to another user; name one of your own with --state-dir"
    } else if found.mode() & OF_OTHERS != 0 {
        "is open to others; close it with chmod 700, or name another one with --state-dir"
    } else if found.mode() & NEEDED != NEEDED {
        "is read-only by its mode; make it writable, or name another one with --state-dir"
    } else {
        return Ok(());
    };
    Err(JournalError::Unusable { path: folder.display().to_string(), problem: problem.to_owned() })
}

/// Each new folder is durable in the one above it: a record in a folder that a power cut takes away
/// is none.
fn make(folder: &Path) -> io::Result<()> {
    if let Some(above) = folder.parent().filter(|above| !above.as_os_str().is_empty()) {
        if !above.exists() {
            make(above)?;
        }
        fs::DirBuilder::new().mode(0o700).create(folder)?;
        return File::open(above)?.sync_all();
    }
    fs::DirBuilder::new().mode(0o700).create(folder)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::*;

    #[test]
    fn what_is_no_folder_of_ours_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let refusal = |name: &str| make_private_folder(&place(name)).unwrap_err().to_string();

        make_private_folder(&place("state/deep")).unwrap();
        make_private_folder(&place("state/deep")).unwrap();
        fs::write(place("file"), "").unwrap();
        assert!(refusal("file").contains("not a folder"));
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
        // Only root may give a folder away.
        fs::create_dir(place("theirs")).unwrap();
        if chown(place("theirs"), Some(1), None).is_ok() {
            assert!(refusal("theirs").contains("another user"));
        }
    }
}
