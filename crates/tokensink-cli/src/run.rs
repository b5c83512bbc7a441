//! From settings to a coordinator: the issuer is found, the journal opened, the lock taken.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokensink_core::{BuildContext, Environment, Registry};
use tokensink_engine::journal::{FileJournal, Lock};
use tokensink_engine::{Command, Coordinator, Interrupt, Outcome, Parties, Report, Timing};

use crate::args::{Global, Selection};
use crate::config::{self, Selected, Settings};
use crate::environment::{user_config_file, user_state_folder};
use crate::issuer::{self, Chosen};
use crate::output::Watcher;

/// A run that is about to begin.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) coordinator: Coordinator,
    pub(crate) watcher: Arc<Watcher>,
    pub(crate) interrupt: Interrupt,
    /// What deserves attention before anything was asked.
    pub(crate) warnings: Vec<String>,
    lock: Option<Lock>,
}

/// Where the token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenSource {
    DeveloperApi,
    StandardInput,
}

/// What one command asks for.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) command: Command,
    pub(crate) global: &'a Global,
    pub(crate) selection: &'a Selection,
    pub(crate) environment: &'a Environment,
    pub(crate) token_source: TokenSource,
    /// The longest outage that a reset may be expected to lead to.
    pub(crate) most_outage: Option<Duration>,
}

impl Run {
    /// Reads the config and finds everybody who takes part. Nothing is changed anywhere.
    pub(crate) async fn start(request: &Request<'_>, interrupt: Interrupt) -> Result<Self, Report> {
        let command = request.command;
        let invalid = |errors| Report::refused(command, Outcome::Invalid, errors);
        let unchanged = |why: String| Report::refused(command, Outcome::Unchanged, vec![why]);
        let settings = load(request).map_err(invalid)?;
        let sinks = select(request, &settings).map_err(invalid)?;
        let state =
            state_folder(request.global, request.environment).map_err(|why| invalid(vec![why]))?;
        let journal = FileJournal::open(state).map_err(|error| unchanged(error.to_string()))?;

        let interrupted = || unchanged("interrupted".to_owned());
        let chosen = tokio::select! {
            chosen = issuer::choose(request, &settings.upstash) => chosen,
            () = interrupt.interrupted() => return Err(interrupted()),
        };
        let Chosen { issuer, id, warnings } = chosen.map_err(|failure| failure.report(command))?;
        let lock = match command {
            Command::Reset | Command::Sync => {
                let purpose = if command == Command::Reset { "reset" } else { "sync" };
                let lock = journal.lock(&id, &format!("tokensink {purpose}"));
                Some(lock.map_err(|error| unchanged(error.to_string()))?)
            }
            _ => None,
        };
        let watcher = Arc::new(Watcher::start());
        let parties = Parties {
            issuer,
            issuer_id: id,
            sinks: sinks.into_iter().map(Arc::new).collect(),
            journal: Arc::new(journal),
            progress: Arc::clone(&watcher) as Arc<_>,
            interrupt: interrupt.clone(),
        };
        let timing = Timing {
            reset_answer: settings.upstash.timeout,
            settle: settings.upstash.settle,
            most_outage: request.most_outage,
            ..Timing::default()
        };
        let coordinator = Coordinator::new(parties, timing).await;
        let coordinator = coordinator.map_err(|error| unchanged(error.to_string()))?;
        Ok(Self { coordinator, watcher, interrupt, warnings, lock })
    }

    /// Lets the next run begin.
    pub(crate) fn unlock(&mut self) {
        self.lock = None;
    }
}

fn load(request: &Request<'_>) -> Result<Settings, Vec<String>> {
    let user = user_config_file(request.environment);
    config::load(&request.global.config, user.as_deref(), request.environment)
        .map_err(|mistakes| mistakes.iter().map(ToString::to_string).collect())
}

fn select(request: &Request<'_>, settings: &Settings) -> Result<Selected, Vec<String>> {
    let registry = Registry::linked().map_err(|error| vec![error.to_string()])?;
    let base_dir = settings.layers.base_dir().map_err(|mistake| vec![mistake.to_string()])?;
    let context = BuildContext::new(base_dir, request.environment.clone());
    config::select(settings, request.selection, &registry, &context)
}

/// Where the journal is.
pub(crate) fn state_folder(global: &Global, environment: &Environment) -> Result<PathBuf, String> {
    let named = global.state_dir.clone();
    let named = named.or_else(|| user_state_folder(environment));
    named.ok_or_else(|| {
        "there is no home folder for the journal; name one with --state-dir".to_owned()
    })
}
