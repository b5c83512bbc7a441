//! A journal in memory, for simulations and for runs without a state directory.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Entry, Journal, JournalError, Record, RunId, RunRecord};

/// A journal of the runs of this process.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<Vec<RunRecord>>);

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, id: &RunId, entry: &Entry) -> Result<(), JournalError> {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let record = Record { at: Timestamp::now(), entry: entry.clone() };
        match runs.iter_mut().find(|run| run.id == *id) {
            Some(run) => run.records.push(record),
            None => runs.push(RunRecord { id: id.clone(), records: vec![record], damage: None }),
        }
        Ok(())
    }

    async fn runs(&self) -> Result<Vec<RunRecord>, JournalError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
