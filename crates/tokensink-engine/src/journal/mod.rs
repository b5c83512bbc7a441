//! The journal: a durable record of all runs that suffices to repair an interrupted one.
//!
//! It contains fingerprints, receipts and states, but not the token, which can be read from the issuer at
//! any time.

mod appender;
mod directory;
mod entry;
mod file;
mod history;
mod memory;

use std::fmt;
use std::path::Path;

use async_trait::async_trait;
use jiff::Timestamp;
use tokensink_core::{Fingerprint, TargetId};

use self::entry::LastRecord;
use crate::Outcome;

pub use entry::{Entry, LastWrite, Record, RunId, RunRecord};
pub use file::{FileJournal, Lock, LockError};
pub use history::{ResetSummary, RunSummary, WriteSummary, summarize};
pub use memory::MemoryJournal;

/// An append-only record of runs. An entry is durable when [`append`](Self::append) returns.
#[async_trait]
pub trait Journal: fmt::Debug + Send + Sync {
    /// Adds `entry` to the record of `run`.
    ///
    /// # Errors
    ///
    /// When the entry could not be made durable. Earlier entries stay readable.
    async fn append(&self, run: &RunId, entry: &Entry) -> Result<(), JournalError>;

    /// Returns all runs, oldest first. A damaged record is returned as a run with
    /// [`damage`](RunRecord::damage) and is not an error, so that it does not prevent a repair.
    ///
    /// # Errors
    ///
    /// When no record can be read.
    async fn runs(&self) -> Result<Vec<RunRecord>, JournalError>;
}

/// An error while writing or reading the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// A file operation failed.
    #[error("could not {doing} {path}: {source}")]
    Io {
        /// The operation, as a verb.
        doing: &'static str,
        /// The file or directory.
        path: String,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The path is not a journal, or the journal of another user.
    #[error("{path} {problem}")]
    Unusable {
        /// The file or directory.
        path: String,
        /// The problem and the next step.
        problem: String,
    },
}

fn io_error(doing: &'static str, path: &Path, source: std::io::Error) -> JournalError {
    JournalError::Io { doing, path: path.display().to_string(), source }
}

/// Returns the newest write to `target`, or `None` if an unacknowledged write or an interrupted run after
/// it may have written a newer value.
pub(crate) fn last_write(runs: &[RunRecord], issuer: &str, target: &TargetId) -> Option<LastWrite> {
    for run in runs.iter().rev() {
        match run.last_record_on(target) {
            Some(LastRecord::Written(write)) => return Some(write),
            Some(LastRecord::NotWritten) => return None,
            None if run.may_be_of(issuer) && run.may_have_written() => return None,
            None => {}
        }
    }
    None
}

/// Returns the time of the last acknowledged write to `target`.
pub(crate) fn last_written_at(runs: &[RunRecord], target: &TargetId) -> Option<Timestamp> {
    runs.iter().rev().find_map(|run| run.written_at(target))
}

/// Returns whether a request of an earlier run may still take effect: the newest run that may have changed
/// anything was not complete.
pub(crate) fn has_unacknowledged_requests(runs: &[RunRecord], issuer: &str) -> bool {
    let changed_nothing = |run: &&RunRecord| run.outcome() == Some(Outcome::Unchanged);
    let mut of_issuer = runs.iter().rev().filter(|run| run.may_be_of(issuer));
    of_issuer.find(|run| !changed_nothing(run)).is_some_and(|run| !run.is_complete())
}

/// Returns the unfinished runs of `issuer`, oldest first: they may have changed something, their end is not
/// known, and there was no complete run after them. `reset`, `check`, `status` and `history` share this
/// definition.
pub(crate) fn unfinished<'a>(runs: &'a [RunRecord], issuer: &str) -> Vec<&'a RunRecord> {
    let of_issuer = runs.iter().rev().filter(|run| run.may_be_of(issuer));
    let since_complete = of_issuer.take_while(|run| !run.is_complete());
    let mut unfinished: Vec<&RunRecord> =
        since_complete.filter(|run| run.has_no_known_end()).collect();
    unfinished.reverse();
    unfinished
}

