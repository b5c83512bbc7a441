//! `demo`: the whole job once, with the real engine and plugins, against the stand-ins.

use tokensink_core::Fingerprint;
use tokensink_engine::Command;

use super::stage::Stage;
use super::{World, check, finish, reset};
use crate::args::{Global, Output, Reset, Selection};
use crate::output::{print_block, print_rows};

pub(super) async fn run(world: &World<'_>) -> u8 {
    let stage = match Stage::set_for(Command::Demo).await {
        Ok(stage) => stage,
        Err(report) => return finish(world.global, &report),
    };
    let text = world.global.output == Output::Text;
    let before = stage.places();
    if text {
        print_block("Stand-ins for Upstash, GitHub and AWS run on loopback. The config:\n");
        print_block(&stage.config());
    }
    let global = Global {
        config: stage.config_file(),
        state_dir: Some(stage.state_directory()),
        allowed_hosts: Vec::new(),
        credentials: crate::args::Credentials::default(),
        ..world.global.clone()
    };
    let environment = stage.environment();
    let inner =
        World { global: &global, environment: &environment, interrupt: world.interrupt.clone() };
    let selection = Selection::default();
    if text {
        print_block("The plan, which changes nothing:\n");
        finish(&global, &check::run(&inner, &selection).await);
        print_block("\nResetting the token, and writing the new one to every sink:\n");
    }
    let report =
        reset::run(&inner, &Reset { selection, yes: true, max_outage: None, rehearse: false })
            .await;
    let code = finish(world.global, &report);
    if text {
        print_block("\nWhat the applications find there, by fingerprint:\n");
        show(&before, &stage);
    }
    drop(stage);
    if text {
        print_block("\nThe stand-ins are stopped, and nothing is left behind.");
    }
    code
}

fn show(before: &[(String, String)], stage: &Stage) {
    let live = stage.sandbox.upstash.token(&stage.qstash).unwrap_or_default();
    let rows: Vec<[String; 4]> = before
        .iter()
        .zip(stage.places())
        .map(|((place, old), (_, new))| {
            let verdict = if new == live { "the live token" } else { "NOT the live token" };
            let shown = |token: &str| Fingerprint::of(token).to_string();
            [place.clone(), shown(old), shown(&new), verdict.to_owned()]
        })
        .collect();
    print_rows(["PLACE", "BEFORE", "AFTER", "WHICH IS"], &rows);
}
