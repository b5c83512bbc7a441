//! The journal of runs, and the lock against concurrent runs. `reset` needs both; other commands continue
//! without them.

use std::path::PathBuf;
use std::sync::Arc;

use tokensink_core::{Environment, PathProblem, path_problem};
use tokensink_engine::journal::{FileJournal, Journal, Lock, LockError, MemoryJournal};
use tokensink_engine::{Command, Coordinator, Outcome, Report, RunContext, Timing};

use crate::args::Global;
use crate::environment::user_state_directory;

/// The variable with the directory of the journal.
const STATE_DIR: &str = "TOKENSINK_STATE_DIR";

/// The help for a state directory that cannot be used.
pub(crate) const STATE_DIRECTORY_HELP: &str =
    "fix what is named above, or name another directory of your own with --state-dir";

/// The journal and the lock, as far as they are usable.
#[derive(Debug)]
pub(crate) struct RunStore {
    command: Command,
    journal: Option<Arc<FileJournal>>,
    /// The directory of the journal, if it is usable.
    pub(crate) state_directory: Option<PathBuf>,
    pub(crate) warnings: Vec<String>,
}

impl RunStore {
    /// Opens the journal for `command`.
    ///
    /// # Errors
    ///
    /// The report of a `reset` that could not be recorded, and of every command whose state directory is
    /// invalid.
    pub(crate) fn open(
        command: Command,
        global: &Global,
        environment: &Environment,
    ) -> Result<Self, Report> {
        let mut store =
            Self { command, journal: None, state_directory: None, warnings: Vec::new() };
        match state_directory(global, environment) {
            Ok(directory) => match FileJournal::open(&directory) {
                Ok(journal) => {
                    store.journal = Some(Arc::new(journal));
                    store.state_directory = Some(directory);
                }
                Err(error) => store.continue_without("journal", Outcome::Unchanged, &error)?,
            },
            // Another run may use the intended directory, and this one would not see its lock.
            Err(error @ StateDirectoryError::Setting { .. }) => {
                return Err(store.refused(Outcome::Invalid, &error));
            }
            Err(error) => store.continue_without("journal", Outcome::Invalid, &error)?,
        }
        Ok(store)
    }

    /// Takes the lock of one QStash, if the command writes.
    ///
    /// # Errors
    ///
    /// The report, if another run has the lock, or if it is not usable and the command is `reset`.
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
                self.continue_without("lock", Outcome::Unchanged, &error)?;
                Ok(None)
            }
        }
    }

    /// Creates the coordinator of a run, which reads the journal of earlier runs.
    ///
    /// # Errors
    ///
    /// The report, if the journal is not readable and the command is `reset`: an earlier one might be
    /// unfinished.
    pub(crate) async fn coordinator(
        &mut self,
        context: impl Fn(Arc<dyn Journal>) -> RunContext,
        timing: Timing,
    ) -> Result<Coordinator, Report> {
        if let Some(journal) = self.journal.clone() {
            match Coordinator::new(context(journal), timing).await {
                Ok(coordinator) => return Ok(coordinator),
                Err(error) => self.continue_without("journal", Outcome::Unchanged, &error)?,
            }
        }
        let unrecorded = context(Arc::new(MemoryJournal::default()));
        Ok(Coordinator::without_history(unrecorded, timing))
    }

    fn continue_without(
        &mut self,
        missing: &str,
        outcome: Outcome,
        error: &dyn std::fmt::Display,
    ) -> Result<(), Report> {
        if self.command == Command::Reset {
            let mut report = self.refused(outcome, error);
            report.next.push(STATE_DIRECTORY_HELP.to_owned());
            return Err(report);
        }
        self.warnings.push(format!("{error}; this run continues without a {missing}"));
        Ok(())
    }

    fn refused(&self, outcome: Outcome, error: &dyn std::fmt::Display) -> Report {
        Report::refused(self.command, outcome, vec![error.to_string()])
    }
}

/// The errors of finding the directory of the journal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateDirectoryError {
    /// A flag or a variable names a directory that cannot be intended.
    #[error("{setting} cannot be used: {problem} ({help})")]
    Setting { setting: &'static str, problem: String, help: String },
    #[error("there is no home directory for the journal: name a directory with --state-dir")]
    NoHome,
}

/// Returns the directory of the journal.
///
/// # Errors
///
/// When a flag or a variable names an invalid directory, or when there is no home directory.
pub(crate) fn state_directory(
    global: &Global,
    environment: &Environment,
) -> Result<PathBuf, StateDirectoryError> {
    let by_flag = global.state_dir.clone().map(|directory| ("--state-dir", directory));
    let by_variable = || {
        let directory = environment.setting(STATE_DIR)?;
        Some((STATE_DIR, PathBuf::from(directory)))
    };
    if let Some((setting, directory)) = by_flag.or_else(by_variable) {
        return match path_problem(&directory, environment.setting("HOME")) {
            None => Ok(directory),
            Some(PathProblem { problem, help }) => {
                Err(StateDirectoryError::Setting { setting, problem, help })
            }
        };
    }
    user_state_directory(environment).ok_or(StateDirectoryError::NoHome)
}
