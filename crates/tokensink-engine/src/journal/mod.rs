//! What happened, on disk: enough to repair any interrupted run, and no secret.
//!
//! The token is not in it: the issuer can be asked for the live one at any time. A record holds
//! fingerprints, receipts and states.

mod entry;
mod file;
mod memory;

use std::fmt;

use tokensink_core::TargetId;

pub use entry::{Entry, LastWrite, Record, Run, RunId};
pub use file::{FileJournal, Lock, LockError};
pub use memory::MemoryJournal;

/// An append-only record of runs. An entry is durable when [`append`](Self::append) returns.
pub trait Journal: fmt::Debug + Send + Sync {
    /// Adds `entry` to the record of `run`.
    ///
    /// # Errors
    ///
    /// When it could not be made durable.
    fn append(&self, run: &RunId, entry: &Entry) -> Result<(), JournalError>;

    /// All runs, oldest first.
    ///
    /// # Errors
    ///
    /// When the record could not be read.
    fn runs(&self) -> Result<Vec<Run>, JournalError>;
}

/// Why the journal could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system said no.
    #[error("could not {doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To which file or folder.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Something else than a journal stands there, or somebody else's.
    #[error("{path} {problem}")]
    Unusable {
        /// The file or folder.
        path: String,
        /// What is wrong with it, and what to do.
        problem: String,
    },
}

/// The newest write to `target` that the journal knows of.
pub(crate) fn last_write(runs: &[Run], target: &TargetId) -> Option<LastWrite> {
    runs.iter().rev().find_map(|run| run.last_write(target))
}

/// The newest run for `issuer` that asked for a reset, if it never learned whether it happened.
pub(crate) fn unconfirmed_reset<'a>(runs: &'a [Run], issuer: &str) -> Option<&'a Run> {
    let mut of_issuer = runs.iter().rev().filter(|run| run.issuer() == Some(issuer));
    of_issuer
        .find(|run| run.asked_for_a_reset() || run.is_complete())
        .filter(|run| run.is_unconfirmed())
}
