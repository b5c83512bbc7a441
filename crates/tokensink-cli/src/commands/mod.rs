//! One file for each command: from its arguments to its exit code.

mod check;
mod demo;
mod history;
mod init;
mod reset;
mod sandbox;
mod sinks;
mod stage;
mod status;
mod sync;

use tokensink_core::Environment;
use tokensink_engine::{Command as Asked, Interrupt, Outcome, Report};

use crate::args::{Arguments, Command, Global, Selection};
use crate::output;
use crate::run::{Request, Run, TokenOrigin};
use crate::signals;

/// Carries out one command. Returns the exit code.
pub(crate) async fn run(arguments: Arguments, environment: Environment) -> u8 {
    let Arguments { global, command } = arguments;
    let asked = command.asked();
    let interrupt = match signals::listen() {
        Ok(interrupt) => interrupt,
        Err(error) => {
            let why = format!("could not listen for Ctrl-C: {error}");
            return finish(&global, &Report::refused(asked, Outcome::Unchanged, vec![why]));
        }
    };
    let world = World { global: &global, environment: &environment, interrupt };
    match command {
        Command::Init => init::run(&world),
        Command::History => history::run(&world).await,
        Command::Sandbox => sandbox::run(&world).await,
        Command::Demo => demo::run(&world).await,
        Command::Sinks { kind } => sinks::run(&world, kind.as_deref()),
        Command::Check(selection) => finish(&global, &check::run(&world, &selection).await),
        Command::Status(selection) => finish(&global, &status::run(&world, &selection).await),
        Command::Sync(sync) => finish(&global, &sync::run(&world, &sync).await),
        Command::Reset(reset) => finish(&global, &reset::run(&world, &reset).await),
    }
}

/// What every command sees.
#[derive(Debug)]
struct World<'a> {
    global: &'a Global,
    environment: &'a Environment,
    interrupt: Interrupt,
}

impl World<'_> {
    fn request<'a>(&'a self, command: Asked, selection: &'a Selection) -> Request<'a> {
        Request {
            command,
            global: self.global,
            selection,
            environment: self.environment,
            token_origin: TokenOrigin::DeveloperApi,
            max_outage: None,
        }
    }

    async fn start(&self, request: &Request<'_>) -> Result<Run, Report> {
        Run::start(request, self.interrupt.clone()).await
    }
}

fn finish(global: &Global, report: &Report) -> u8 {
    output::print_report(report, global.output);
    report.exit_code
}

/// The report, with what deserved attention before it began.
fn with(warnings: Vec<String>, mut report: Report) -> Report {
    report.warnings.splice(0..0, warnings);
    report
}
