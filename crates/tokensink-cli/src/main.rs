//! The `tokensink` command with the built-in sinks.

use std::process::ExitCode;

fn main() -> ExitCode {
    tokensink_cli::main()
}