/// Returns the fingerprints of all tokens in the records of `runs`.
pub(crate) fn known_tokens<'a>(runs: impl Iterator<Item = &'a RunRecord>) -> Vec<Fingerprint> {
    let mut tokens: Vec<Fingerprint> = runs
        .flat_map(|run| &run.records)
        .filter_map(|record| record.entry.token().cloned())
        .collect();
    tokens.sort();
    tokens.dedup();
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Command;

    fn token() -> Fingerprint {
        Fingerprint::of("token")
    }

    fn run(issuer: &str, entries: &[Entry]) -> RunRecord {
        let started = Entry::Started {
            command: Command::Reset,
            issuer: issuer.to_owned(),
            left_out: Vec::new(),
        };
        let entries = std::iter::once(&started).chain(entries);
        let record = |entry: &Entry| Record { at: jiff::Timestamp::now(), entry: entry.clone() };
        RunRecord { id: RunId::after(&[]), records: entries.map(record).collect(), damage: None }
    }

    fn found(runs: &[RunRecord]) -> (bool, bool) {
        (has_unacknowledged_requests(runs, "q"), !unfinished(runs, "q").is_empty())
    }

    #[test]
    fn a_reset_is_unfinished_until_its_end_is_recorded() {
        let intended = Entry::ResetIntended { before: token() };
        let confirmed = Entry::ResetConfirmed { after: token() };
        let finished = |outcome| Entry::Finished { outcome };
        let cut_off = run("q", std::slice::from_ref(&intended));
        for (entries, expected) in [
            (vec![], (true, false)),
            (vec![intended.clone()], (true, true)),
            (vec![intended.clone(), finished(Outcome::Unknown)], (true, true)),
            (vec![intended.clone(), confirmed.clone()], (true, true)),
            (vec![intended.clone(), confirmed.clone(), finished(Outcome::Unknown)], (true, true)),
            (vec![intended.clone(), confirmed.clone(), finished(Outcome::Partial)], (true, false)),
            (vec![intended.clone(), confirmed, finished(Outcome::Complete)], (false, false)),
            (vec![intended, Entry::NotReset, finished(Outcome::Unchanged)], (false, false)),
        ] {
            assert_eq!(found(&[run("q", &entries)]), expected, "{entries:?}");
        }
        let partial = run("q", &[finished(Outcome::Partial)]);
        assert_eq!(found(&[cut_off.clone(), partial]), (true, true));
        let complete = run("q", &[finished(Outcome::Complete)]);
        assert_eq!(found(&[cut_off.clone(), complete.clone()]), (false, false));
        let unchanged = run("q", &[finished(Outcome::Unchanged)]);
        assert_eq!(found(&[complete.clone(), unchanged.clone()]), (false, false));
        assert_eq!(found(&[cut_off.clone(), unchanged]), (true, true));
        assert_eq!(found(&[complete, cut_off]), (true, true));
    }

    #[test]
    fn a_write_is_the_last_record_only_while_nothing_newer_may_have_been_written() {
        let [target, another] = ["/x", "/y"].map(|path| TargetId::new("file", path));
        let written_to = |target: &TargetId| Entry::Written {
            target: target.clone(),
            token: token(),
            receipt: tokensink_core::Receipt::default(),
        };
        let not_written_to =
            |target: &TargetId| Entry::NotWritten { target: target.clone(), token: token() };
        let (written, not_written) = (written_to(&target), not_written_to(&target));
        let finished = Entry::Finished { outcome: Outcome::Complete };
        let intended = Entry::ResetIntended { before: token() };
        let first = run("q", &[written.clone(), finished.clone()]);
        for (second, is_known) in [
            (run("q", std::slice::from_ref(&finished)), true),
            (run("q", &[not_written.clone(), written, finished.clone()]), true),
            (run("q", &[not_written, finished.clone()]), false),
            (run("q", &[not_written_to(&another), finished.clone()]), true),
            (run("q", &[intended.clone(), finished.clone()]), true),
            (run("q", std::slice::from_ref(&intended)), false),
            (run("q", &[]), true),
            (run("another", &[intended]), true),
        ] {
            let runs = [first.clone(), second];
            assert_eq!(last_write(&runs, "q", &target).is_some(), is_known, "{:?}", runs[1]);
            assert!(last_written_at(&runs, &target).is_some());
        }
        let elsewhere = [run("q", &[written_to(&another), finished])];
        assert_eq!(last_write(&elsewhere, "q", &target), None);
        assert_eq!(last_written_at(&elsewhere, &target), None);
        let started =
            Entry::Started { command: Command::Sync, issuer: "q".to_owned(), left_out: Vec::new() };
        let record = Record { at: Timestamp::now(), entry: started };
        let sync = RunRecord { id: RunId::after(&[]), records: vec![record], damage: None };
        assert_eq!(last_write(&[first, sync], "q", &target), None);
    }

    #[test]
    fn a_run_of_another_qstash_is_ignored_unless_its_issuer_is_not_readable() {
        let cut_off = run("another", &[Entry::ResetIntended { before: token() }]);
        assert_eq!(found(std::slice::from_ref(&cut_off)), (false, false));
        let unreadable =
            RunRecord { records: Vec::new(), damage: Some("garbage".to_owned()), ..cut_off };
        assert_eq!(found(std::slice::from_ref(&unreadable)), (true, true));
        assert_eq!(found(&[RunRecord { damage: None, ..unreadable }]), (false, false));
    }
}
