//! What is said at the end when not everybody agrees on the token.

use std::time::Duration;

use tokensink_engine::journal::{Entry, Journal as _, Record};
use tokensink_engine::{Command, Outcome, Report};
use tokensink_testkit::{Call, Calm, Ending, Fate, Fault, Planned, Script};

use crate::stage::Stage;

const TRANSIENT: Fate = Fate::failed(Fault::Transient);
const LAGGING: Fate =
    Fate { takes: Duration::ZERO, ending: Ending::AnsweredLate(Duration::from_secs(3600)) };

/// A reset of which `script` decides what happens after the plan.
async fn reset_with(script: impl Script + 'static) -> Report {
    let stage = Stage::new(1, Calm);
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    stage.world.play(script);
    coordinator.reset(plan).await
}

/// A stage on which a reset was cut off, and may still land.
async fn in_doubt() -> Stage {
    let hangs = Fate { takes: Duration::ZERO, ending: Ending::Hangs(None) };
    let stage = Stage::new(1, Planned::default().then(Call::Reset, hangs));
    assert_eq!(stage.reset().await.outcome, Outcome::Unknown);
    stage
}

fn if_asked(asked: Call, fate: Fate) -> impl Script {
    move |call| if call == asked { fate } else { Fate::WELL }
}

#[tokio::test(start_paused = true)]
async fn an_old_token_that_still_works_is_told() {
    let stage = Stage::new(1, Calm);
    stage.world.let_old_tokens_in();
    let report = stage.reset().await;
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(report.errors, ["QStash still accepts the old token"]);
    assert!(report.next.len() == 1 && report.next[0].contains("leaked"), "{:?}", report.next);
    assert_eq!(stage.world.held(0), Some(stage.world.live()));
}

#[tokio::test(start_paused = true)]
async fn a_view_that_lags_is_a_warning() {
    let report = reset_with(if_asked(Call::Current, LAGGING)).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!(report.warnings, ["Upstash still shows the old token"]);
}

#[tokio::test(start_paused = true)]
async fn a_view_that_lags_is_no_proof_where_a_reset_may_still_land() {
    let lost = Fate { takes: Duration::ZERO, ending: Ending::AnswerLost(Duration::ZERO) };
    let mut is_written = false;
    let report = reset_with(move |call| {
        is_written |= call == Call::Write(0);
        match call {
            Call::Reset => lost,
            Call::Current if is_written => LAGGING,
            _ => Fate::WELL,
        }
    })
    .await;
    assert_eq!(report.outcome, Outcome::Unknown);
    assert!(report.errors[0].contains("still shows the old token"), "{:?}", report.errors);
    assert!(report.next[0].contains("tokensink sync"), "{:?}", report.next);
}

#[tokio::test(start_paused = true)]
async fn a_qstash_that_cannot_be_asked_is_a_warning() {
    let report = reset_with(if_asked(Call::Accepts, TRANSIENT)).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert!(report.warnings[0].contains("could not be asked"), "{:?}", report.warnings);
}

#[tokio::test(start_paused = true)]
async fn a_qstash_that_cannot_be_asked_is_no_proof_where_a_reset_may_still_land() {
    let stage = in_doubt().await;
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Sync).await.unwrap();
    stage.world.play(if_asked(Call::Accepts, TRANSIENT));
    let report = coordinator.sync(plan).await;
    assert_eq!(report.outcome, Outcome::Unknown);
    assert!(report.errors[0].contains("as scripted"), "{:?}", report.errors);
}

#[tokio::test(start_paused = true)]
async fn a_current_token_that_cannot_be_read_again_is_a_warning_or_no_proof() {
    let report = reset_with({
        let mut is_reset = false;
        move |call| {
            is_reset |= call == Call::Reset;
            if is_reset && call == Call::Current { TRANSIENT } else { Fate::WELL }
        }
    })
    .await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert!(report.warnings[0].contains("could not be read again"), "{:?}", report.warnings);

    let stage = in_doubt().await;
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Sync).await.unwrap();
    stage.world.play(if_asked(Call::Current, TRANSIENT));
    let report = coordinator.sync(plan).await;
    assert_eq!(report.outcome, Outcome::Unknown);
    assert!(report.errors[0].contains("could not be read again"), "{:?}", report.errors);
}

#[tokio::test(start_paused = true)]
async fn only_a_complete_run_is_recorded_as_settled() {
    for (script, settled) in [(Fate::WELL, 1), (Fate::failed(Fault::Permanent), 0)] {
        let stage = Stage::new(1, if_asked(Call::Write(0), script));
        stage.reset().await;
        let runs = stage.journal.runs().await.unwrap();
        let is_settled = |record: &&Record| matches!(record.entry, Entry::Settled { .. });
        assert_eq!(runs[0].records.iter().filter(is_settled).count(), settled);
    }
}
