//! Tests of the steps from the plan to the reset.

use std::time::Duration;

use tokensink_core::{RateLimits, Token};
use tokensink_engine::journal::Journal as _;
use tokensink_engine::{Command, Outcome};
use tokensink_testkit::{AlwaysSucceeds, Call, Planned, ScriptedError, ScriptedResponse};
use tokio::time::sleep;

use crate::stage::Stage;

const DENIED: ScriptedResponse = ScriptedResponse::failed(ScriptedError::Permanent);

#[tokio::test(start_paused = true)]
async fn an_old_preparation_is_repeated_before_the_reset() {
    for (waits, prepared) in [(1, 1), (5, 1), (6, 2)] {
        let stage = Stage::new(1, AlwaysSucceeds);
        let coordinator = stage.coordinator().await;
        let plan = coordinator.plan(Command::Reset).await.unwrap();
        sleep(Duration::from_secs(waits)).await;
        assert_eq!(coordinator.reset(plan, stage.issuer()).await.outcome, Outcome::Complete);
        assert_eq!(stage.count(Call::Prepare(0)), prepared, "after {waits} s");
        // Once for the plan and once at the end, because each inspection uses the provider's quota.
        assert_eq!(stage.count(Call::Inspect(0)), 2, "after {waits} s");
    }
}

#[tokio::test(start_paused = true)]
async fn preparations_that_expire_during_a_slow_one_are_repeated() {
    for (thinks, prepared) in [(0, (2, 1)), (10, (3, 2))] {
        let slow = ScriptedResponse::slow(Duration::from_secs(7));
        let stage =
            Stage::new(
                2,
                move |call| if call == Call::Prepare(1) { slow } else { ScriptedResponse::SUCCESS },
            );
        let coordinator = stage.coordinator().await;
        let plan = coordinator.plan(Command::Reset).await.unwrap();
        sleep(Duration::from_secs(thinks)).await;
        assert_eq!(coordinator.reset(plan, stage.issuer()).await.outcome, Outcome::Complete);
        let counted = (stage.count(Call::Prepare(0)), stage.count(Call::Prepare(1)));
        assert_eq!(counted, prepared, "after {thinks} s");
    }
}

/// Runs on several threads, like the program: the order must not depend on the scheduling.
#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_admits_sinks_in_the_order_of_their_priority() {
    let one_by_one = RateLimits::concurrent("q", 1);
    let stage = Stage::new(60, AlwaysSucceeds).within(one_by_one).rising_in_priority();
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);
    let calls = stage.world.calls().into_iter();
    let written: Vec<usize> = calls
        .filter_map(|called| match called.call {
            Call::Write(index) => Some(index),
            _ => None,
        })
        .collect();
    assert_eq!(written, (0..60).rev().collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn an_external_reset_before_ours_stops_it() {
    for waits in [1, 10] {
        let stage = Stage::new(1, AlwaysSucceeds);
        let coordinator = stage.coordinator().await;
        let plan = coordinator.plan(Command::Reset).await.unwrap();
        sleep(Duration::from_secs(waits)).await;
        stage.world.reset_externally();
        let report = coordinator.reset(plan, stage.issuer()).await;
        assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Unchanged, 0));
        assert!(report.errors[0].contains("another program reset"), "{:?}", report.errors);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_sent_no_reset_is_recorded_as_finished() {
    let stage = Stage::new(1, Planned::default().then(Call::Reset, DENIED));
    assert_eq!(stage.reset().await.outcome, Outcome::Unchanged);
    let runs = stage.journal.runs().await.unwrap();
    assert_eq!(runs[0].outcome(), Some(Outcome::Unchanged));
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);
    let runs = stage.journal.runs().await.unwrap();
    assert_eq!(runs[1].outcome(), Some(Outcome::Complete));
}

#[tokio::test(start_paused = true)]
async fn a_sync_with_an_old_plan_reads_the_token_again() {
    for (waits, asked) in [(1, 2), (10, 3)] {
        let stage = Stage::new(1, AlwaysSucceeds);
        stage.world.store_externally(0, Some(Token::new("theirs")));
        let coordinator = stage.coordinator().await;
        let plan = coordinator.plan(Command::Sync).await.unwrap();
        sleep(Duration::from_secs(waits)).await;
        assert_eq!(coordinator.sync(plan).await.outcome, Outcome::Complete);
        let calls = [Call::Current, Call::Prepare(0), Call::Write(0)].map(|call| stage.count(call));
        assert_eq!(calls, [asked, 1, 1], "after {waits} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sync_after_an_external_reset_writes_no_revoked_token() {
    let stage = Stage::new(1, AlwaysSucceeds);
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Sync).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    stage.world.reset_externally();
    assert_eq!(coordinator.sync(plan).await.outcome, Outcome::Complete);
    assert_eq!((stage.count(Call::Prepare(0)), stage.count(Call::Write(0))), (2, 1));
    assert_eq!(stage.world.held(0), Some(stage.world.live()));
}
