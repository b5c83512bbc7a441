//! From config to a coordinator: the issuer is found, the journal opened, the lock taken.

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
use crate::issuer::{self, Chosen};
use crate::output::ProgressReporter;
use crate::records::Records;

/// A run that is about to begin.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) coordinator: Coordinator,
    /// Replaces the token, where that can be done.
    pub(crate) issuer: Option<Arc<dyn TokenIssuer>>,
    pub(crate) progress: Arc<ProgressReporter>,
    pub(crate) interrupt: Interrupt,
    /// What deserves attention before anything was asked.
    pub(crate) warnings: Vec<String>,
    command: Command,
    consent: ConsentRecord,
    lock: Option<Lock>,
}

/// What to do about a failure that may pass, or that says itself what would mend it.
pub(crate) const NOTHING_CHANGED: &str =
    "nothing was changed: run it again when what is named above is mended, or has passed";

/// Where the token comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenOrigin {
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
    pub(crate) token_origin: TokenOrigin,
    /// The longest outage that a reset may be expected to lead to.
    pub(crate) max_outage: Option<Duration>,
}

impl Run {
    /// Reads the config and finds everybody who takes part. Nothing is changed anywhere.
    pub(crate) async fn start(request: &Request<'_>, interrupt: Interrupt) -> Result<Self, Report> {
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
        let mut records = Records::open(command, request.global, request.environment)?;
        let chosen = tokio::select! {
            chosen = issuer::choose(request, &config.upstash) => chosen,
            () = interrupt.interrupted() => return Err(interrupted()),
        };
        let Chosen { source, issuer, id, warnings } = chosen.map_err(|failure| Report {
            warnings: records.warnings.clone(),
            ..failure.report(command)
        })?;
        let lock = records.lock(&id)?;
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
        let coordinator = records.coordinator(context, timing).await?;
        let consent = ConsentRecord::of(&id, records.state_directory.as_deref());
        let warnings = [warnings, records.warnings].concat();
        Ok(Self { coordinator, issuer, progress, interrupt, warnings, command, consent, lock })
    }

    /// Asks everybody who takes part.
    ///
    /// # Errors
    ///
    /// The report, when it is not known which token is live.
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

    /// Returns the destinations of `plan` that the user has not agreed to on this machine. Where that
    /// is not known, all of them.
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

    /// Lets the next run begin.
    pub(crate) fn unlock(&mut self) {
        self.lock = None;
    }
}

async fn load(request: &Request<'_>) -> Result<LoadedConfig, InvalidInput> {
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

fn select(request: &Request<'_>, config: &LoadedConfig) -> Result<Selected, InvalidInput> {
    let registry = Registry::linked().map_err(|error| vec![error.to_string()])?;
    let base_dir = config.layers.base_dir().map_err(|error| vec![error])?;
    let context =
        BuildContext::new(base_dir, request.environment.clone()).with_hosts(config.hosts.clone());
    config::select(config, request.selection, &registry, &context)
}
