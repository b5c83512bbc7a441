//! The command `tokensink` with the built-in sinks; all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    tokensink_cli::main()
}
