//! Extended attributes, such as access control lists and labels: kept where the system allows it.

use std::fs::File;

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr};

/// More than any file system keeps for one file.
const MAX_BYTES: usize = 64 << 10;

/// The other users that may read a file, on Linux. A directory can give such a list to its new files.
const ACCESS_LIST: &str = "system.posix_acl_access";

/// Copies what it may. A label that only the system may set is set by the system.
pub(crate) fn copy(from: &File, to: &File) {
    // Fails where there is none. If the original has one, it follows below.
    let _ = fremovexattr(to, ACCESS_LIST);
    let mut names = vec![0; MAX_BYTES];
    let Ok(length) = flistxattr(from, &mut names[..]) else { return };
    let mut value = vec![0; MAX_BYTES];
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if let Ok(length) = fgetxattr(from, name, &mut value[..]) {
            // Not every file system accepts every attribute, and a file without them is still usable.
            let _ = fsetxattr(to, name, &value[..length], XattrFlags::empty());
        }
    }
}
