//! `sandbox`: the stand-ins in the foreground, for trying things out by hand.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use tokensink_engine::Command;

use super::stage::Stage;
use super::{World, finish};
use crate::args::Output;
use crate::output::{print_block, print_json, print_stderr, print_stdout};

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    config: Config,
    /// What to set for `tokensink --config FILE`.
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

pub(super) async fn run(world: &World<'_>) -> u8 {
    let stage = match Stage::set_for(Command::Sandbox).await {
        Ok(stage) => stage,
        Err(report) => return finish(world.global, &report),
    };
    match world.global.output {
        Output::Json => print_json(&document(&stage)),
        Output::Text => show(&stage),
    }
    print_stderr("The stand-ins run until Ctrl-C.");
    world.interrupt.interrupted().await;
    0
}

fn show(stage: &Stage) {
    print_stdout("# In another terminal:");
    for (name, value) in stage.variables() {
        print_stdout(&format!("export {name}='{value}'"));
    }
    print_stdout(&format!("export TOKENSINK_STATE_DIR='{}'", stage.state_directory().display()));
    print_stdout(&format!("tokensink check --config '{}'", stage.config_file().display()));
    print_block("\n# That file:");
    print_block(&stage.config());
}

fn document(stage: &Stage) -> Document {
    let state_directory = stage.state_directory().display().to_string();
    let mut environment: BTreeMap<_, _> = stage.variables().iter().cloned().collect();
    environment.insert("TOKENSINK_STATE_DIR".to_owned(), state_directory);
    Document {
        schema: "tokensink.sandbox/1",
        config: Config { file: stage.config_file(), text: stage.config() },
        environment,
        addresses: Addresses {
            upstash: stage.sandbox.upstash.url(),
            qstash: stage.sandbox.upstash.qstash_url(),
            github: stage.sandbox.github.url(),
            aws: stage.sandbox.aws.url(),
        },
    }
}
