//! A wrong build: two of its plugins have the same kind.

use std::process::ExitCode;

use tokensink_core::schemars::{self, JsonSchema};
use tokensink_core::serde::Deserialize;
use tokensink_core::{BuildContext, SinkConfig, SinkError, SinkFactory, inventory};

#[allow(dead_code, reason = "as an example it has a main of its own")]
#[path = "../../crates/tokensink-core/examples/file_sink.rs"]
mod file_sink;

/// A sink with the kind of the built-in `dotenv`.
#[derive(Deserialize, JsonSchema)]
#[serde(crate = "tokensink_core::serde")]
struct SecondDotenv {}

impl SinkConfig for SecondDotenv {
    const KIND: &'static str = "dotenv";
    const SUMMARY: &'static str = "nothing";
    const PERMISSIONS: &'static str = "none";
    const TAKES_EFFECT: &'static str = "never";
    const EXAMPLE: &'static str = "";
    type Sink = file_sink::FileSink;

    fn build(self, _: &BuildContext) -> Result<Vec<file_sink::FileSink>, Vec<SinkError>> {
        Ok(Vec::new())
    }
}

inventory::submit! { SinkFactory::of::<SecondDotenv>() }

fn main() -> ExitCode {
    tokensink_cli::main()
}
