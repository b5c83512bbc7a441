//! `reset`, `sync` and `status`, from the first question to the last sink.

use std::fs;
use std::time::Duration;

use tokensink_sandbox::ResetFault;

use crate::support::world::{World, words};

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_reaches_every_sink() {
    let world = World::new().await;
    let before = world.live();
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert_eq!((code, report["outcome"].as_str()), (0, Some("complete")), "{report}");
    assert_ne!(world.live(), before);
    world.assert_everywhere(&world.live());
    assert_eq!(world.posts(), 1);
    let sinks = report["sinks"].as_array().unwrap();
    assert_eq!(sinks.len(), 4);
    for sink in sinks {
        assert_eq!(sink["state"], "current", "{sink}");
        assert!(sink["outage_ms"].is_u64(), "{sink}");
    }
    assert_eq!(report["schema"], "tokensink.report/1");
    let (code, report) = world.run(&["check"]).await;
    assert_eq!((code, report["outcome"].as_str()), (0, Some("ready")), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsed_reset_is_still_one_reset() {
    let world = World::new().await;
    let (code, report) = world.run(&["reset", "--yes", "--rehearse"]).await;
    assert_eq!(code, 0, "{report}");
    world.assert_everywhere(&world.live());
    assert_eq!(world.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reset_without_a_yes_or_with_an_unready_sink() {
    let world = World::new().await;
    let (code, report) = world.run(&["reset"]).await;
    assert!(code == 1 && words(&report).contains("--yes"), "{report}");
    fs::remove_file(world.directory.path().join("token")).unwrap();
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert!(code == 1 && words(&report).contains("create it"), "{report}");
    assert_eq!(world.posts(), 0);
    let (code, report) = world.run(&["reset", "--yes", "--skip", "own"]).await;
    assert!(code == 3 && words(&report).contains("left out: own"), "{report}");
    assert_eq!(world.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_without_a_response_is_not_sent_again() {
    for fault in [
        ResetFault::ResponseLost,
        ResetFault::NoTokenInResponse,
        ResetFault::TakesEffectAfter(Duration::from_secs(1)),
    ] {
        let world = World::new().await;
        world.sandbox.upstash.fail_next_reset(fault);
        let (code, report) = world.run(&["reset", "--yes"]).await;
        assert_eq!(code, 0, "{report}");
        world.assert_everywhere(&world.live());
        assert_eq!((world.posts(), world.sandbox.upstash.resets(&world.qstash)), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_result_is_reported_and_sync_repairs_it() {
    let world = World::new().await;
    world.sandbox.upstash.fail_next_reset(ResetFault::NoEffect);
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert!(code == 4 && words(&report).contains("do not reset again"), "{report}");
    assert_eq!(world.posts(), 1);
    world.sandbox.upstash.reset_externally(&world.qstash);
    let (code, report) = world.run(&["status"]).await;
    assert_eq!(code, 5, "{report}");
    let (code, report) = world.run(&["sync"]).await;
    assert_eq!(code, 0, "{report}");
    world.assert_everywhere(&world.live());
    assert_eq!(world.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_token_that_still_works_is_reported() {
    let world = World::new().await;
    world.sandbox.upstash.fail_next_reset(ResetFault::OldTokenStaysAccepted);
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert!(code == 3 && words(&report).contains("still accepts the old token"), "{report}");
    world.assert_everywhere(&world.live());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_reset_changes_nothing() {
    let world = World::new().await;
    let before = world.live();
    world.sandbox.upstash.fail_next_reset(ResetFault::Refused(403, r#"{"error":"no"}"#));
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert!(code == 1 && words(&report).contains("--token-stdin"), "{report}");
    world.assert_everywhere(&before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pasted_token_needs_no_upstash_credential() {
    let world = World::new().await;
    world.sandbox.upstash.reset_externally(&world.qstash);
    let mut command = world.command(&["sync", "--token-stdin", "--yes", "--output", "json"]);
    command.env_remove("UPSTASH_EMAIL").env_remove("UPSTASH_API_KEY");
    let output = world.finish(command, &format!("{}\n", world.live())).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    world.assert_everywhere(&world.live());
    let mut command = world.command(&["sync", "--token-stdin"]);
    command.env_remove("UPSTASH_EMAIL").env_remove("UPSTASH_API_KEY");
    let output = world.finish(command, "dead-token").await;
    assert_eq!(output.status.code(), Some(4), "{output:?}");
}
