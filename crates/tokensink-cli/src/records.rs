//! Where a run is recorded, and the lock against a second one. A reset needs both; a repair, or a
//! look, goes on without.

use std::path::PathBuf;
use std::sync::Arc;

use tokensink_core::Environment;
use tokensink_engine::journal::{FileJournal, Journal, Lock, LockError, MemoryJournal};
use tokensink_engine::{Command, Coordinator, Outcome, Report, RunContext, Timing};

use crate::args::Global;
use crate::environment::user_state_folder;

/// What to do about a state folder that cannot be used.
pub(crate) const ANOTHER_FOLDER: &str =
    "mend what is named above, or name another folder of your own with --state-dir";

/// What one command has of them.
#[derive(Debug)]
pub(crate) struct Records {
    command: Command,
    journal: Option<Arc<FileJournal>>,
    /// Where the journal is, if it can be used.
    pub(crate) state_directory: Option<PathBuf>,
    /// What it has to do without.
    pub(crate) warnings: Vec<String>,
}

impl Records {
    /// Opens the journal for `command`.
    ///
    /// # Errors
    ///
    /// The report of a reset that would leave no record.
    pub(crate) fn open(
        command: Command,
        global: &Global,
        environment: &Environment,
    ) -> Result<Self, Report> {
        let mut records =
            Self { command, journal: None, state_directory: None, warnings: Vec::new() };
        match state_folder(global, environment) {
            Ok(directory) => match FileJournal::open(&directory) {
                Ok(journal) => {
                    records.journal = Some(Arc::new(journal));
                    records.state_directory = Some(directory);
                }
                Err(error) => records.go_without("journal", Outcome::Unchanged, &error)?,
            },
            Err(why) => records.go_without("journal", Outcome::Invalid, &why)?,
        }
        Ok(records)
    }

    /// Takes the lock of one QStash, where the command writes.
    ///
    /// # Errors
    ///
    /// The report, when another run has it; or a reset cannot have it.
    pub(crate) fn lock(&mut self, issuer: &str) -> Result<Option<Lock>, Report> {
        let purpose = match self.command {
            Command::Reset => "tokensink reset",
            Command::Sync => "tokensink sync",
            _ => return Ok(None),
        };
        let Some(journal) = &self.journal else { return Ok(None) };
        match journal.lock(issuer, purpose) {
            Ok(lock) => Ok(Some(lock)),
            Err(held @ LockError::Held { .. }) => Err(self.refused(Outcome::Unchanged, &held)),
            Err(LockError::Journal(error)) => {
                self.go_without("lock", Outcome::Unchanged, &error)?;
                Ok(None)
            }
        }
    }

    /// The coordinator of a run that is recorded here. It reads the earlier ones.
    ///
    /// # Errors
    ///
    /// The report of a reset that cannot know whether another one is unfinished.
    pub(crate) async fn coordinator(
        &mut self,
        context: impl Fn(Arc<dyn Journal>) -> RunContext,
        timing: Timing,
    ) -> Result<Coordinator, Report> {
        if let Some(journal) = self.journal.clone() {
            match Coordinator::new(context(journal), timing).await {
                Ok(coordinator) => return Ok(coordinator),
                Err(error) => self.go_without("journal", Outcome::Unchanged, &error)?,
            }
        }
        let unrecorded = context(Arc::new(MemoryJournal::default()));
        Ok(Coordinator::without_history(unrecorded, timing))
    }

    fn go_without(
        &mut self,
        what: &str,
        outcome: Outcome,
        why: &dyn std::fmt::Display,
    ) -> Result<(), Report> {
        if self.command == Command::Reset {
            let mut report = self.refused(outcome, why);
            report.next.push(ANOTHER_FOLDER.to_owned());
            return Err(report);
        }
        self.warnings.push(format!("{why}; this run goes on without a {what}"));
        Ok(())
    }

    fn refused(&self, outcome: Outcome, why: &dyn std::fmt::Display) -> Report {
        Report::refused(self.command, outcome, vec![why.to_string()])
    }
}

/// Where the journal is.
pub(crate) fn state_folder(global: &Global, environment: &Environment) -> Result<PathBuf, String> {
    let by_variable = || environment.setting("TOKENSINK_STATE_DIR").map(PathBuf::from);
    let named = global.state_dir.clone().or_else(by_variable);
    named.or_else(|| user_state_folder(environment)).ok_or_else(|| {
        "there is no home folder for the journal; name one with --state-dir".to_owned()
    })
}
