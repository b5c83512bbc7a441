//! A journal on a disk that is sometimes slow or full.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use tokensink_core::async_trait;
use tokensink_engine::journal::{Entry, Journal, JournalError, MemoryJournal, RunId, RunRecord};
use tokio::time::sleep;

use crate::faults::between;

/// A journal that sometimes fails to append.
#[derive(Debug)]
pub(crate) struct UnreliableJournal {
    inner: MemoryJournal,
    rng: Mutex<Rng>,
    /// One out of this many appends fails. 0 means none.
    one_of: u32,
    /// The maximum duration of an append.
    longest: Duration,
}

impl UnreliableJournal {
    pub(crate) fn new(rng: &mut Rng, one_of: u32, longest: Duration) -> Self {
        Self { inner: MemoryJournal::default(), rng: Mutex::new(rng.fork()), one_of, longest }
    }

    fn takes(&self) -> Duration {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        between(&mut rng, Duration::ZERO, self.longest)
    }

    fn fails(&self) -> bool {
        let mut rng = self.rng.lock().unwrap_or_else(PoisonError::into_inner);
        self.one_of > 0 && rng.u32(..self.one_of) == 0
    }
}

#[async_trait]
impl Journal for UnreliableJournal {
    async fn append(&self, run: &RunId, entry: &Entry) -> Result<(), JournalError> {
        let takes = self.takes();
        if !takes.is_zero() {
            sleep(takes).await;
        }
        if self.fails() {
            let (doing, path) = ("write", "journal".to_owned());
            return Err(JournalError::Io {
                doing,
                path,
                source: io::ErrorKind::StorageFull.into(),
            });
        }
        self.inner.append(run, entry).await
    }

    async fn runs(&self) -> Result<Vec<RunRecord>, JournalError> {
        self.inner.runs().await
    }
}
