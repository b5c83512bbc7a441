//! `sandbox`: runs the fake servers in the foreground, for experiments.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use tokensink_engine::Command;

use super::fake_services::FakeServices;
use super::{CommandContext, finish};
use crate::args::Output;
use crate::output::{print_block, print_json, print_stderr, print_stdout};

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    config: Config,
    /// The variables to set for `tokensink --config FILE`.
    environment: BTreeMap<String, String>,
    addresses: Addresses,
}

#[derive(Serialize)]
struct Config {
    file: PathBuf,
    text: String,
}

#[derive(Serialize)]
struct Addresses {
    upstash: String,
    qstash: String,
    github: String,
    aws: String,
}

pub(super) async fn run(context: &CommandContext<'_>) -> u8 {
    let services = match FakeServices::start(Command::Sandbox).await {
        Ok(services) => services,
        Err(report) => return finish(context.global, &report),
    };
    match context.global.output {
        Output::Json => print_json(&document(&services)),
        Output::Text => show(&services),
    }
    print_stderr("The fake servers run until Ctrl-C.");
    context.interrupt.interrupted().await;
    0
}

fn show(services: &FakeServices) {
    print_stdout("# Run in another terminal:");
    for (name, value) in services.variables() {
        print_stdout(&format!("export {name}='{value}'"));
    }
    print_stdout(&format!("export TOKENSINK_STATE_DIR='{}'", services.state_directory().display()));
    print_stdout(&format!("tokensink check --config '{}'", services.config_file().display()));
    print_block("\n# The config file:");
    print_block(&services.config());
}

fn document(services: &FakeServices) -> Document {
    let state_directory = services.state_directory().display().to_string();
    let mut environment: BTreeMap<_, _> = services.variables().iter().cloned().collect();
    environment.insert("TOKENSINK_STATE_DIR".to_owned(), state_directory);
    Document {
        schema: "tokensink.sandbox/1",
        config: Config { file: services.config_file(), text: services.config() },
        environment,
        addresses: Addresses {
            upstash: services.sandbox.upstash.url(),
            qstash: services.sandbox.upstash.qstash_url(),
            github: services.sandbox.github.url(),
            aws: services.sandbox.aws.url(),
        },
    }
}
