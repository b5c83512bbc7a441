//! Tests of unfinished runs, which every command must report alike.

use std::time::Duration;

use tokensink_core::Token;
use tokensink_engine::journal::{Journal as _, summarize};
use tokensink_engine::{Command, Outcome, State};
use tokensink_testkit::{Call, Ending, Planned, ScriptedResponse};
use tokio::time::timeout;

use crate::stage::Stage;

const HANGS: ScriptedResponse =
    ScriptedResponse { takes: Duration::ZERO, ending: Ending::Hangs(None) };

/// Returns a stage on which `command` was killed while it wrote.
async fn killed(command: Command) -> Stage {
    let stage = Stage::new(2, Planned::default().then(Call::Write(0), HANGS));
    stage.world.store_externally(0, Some(Token::new("theirs")));
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(command).await.unwrap();
    let limit = Duration::from_secs(1);
    let is_killed = match command {
        Command::Reset => timeout(limit, coordinator.reset(plan, stage.issuer())).await.is_err(),
        _ => timeout(limit, coordinator.sync(plan)).await.is_err(),
    };
    assert!(is_killed);
    stage
}

#[tokio::test(start_paused = true)]
async fn every_command_reports_an_unfinished_run() {
    for command in [Command::Reset, Command::Sync] {
        let stage = killed(command).await;
        for refused in [stage.reset().await, stage.check().await] {
            assert_eq!(refused.outcome, Outcome::Unchanged);
            assert!(refused.errors.iter().any(|error| error.contains("has not finished")));
        }
        let status = stage.status().await;
        // The sink that was not written contains another value.
        assert_eq!(status.outcome, Outcome::Drift);
        let summaries = summarize(&stage.journal.runs().await.unwrap());
        assert!(summaries[0].unfinished, "{summaries:?}");
        assert_eq!(stage.sync().await.outcome, Outcome::Complete);
        assert_eq!(stage.status().await.outcome, Outcome::Complete);
        let summaries = summarize(&stage.journal.runs().await.unwrap());
        assert!(summaries.iter().all(|run| !run.unfinished), "{summaries:?}");
        assert_eq!(stage.check().await.outcome, Outcome::Ready);
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_after_an_unfinished_run_is_unknown_without_known_drift() {
    let stage = Stage::new(1, Planned::default().then(Call::Reset, HANGS));
    assert_eq!(stage.reset().await.outcome, Outcome::Unknown);
    let status = stage.status().await;
    assert_eq!((status.outcome, status.exit_code), (Outcome::Unknown, 4));
    assert_eq!(status.sinks[0].state, State::Current);
    assert!(status.next[0].contains("tokensink sync"), "{:?}", status.next);
}
