//! What would stop a write is found before the reset, when it can still be mended.
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

fn folder_with_a_file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    fs::write(&file, "QSTASH_TOKEN=old\n").unwrap();
    (folder, file)
}

/// Why the `.env` of this folder cannot be prepared, and what to do about it.
async fn refusal(folder: &Path) -> String {
    let context = BuildContext::new(folder, Environment::default());
    let table = serde_json::json!({"path": ".env"}).as_object().unwrap().clone();
    let sink = Registry::linked().unwrap().get("dotenv").unwrap().build(table, &context).unwrap();
    let error = sink[0].prepare().await.unwrap_err();
    format!("{error}; {}", error.help().unwrap_or("no advice"))
}

/// The same, for somebody without these privileges: in a thread of its own, which alone lacks them.
fn refusal_without(privileges: CapabilitySet, folder: &Path) -> String {
    let folder = folder.to_owned();
    let unprivileged = std::thread::spawn(move || {
        let mut sets = capabilities(None).unwrap();
        sets.effective.remove(privileges);
        set_capabilities(None, sets).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(refusal(&folder))
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

/// An attribute of a file or a folder that goes when it is dropped.
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
    let (folder, file) = folder_with_a_file();
    if chown(&file, None, Some(34)).is_ok() {
        let said = refusal_without(CapabilitySet::CHOWN, folder.path());
        assert_eq!(said, "could not keep its owner and group; run as a member of its group");
    }
}

#[test]
fn a_folder_that_cannot_be_listed() {
    let (folder, _) = folder_with_a_file();
    let set_mode = |mode| {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
    };
    set_mode(0o300);
    let privileges = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    let said = refusal_without(privileges, folder.path());
    // So that it can be removed.
    set_mode(0o700);
    assert_eq!(said, "could not open its folder; see the permissions of the file and its folder");
}

#[tokio::test]
async fn a_file_that_is_mounted() {
    let (folder, file) = folder_with_a_file();
    let outside = tempfile::NamedTempFile::new().unwrap();
    fs::write(&outside, "QSTASH_TOKEN=old\n").unwrap();
    if mount_bind(outside.path(), &file).is_ok() {
        let _mounted = Mounted(&file);
        let said = refusal(folder.path()).await;
        assert_eq!(said, "is mounted by itself, so it cannot be replaced; mount its folder");
    }
}

#[tokio::test]
async fn a_file_or_folder_that_is_sealed() {
    for (flag, seal) in [(IFlags::IMMUTABLE, "immutable"), (IFlags::APPEND, "append-only")] {
        let (folder, file) = folder_with_a_file();
        for (path, what) in [(file.as_path(), ""), (folder.path(), "its folder ")] {
            if let Some(_marked) = Marked::with(flag, path) {
                let said = refusal(folder.path()).await;
                let expected = format!("{what}is {seal}; take that attribute off with chattr");
                assert_eq!(said, expected);
            }
        }
    }
}

#[tokio::test]
async fn a_disk_without_room() {
    let folder = tempfile::tempdir().unwrap();
    let room = format!("size={}", 8192);
    let room = std::ffi::CString::new(room).unwrap();
    if mount("tmpfs", folder.path(), "tmpfs", MountFlags::empty(), Some(room.as_c_str())).is_ok() {
        let _mounted = Mounted(folder.path());
        fs::write(folder.path().join(".env"), "QSTASH_TOKEN=old\n").unwrap();
        fs::write(folder.path().join("filler"), "x").unwrap();
        assert_eq!(refusal(folder.path()).await, "could not write it; make room on the disk");
    }
}
