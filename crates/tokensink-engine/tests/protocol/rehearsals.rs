//! Tests of the rehearsal.

use std::time::Duration;

use tokensink_core::Token;
use tokensink_engine::journal::Entry;
use tokensink_engine::{Command, Outcome, State};
use tokensink_testkit::{
    AlwaysSucceeds, Call, Ending, Evidence, Planned, ScriptedError, ScriptedResponse,
};
use tokio::time::sleep;

use crate::stage::Stage;

const HANGS: ScriptedResponse =
    ScriptedResponse { takes: Duration::ZERO, ending: Ending::Hangs(None) };
const DENIED: ScriptedResponse = ScriptedResponse::failed(ScriptedError::Permanent);

#[tokio::test(start_paused = true)]
async fn a_rehearsal_writes_the_current_token() {
    let stage = Stage::new(2, AlwaysSucceeds);
    stage.world.store_externally(1, Some(Token::new("theirs")));
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    let plan = coordinator.rehearse(plan).await.unwrap();
    // A sink with another value would be changed.
    assert_eq!((stage.count(Call::Write(0)), stage.count(Call::Write(1))), (1, 0));
    assert_eq!(coordinator.reset(plan, stage.issuer()).await.outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn a_failed_rehearsal_stops_the_reset_only_if_the_sink_is_required() {
    let fails = || Planned::default().then(Call::Write(0), DENIED);
    let stage = Stage::new(1, fails());
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    let report = coordinator.rehearse(plan).await.unwrap_err();
    assert_eq!(report.outcome, Outcome::Unchanged);
    let said = "the rehearsal failed: sink (place 0): ";
    assert!(report.errors[0].starts_with(said) && report.errors[0].contains("as scripted"));

    let stage = Stage::new(1, fails()).optional();
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    let plan = coordinator.rehearse(plan).await.unwrap();
    let report = coordinator.reset(plan, stage.issuer()).await;
    assert_eq!((report.outcome, report.sinks[0].state), (Outcome::Complete, State::Current));
}

#[tokio::test(start_paused = true)]
async fn an_unacknowledged_rehearsal_makes_the_state_of_an_optional_sink_unknown() {
    for waits in [0, 10] {
        let stage = Stage::new(1, Planned::default().then(Call::Write(0), HANGS)).optional();
        let coordinator = stage.coordinator().await;
        let plan = coordinator.plan(Command::Reset).await.unwrap();
        let plan = coordinator.rehearse(plan).await.unwrap();
        sleep(Duration::from_secs(waits)).await;
        let report = coordinator.reset(plan, stage.issuer()).await;
        assert_eq!(report.sinks[0].state, State::Unknown, "{:?}", report.sinks[0]);
        assert!(report.sinks[0].evidence.contains("may still take effect"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_unacknowledged_rehearsal_of_a_required_sink_stops_the_reset() {
    let stage = Stage::new(1, Planned::default().then(Call::Write(0), HANGS));
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    let report = coordinator.rehearse(plan).await.unwrap_err();
    assert_eq!(report.outcome, Outcome::Unchanged);
    assert!(report.errors[0].contains("was not acknowledged"), "{:?}", report.errors);

    let stage = Stage::new(1, AlwaysSucceeds);
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    let plan = coordinator.rehearse(plan).await.unwrap();
    assert_eq!(stage.count(Call::Write(0)), 1);
    assert_eq!(coordinator.reset(plan, stage.issuer()).await.outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn an_external_reset_before_the_rehearsal_stops_it() {
    for waits in [1, 10] {
        let stage = Stage::new(1, AlwaysSucceeds);
        let coordinator = stage.coordinator().await;
        let plan = coordinator.plan(Command::Reset).await.unwrap();
        sleep(Duration::from_secs(waits)).await;
        stage.world.reset_externally();
        let report = coordinator.rehearse(plan).await.unwrap_err();
        assert_eq!(report.outcome, Outcome::Unchanged);
        assert!(report.errors[0].contains("another program reset"), "{:?}", report.errors);
        // The rehearsal would write a revoked token over the newer one.
        assert_eq!(stage.count(Call::Write(0)), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_external_reset_during_the_rehearsal_stops_the_reset() {
    let slow = ScriptedResponse::slow(Duration::from_secs(4));
    let stage = Stage::new(1, Planned::default().then(Call::Write(0), slow));
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    let stranger = async {
        sleep(Duration::from_secs(1)).await;
        stage.world.reset_externally();
    };
    let (rehearsed, ()) = tokio::join!(coordinator.rehearse(plan), stranger);
    let report = rehearsed.unwrap_err();
    assert_eq!(report.outcome, Outcome::Unchanged);
    assert!(report.errors[0].contains("another program reset"), "{:?}", report.errors);
    assert!(report.next[0].contains("tokensink sync"), "{:?}", report.next);
}

#[tokio::test(start_paused = true)]
async fn the_receipt_of_a_rehearsal_is_used_where_values_cannot_be_read() {
    let responses = Planned::default().then(Call::Write(1), DENIED);
    let stage = Stage::new(2, AlwaysSucceeds).seen_by(Evidence::Receipt);
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);
    stage.world.set_script(responses);
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    let report = coordinator.rehearse(plan).await.unwrap_err();
    assert_eq!(report.sinks[0].state, State::Current, "{:?}", report.sinks[0]);
    assert_eq!(report.next.len(), 1);
    let record = stage.record().await;
    let is_known =
        |entry: &Entry| matches!(entry, Entry::Written { .. } | Entry::NotWritten { .. });
    assert_eq!(record.iter().filter(|entry| is_known(entry)).count(), 2, "{record:?}");
    assert!(record.contains(&Entry::Finished { outcome: Outcome::Unchanged }), "{record:?}");
    assert_eq!(stage.status().await.sinks[0].state, State::Current);
}

#[tokio::test(start_paused = true)]
async fn an_interrupted_rehearsal_is_reported() {
    let slow = ScriptedResponse::slow(Duration::from_secs(4));
    let stage = Stage::new(1, Planned::default().then(Call::Write(0), slow));
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    let interrupted = async {
        sleep(Duration::from_secs(1)).await;
        stage.interrupter.interrupt();
    };
    let (rehearsed, ()) = tokio::join!(coordinator.rehearse(plan), interrupted);
    let report = rehearsed.unwrap_err();
    assert_eq!(
        (report.outcome, report.errors),
        (Outcome::Unchanged, vec!["interrupted".to_owned()])
    );
}
