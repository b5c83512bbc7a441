//! A journal in memory, for simulations and for runs without a state directory.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Entry, Journal, JournalError, Record, Run, RunId};

/// A journal of the runs of this process.
#[derive(Debug, Default)]
pub struct MemoryJournal(Mutex<Vec<Run>>);

#[async_trait]
impl Journal for MemoryJournal {
    async fn append(&self, id: &RunId, entry: &Entry) -> Result<(), JournalError> {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let record = Record { at: Timestamp::now(), entry: entry.clone() };
        match runs.iter_mut().find(|run| run.id == *id) {
            Some(run) => run.records.push(record),
            None => runs.push(Run { id: id.clone(), records: vec![record], damage: None }),
        }
        Ok(())
    }

    async fn runs(&self) -> Result<Vec<Run>, JournalError> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
