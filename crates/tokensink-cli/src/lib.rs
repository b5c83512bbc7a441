//! The `tokensink` command as a library. A program with its own sinks calls [`main`] and names each
//! plugin's crate once.
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
//! Data flows in one direction: arguments, config, sinks, plan, report. `tokensink-engine` implements the
//! protocol; this crate provides its input and prints its results.

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
mod run;
mod run_store;
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

/// Runs the command line of this process, with the sinks of all linked plugins.
///
/// Call it before any thread is started: it removes credentials from the process environment.
pub fn main() -> ExitCode {
    let _flush = FlushOnDrop;
    run()
}

/// Writes queued output before the process ends, also after a panic.
struct FlushOnDrop;

impl Drop for FlushOnDrop {
    fn drop(&mut self) {
        output::flush();
    }
}

fn run() -> ExitCode {
    let arguments = match Arguments::parse_from_args(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => return usage::respond(&error),
    };
    let named = arguments.global.credentials.upstash_api_key_env.as_deref();
    let environment = environment::take(named);
    // Threads may be started only from here on.
    hardening::harden();
    logging::start(&environment);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let errors = vec![format!("cannot start the async runtime: {error}")];
            let command = arguments.command.command();
            let report = Report::refused(command, Outcome::Unchanged, errors);
            output::print_report(&report, arguments.global.output);
            return ExitCode::from(report.exit_code);
        }
    };
    let exit_code = runtime.block_on(commands::run(arguments, environment));
    // A thread that still waits for standard input must not delay the exit.
    runtime.shutdown_timeout(Duration::from_millis(100));
    ExitCode::from(exit_code)
}
