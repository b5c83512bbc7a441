//! The `tokensink` command, as a library: a program with sinks of its own is this and one line for
//! each plugin.
//!
//! ```no_run
//! use std::process::ExitCode;
//! // use my_plugin as _;
//!
//! fn main() -> ExitCode {
//!     tokensink_cli::main()
//! }
//! ```
//!
//! Data flows one way: arguments, config, sinks, plan, report. What the protocol does is decided in
//! `tokensink-engine`; here it is fed and shown.

mod args;
mod bounded_io;
mod commands;
mod config;
mod consent;
mod environment;
mod hardening;
mod issuer;
mod logging;
mod output;
mod plugins;
mod records;
mod run;
mod signals;
mod suggestion;
mod token_stdin;
mod usage;

use std::process::ExitCode;
use std::time::Duration;

use tokensink_engine::{Outcome, Report};

use crate::args::Arguments;

#[cfg(fuzzing)]
pub use crate::config::{hosts_of_project, load_bytes};

/// Runs the command line of this process. Every linked plugin takes part.
///
/// Call it first, before any thread is started: it takes credentials out of the environment.
pub fn main() -> ExitCode {
    let _last = Flushed;
    run()
}

/// What was told is shown before the process ends, however it does.
struct Flushed;

impl Drop for Flushed {
    fn drop(&mut self) {
        output::flush();
    }
}

fn run() -> ExitCode {
    let arguments = match Arguments::read(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => return usage::respond(&error),
    };
    let named = arguments.global.credentials.upstash_api_key_env.as_deref();
    let environment = environment::take(named);
    // From here on there may be threads.
    hardening::harden();
    logging::start(&environment);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let why = format!("could not start: {error}");
            let report = Report::refused(arguments.command.asked(), Outcome::Unchanged, vec![why]);
            output::print_report(&report, arguments.global.output);
            return ExitCode::from(report.exit_code);
        }
    };
    let exit_code = runtime.block_on(commands::run(arguments, environment));
    // A thread that still waits for standard input must not hold the exit up.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ExitCode::from(exit_code)
}
