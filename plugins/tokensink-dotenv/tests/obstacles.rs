//! Causes for a write to fail are found before the reset, when they can still be fixed.
//!
//! Most of it can be arranged by root alone; where it cannot, there is nothing to see.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use tokensink_core::{BuildContext, Environment, Registry};
use tokensink_dotenv as _;

fn directory_with_a_file() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(".env");
    fs::write(&file, "QSTASH_TOKEN=old\n").unwrap();
    (directory, file)
}

/// Why the `.env` of this directory cannot be prepared, and what to do about it.
async fn refusal(directory: &Path) -> String {
    let context = BuildContext::new(directory, Environment::default());
    let table = serde_json::json!({"path": ".env"}).as_object().unwrap().clone();
    let sink = Registry::linked().unwrap().get("dotenv").unwrap().build(table, &context).unwrap();
    let error = sink[0].prepare().await.unwrap_err();
    format!("{error}; {}", error.help().unwrap_or("no help"))
}

/// The same, for a user without these privileges: in a thread of its own, which lacks them.
fn refusal_without(privileges: CapabilitySet, directory: &Path) -> String {
    let directory = directory.to_owned();
    let unprivileged = std::thread::spawn(move || {
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(privileges);
        set_capabilities(None, sets).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(refusal(&directory))
    });
    unprivileged.join().unwrap()
}

/// A mount that goes when it is dropped.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        unmount(self.0, UnmountFlags::empty()).unwrap();
    }
}

/// An attribute of a file or a directory that goes when it is dropped.
struct Marked(File, IFlags);

impl Marked {
    fn with(flag: IFlags, path: &Path) -> Option<Self> {
        let file = File::open(path).unwrap();
        let before = ioctl_getflags(&file).ok()?;
        ioctl_setflags(&file, before | flag).ok()?;
        Some(Self(file, before))
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        ioctl_setflags(&self.0, self.1).unwrap();
    }
}

#[test]
fn a_group_that_cannot_be_kept() {
    let (directory, file) = directory_with_a_file();
    if chown(&file, None, Some(34)).is_ok() {
        let said = refusal_without(CapabilitySet::CHOWN, directory.path());
        assert_eq!(said, "cannot keep its owner and group; run as a member of its group");
    }
}

#[test]
fn a_directory_that_cannot_be_listed() {
    let (directory, _) = directory_with_a_file();
    let set_mode = |mode| {
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(0o300);
    let privileges = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    let said = refusal_without(privileges, directory.path());
    // So that it can be removed.
    set_mode(0o700);
    assert_eq!(said, "cannot open its directory; allow writing to the file and its directory");
}

#[tokio::test]
async fn a_file_that_is_mounted() {
    let (directory, file) = directory_with_a_file();
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(&outside, "QSTASH_TOKEN=old\n").unwrap();
    if mount_bind(outside.path(), &file).is_ok() {
        let _mounted = Mounted(&file);
        let said = refusal(directory.path()).await;
        assert_eq!(said, "is mounted by itself, so it cannot be replaced; mount its directory");
    }
}

#[tokio::test]
async fn a_file_or_directory_that_is_sealed() {
    for (flag, seal) in [(IFlags::IMMUTABLE, "immutable"), (IFlags::APPEND, "append-only")] {
        let (directory, file) = directory_with_a_file();
        for (path, what) in [(file.as_path(), ""), (directory.path(), "its directory ")] {
            if let Some(_marked) = Marked::with(flag, path) {
                let said = refusal(directory.path()).await;
                let expected = format!("{what}is {seal}; remove that attribute with chattr");
                assert_eq!(said, expected);
            }
        }
    }
}

#[tokio::test]
async fn a_disk_without_room() {
    let directory = tempfile::tempdir().unwrap();
    let room = format!("size={}", 8192);
    let room = std::ffi::CString::new(room).unwrap();
    if mount("tmpfs", directory.path(), "tmpfs", MountFlags::empty(), Some(room.as_c_str())).is_ok()
    {
        let _mounted = Mounted(directory.path());
        fs::write(directory.path().join(".env"), "QSTASH_TOKEN=old\n").unwrap();
        fs::write(directory.path().join("filler"), "x").unwrap();
        assert_eq!(refusal(directory.path()).await, "cannot write it; make room on the disk");
    }
}
