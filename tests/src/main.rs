//! A third party's program: the complete command line with additional sinks.

use std::process::ExitCode;

#[allow(dead_code, reason = "as an example it has a main of its own")]
#[path = "../../crates/tokensink-core/examples/file_sink.rs"]
mod file_sink;

mod panicking_sink;

fn main() -> ExitCode {
    tokensink_cli::main()
}
