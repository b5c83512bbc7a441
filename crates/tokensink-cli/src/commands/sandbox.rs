//! `sandbox`: the stand-ins in the foreground, for trying things out by hand.

use tokensink_engine::{Command, Outcome, Report};

use super::stage::Stage;
use super::{World, finish};
use crate::output::{say, tell};

pub(super) async fn run(world: &World<'_>) -> u8 {
    let stage = match Stage::set().await {
        Ok(stage) => stage,
        Err(error) => {
            let why = format!("could not start the stand-ins: {error}");
            let report = Report::refused(Command::Sandbox, Outcome::Unchanged, vec![why]);
            return finish(world.global, &report);
        }
    };
    say("# In another terminal:");
    for (name, value) in stage.variables() {
        say(&format!("export {name}='{value}'"));
    }
    say(&format!("export TOKENSINK_STATE_DIR='{}'", stage.state_folder().display()));
    say(&format!("tokensink check --config '{}'", stage.config_file().display()));
    say("\n# That file:");
    say(&stage.config());
    tell("The stand-ins run until Ctrl-C.");
    world.interrupt.interrupted().await;
    0
}
