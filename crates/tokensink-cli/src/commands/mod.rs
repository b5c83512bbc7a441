//! The commands: one file for each, from its arguments to its exit code.

mod check;
mod demo;
mod fake_services;
mod history;
mod init;
mod reset;
mod sandbox;
mod sinks;
mod status;
mod sync;

use tokensink_core::Environment;
use tokensink_engine::{Command, Interrupt, Outcome, Report};

use crate::args::{Arguments, Global, Selection, Subcommand};
use crate::output;
use crate::run::{ActiveRun, RunRequest, TokenOrigin};
use crate::signals;

/// Runs one command. Returns the exit code.
pub(crate) async fn run(arguments: Arguments, environment: Environment) -> u8 {
    let Arguments { global, command } = arguments;
    let interrupt = match signals::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            let errors = vec![format!("cannot listen for Ctrl-C: {error}")];
            let report = Report::refused(command.command(), Outcome::Unchanged, errors);
            return finish(&global, &report);
        }
    };
    let context = CommandContext { global: &global, environment: &environment, interrupt };
    match command {
        Subcommand::Init => init::run(&context),
        Subcommand::History => history::run(&context).await,
        Subcommand::Sandbox => sandbox::run(&context).await,
        Subcommand::Demo => demo::run(&context).await,
        Subcommand::Sinks { kind } => sinks::run(&context, kind.as_deref()),
        Subcommand::Check(selection) => finish(&global, &check::run(&context, &selection).await),
        Subcommand::Status(selection) => finish(&global, &status::run(&context, &selection).await),
        Subcommand::Sync(sync) => finish(&global, &sync::run(&context, &sync).await),
        Subcommand::Reset(reset) => finish(&global, &reset::run(&context, &reset).await),
    }
}

/// The inputs of every command.
#[derive(Debug)]
struct CommandContext<'a> {
    global: &'a Global,
    environment: &'a Environment,
    interrupt: Interrupt,
}

impl CommandContext<'_> {
    fn request<'a>(&'a self, command: Command, selection: &'a Selection) -> RunRequest<'a> {
        RunRequest {
            command,
            global: self.global,
            selection,
            environment: self.environment,
            token_origin: TokenOrigin::DeveloperApi,
            max_outage: None,
        }
    }

    async fn start(&self, request: &RunRequest<'_>) -> Result<ActiveRun, Report> {
        ActiveRun::start(request, self.interrupt.clone()).await
    }
}

fn finish(global: &Global, report: &Report) -> u8 {
    output::print_report(report, global.output);
    report.exit_code
}

/// Inserts `warnings` before those of `report`.
fn with_warnings(warnings: Vec<String>, mut report: Report) -> Report {
    report.warnings.splice(0..0, warnings);
    report
}
