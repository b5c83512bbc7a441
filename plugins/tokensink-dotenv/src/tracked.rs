//! Whether git tracks a file. Its index lists all that it does, so git itself is not run.
//!
//! Deliberately absent: indexes of version 4, which shorten paths, and those in other places
//! (of linked work trees and submodules). Files in these count as not tracked.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

const HEADER: usize = 12;
/// Times, mode, owner, size and hash of an entry stand before its flags.
const FLAGS: usize = 60;
const PATH: usize = 62;
/// The flag that says that two more bytes of flags follow.
const EXTENDED: u8 = 0x40;

/// `file` is absolute, and no symbolic link.
pub(crate) fn is_tracked(file: &Path) -> bool {
    let root = file.ancestors().skip(1).find(|directory| directory.join(".git").exists());
    let listed = root.and_then(|root| {
        let path = file.strip_prefix(root).ok()?;
        let index = fs::read(root.join(".git/index")).ok()?;
        lists(&index, path.as_os_str().as_bytes())
    });
    listed.unwrap_or(false)
}

/// Whether `path` is among the entries; `None` where they are not understood.
fn lists(index: &[u8], path: &[u8]) -> Option<bool> {
    let number = |at: usize| Some(u32::from_be_bytes(*index.get(at..)?.first_chunk()?));
    if !index.starts_with(b"DIRC") || !matches!(number(4)?, 2 | 3) {
        return None;
    }
    let mut entry = HEADER;
    for _ in 0..number(8)? {
        let is_extended = index.get(entry + FLAGS)? & EXTENDED != 0;
        let start = entry + PATH + if is_extended { 2 } else { 0 };
        let length = index.get(start..)?.iter().position(|byte| *byte == 0)?;
        if index[start..start + length] == *path {
            return Some(true);
        }
        // One to eight NUL bytes make its length a multiple of eight.
        entry += (start + length - entry) / 8 * 8 + 8;
    }
    Some(false)
}
