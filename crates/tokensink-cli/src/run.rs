//! Starts a run: loads the config, connects to the source of the token, opens the journal and takes the
//! lock.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokensink_core::{BuildContext, Environment, Registry, TokenIssuer};
use tokensink_engine::journal::Lock;
use tokensink_engine::{
    Command, Coordinator, Destination, Interrupt, Outcome, Plan, Report, RunContext, Timing,
};

use crate::args::{Global, Selection};
use crate::bounded_io::{self, FILE_TIMEOUT, STANDARD_INPUT};
use crate::config::{self, InvalidInput, LoadedConfig, Selected};
use crate::consent::ConsentRecord;
use crate::environment::user_config_file;
use crate::issuer::{self, ConnectedSource};
use crate::output::ProgressReporter;
use crate::run_store::RunStore;

/// A run that was started: everything is loaded, and nothing was requested from the sinks yet.
#[derive(Debug)]
pub(crate) struct ActiveRun {
    pub(crate) coordinator: Coordinator,
    /// Replaces the token; `None` for a pasted one.
    pub(crate) issuer: Option<Arc<dyn TokenIssuer>>,
    pub(crate) progress: Arc<ProgressReporter>,
    pub(crate) interrupt: Interrupt,
    /// The warnings of the start.
    pub(crate) warnings: Vec<String>,
    command: Command,
    consent: ConsentRecord,
    lock: Option<Lock>,
}

/// The next step after an error that may be temporary, or that contains its own help.
pub(crate) const NOTHING_CHANGED: &str =
    "nothing was changed: fix what is named above if it is not temporary, and run it again";

/// The source of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenOrigin {
    DeveloperApi,
    StandardInput,
}

/// The inputs of a run.
#[derive(Debug)]
pub(crate) struct RunRequest<'a> {
    pub(crate) command: Command,
    pub(crate) global: &'a Global,
    pub(crate) selection: &'a Selection,
    pub(crate) environment: &'a Environment,
    pub(crate) token_origin: TokenOrigin,
    /// The longest forecast outage with which a reset is sent.
    pub(crate) max_outage: Option<Duration>,
}

impl ActiveRun {
    /// Starts a run. Changes nothing at Upstash or in the sinks.
    ///
    /// # Errors
    ///
    /// The report that ends the command.
    pub(crate) async fn start(
        request: &RunRequest<'_>,
        interrupt: Interrupt,
    ) -> Result<Self, Report> {
        let command = request.command;
        let invalid = |InvalidInput { errors, next }| {
            let mut report = Report::refused(command, Outcome::Invalid, errors);
            report.next.extend(next.map(str::to_owned));
            report
        };
        let interrupted =
            || Report::refused(command, Outcome::Unchanged, vec!["interrupted".to_owned()]);
        let config = tokio::select! {
            config = load(request) => config.map_err(invalid)?,
            () = interrupt.interrupted() => return Err(interrupted()),
        };
        let Selected { sinks, left_out, other_targets } =
            select(request, &config).map_err(invalid)?;
        let mut store = RunStore::open(command, request.global, request.environment)?;
        let connected = tokio::select! {
            connected = issuer::connect(request, &config.upstash) => connected,
            () = interrupt.interrupted() => return Err(interrupted()),
        };
        let ConnectedSource { source, issuer, id, warnings } = connected.map_err(|error| {
            Report { warnings: store.warnings.clone(), ..error.report(command) }
        })?;
        let lock = store.lock(&id)?;
        let progress = Arc::new(ProgressReporter::start());
        let sinks: Vec<_> = sinks.into_iter().map(Arc::new).collect();
        let context = |journal| RunContext {
            source: Arc::clone(&source),
            source_id: id.clone(),
            sinks: sinks.clone(),
            left_out: left_out.clone(),
            other_targets: other_targets.clone(),
            journal,
            progress: Arc::clone(&progress) as Arc<_>,
            interrupt: interrupt.clone(),
        };
        let timing = Timing {
            reset_answer: config.upstash.timeout,
            settle: config.upstash.settle,
            max_outage: request.max_outage,
            ..Timing::default()
        };
        let coordinator = store.coordinator(context, timing).await?;
        let consent = ConsentRecord::of(&id, store.state_directory.as_deref());
        let warnings = [warnings, store.warnings].concat();
        Ok(Self { coordinator, issuer, progress, interrupt, warnings, command, consent, lock })
    }

    /// Prepares every sink and finds out which token is live.
    ///
    /// # Errors
    ///
    /// The report, if it is not known which token is live.
    pub(crate) async fn plan(&self) -> Result<Plan, Report> {
        let planned = self.coordinator.plan(self.command).await;
        planned.map_err(|abort| {
            let mut report = self.coordinator.report_abort(self.command, None, &abort);
            if report.next.is_empty() {
                report.next.push(NOTHING_CHANGED.to_owned());
            }
            report
        })
    }

    /// Returns the destinations of `plan` that the user has not agreed to on this machine: all of them if
    /// the record is not readable.
    pub(crate) async fn destinations_without_consent(&mut self, plan: &Plan) -> Vec<Destination> {
        let destinations = plan.destinations();
        let (record, wanted) = (self.consent.clone(), destinations.clone());
        let missing = bounded_io::within(FILE_TIMEOUT, move || record.missing(&wanted)).await;
        missing.unwrap_or_else(|error| {
            self.warnings.push(format!("cannot read which destinations you agreed to: {error}"));
            destinations
        })
    }

    /// Records that the user agreed to `destinations`.
    pub(crate) async fn record_consent(&mut self, destinations: Vec<Destination>) {
        let record = self.consent.clone();
        let added = bounded_io::within(FILE_TIMEOUT, move || record.add(&destinations)).await;
        if let Err(error) = added {
            self.warnings.push(format!(
                "cannot record the destinations that you agreed to: {error}; the next `tokensink \
                 sync` asks again"
            ));
        }
    }

    /// Releases the lock, so that another run can start.
    pub(crate) fn unlock(&mut self) {
        self.lock = None;
    }
}

async fn load(request: &RunRequest<'_>) -> Result<LoadedConfig, InvalidInput> {
    let global = request.global;
    let reads_input = request.token_origin == TokenOrigin::StandardInput;
    if reads_input && global.config == Path::new(STANDARD_INPUT) {
        let both = "`--config -` and `--token-stdin` both read standard input";
        return Err(vec![format!("{both}: name a file with --config")].into());
    }
    let user = user_config_file(request.environment);
    config::load(&global.config, user.as_deref(), request.environment, &global.allowed_hosts)
        .await
        .map_err(InvalidInput::from)
}

fn select(request: &RunRequest<'_>, config: &LoadedConfig) -> Result<Selected, InvalidInput> {
    let registry = Registry::linked().map_err(|error| vec![error.to_string()])?;
    let base_dir = config.layers.base_dir().map_err(|error| vec![error])?;
    let context =
        BuildContext::new(base_dir, request.environment.clone()).with_hosts(config.hosts.clone());
    config::select(config, request.selection, &registry, &context)
}
