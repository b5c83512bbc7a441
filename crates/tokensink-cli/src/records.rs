//! Where a run is recorded, and the lock against a second one. A reset needs both; a repair, or a
//! look, goes on without.

use std::path::PathBuf;
use std::sync::Arc;

use tokensink_core::{Environment, PathProblem, path_problem};
use tokensink_engine::journal::{FileJournal, Journal, Lock, LockError, MemoryJournal};
use tokensink_engine::{Command, Coordinator, Outcome, Report, RunContext, Timing};

use crate::args::Global;
use crate::environment::user_state_directory;

/// Names the directory of the journal.
const STATE_DIR: &str = "TOKENSINK_STATE_DIR";

/// What to do about a state directory that cannot be used.
pub(crate) const ANOTHER_DIRECTORY: &str =
    "fix what is named above, or name another directory of your own with --state-dir";

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
    /// The report of a reset that would leave no record, and of every command whose state directory
    /// cannot be meant.
    pub(crate) fn open(
        command: Command,
        global: &Global,
        environment: &Environment,
    ) -> Result<Self, Report> {
        let mut records =
            Self { command, journal: None, state_directory: None, warnings: Vec::new() };
        match state_directory(global, environment) {
            Ok(directory) => match FileJournal::open(&directory) {
                Ok(journal) => {
                    records.journal = Some(Arc::new(journal));
                    records.state_directory = Some(directory);
                }
                Err(error) => records.go_without("journal", Outcome::Unchanged, &error)?,
            },
            // Another run may use the directory that was meant: its lock would not be seen.
            Err(error @ StateDirectoryError::Setting { .. }) => {
                return Err(records.refused(Outcome::Invalid, &error));
            }
            Err(error) => records.go_without("journal", Outcome::Invalid, &error)?,
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
            report.next.push(ANOTHER_DIRECTORY.to_owned());
            return Err(report);
        }
        self.warnings.push(format!("{why}; this run goes on without a {what}"));
        Ok(())
    }

    fn refused(&self, outcome: Outcome, why: &dyn std::fmt::Display) -> Report {
        Report::refused(self.command, outcome, vec![why.to_string()])
    }
}

/// Why there is no directory for the journal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateDirectoryError {
    /// A flag or a variable names one that cannot be meant.
    #[error("{setting} cannot be used: {problem} ({help})")]
    Setting { setting: &'static str, problem: String, help: String },
    #[error("there is no home directory for the journal; name a directory with --state-dir")]
    NoHome,
}

/// Returns the directory of the journal.
///
/// # Errors
///
/// What is wrong with the directory that a flag or a variable names, or that there is none.
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
