//! `demo`: a complete reset with the real engine and plugins, against fake servers.

use tokensink_core::Fingerprint;
use tokensink_engine::Command;

use super::fake_services::FakeServices;
use super::{CommandContext, check, finish, reset};
use crate::args::{Global, Output, Reset, Selection};
use crate::output::{print_block, print_rows};

pub(super) async fn run(context: &CommandContext<'_>) -> u8 {
    let services = match FakeServices::start(Command::Demo).await {
        Ok(services) => services,
        Err(report) => return finish(context.global, &report),
    };
    let text = context.global.output == Output::Text;
    let before = services.places();
    if text {
        print_block("Fake Upstash, GitHub and AWS servers are running on loopback. The config:\n");
        print_block(&services.config());
    }
    let global = Global {
        config: services.config_file(),
        state_dir: Some(services.state_directory()),
        allowed_hosts: Vec::new(),
        credentials: crate::args::CredentialFlags::default(),
        ..context.global.clone()
    };
    let environment = services.environment();
    let inner = CommandContext {
        global: &global,
        environment: &environment,
        interrupt: context.interrupt.clone(),
    };
    let selection = Selection::default();
    if text {
        print_block("tokensink check (changes nothing):\n");
        finish(&global, &check::run(&inner, &selection).await);
        print_block("\ntokensink reset --yes:\n");
    }
    let report =
        reset::run(&inner, &Reset { selection, yes: true, max_outage: None, rehearse: false })
            .await;
    let code = finish(context.global, &report);
    if text {
        print_block("\nThe fingerprint of the token in each place, before and after the reset:\n");
        show(&before, &services);
    }
    drop(services);
    if text {
        print_block("\nThe fake servers are stopped, and their files are removed.");
    }
    code
}

fn show(before: &[(String, String)], services: &FakeServices) {
    let live = services.sandbox.upstash.token(&services.qstash).unwrap_or_default();
    let rows: Vec<[String; 4]> = before
        .iter()
        .zip(services.places())
        .map(|((place, old), (_, new))| {
            let result = if new == live { "the live token" } else { "NOT the live token" };
            let fingerprint = |token: &str| Fingerprint::of(token).to_string();
            [place.clone(), fingerprint(old), fingerprint(&new), result.to_owned()]
        })
        .collect();
    print_rows(["PLACE", "BEFORE", "AFTER", "RESULT"], &rows);
}
