//! Tests of interrupts before and after the reset.

use std::time::Duration;

use tokensink_engine::journal::Entry;
use tokensink_engine::{Command, Outcome, SinkReport};
use tokensink_testkit::{AlwaysSucceeds, Call, Ending, Planned, ScriptedError, ScriptedResponse};

use crate::stage::Stage;

#[tokio::test(start_paused = true)]
async fn an_interrupt_before_the_reset_stops_it() {
    let hangs = ScriptedResponse { takes: Duration::ZERO, ending: Ending::Hangs(None) };
    let stage = Stage::new(1, Planned::default().then(Call::Prepare(0), hangs));
    assert_eq!(stage.interrupter.interrupt(), 1);
    assert_eq!(stage.interrupter.interrupt(), 2);
    let report = stage.reset().await;
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Unchanged, 0));
    assert_eq!(report.errors, ["interrupted"]);
    assert!(report.sinks.iter().all(SinkReport::is_unasked), "{report:?}");

    let stage = Stage::new(1, AlwaysSucceeds);
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    stage.interrupter.interrupt();
    let report = coordinator.reset(plan, stage.issuer()).await;
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Unchanged, 0));
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_while_the_intent_is_recorded_stops_the_reset() {
    let stage = Stage::new(1, AlwaysSucceeds).recording_the_intent_for(Duration::from_secs(4));
    let interrupted = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        stage.interrupter.interrupt();
    };
    let (report, ()) = tokio::join!(stage.reset(), interrupted);
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Unchanged, 0));
    assert_eq!(report.errors, ["interrupted"]);
    let record = stage.record().await;
    assert!(record.contains(&Entry::NotReset), "{record:?}");
    assert!(record.contains(&Entry::Finished { outcome: Outcome::Unchanged }), "{record:?}");
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_before_a_reset_is_sent_again_stops_it() {
    let unsent = ScriptedResponse::failed(ScriptedError::NotSent);
    let stage = Stage::new(
        1,
        move |call| if call == Call::Reset { unsent } else { ScriptedResponse::SUCCESS },
    );
    let interrupted = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        stage.interrupter.interrupt();
    };
    let (report, ()) = tokio::join!(stage.reset(), interrupted);
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Unchanged, 1));
    assert!(stage.record().await.contains(&Entry::NotReset));
}

#[tokio::test(start_paused = true)]
async fn after_the_reset_the_second_interrupt_ends_the_run() {
    for (interrupts, outcome) in [(1, Outcome::Complete), (2, Outcome::Partial)] {
        let slow = ScriptedResponse::slow(Duration::from_secs(5));
        let stage = Stage::new(1, Planned::default().then(Call::Write(0), slow));
        let coordinator = stage.coordinator().await;
        let plan = coordinator.plan(Command::Reset).await.unwrap();
        let interrupted = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            for _ in 0..interrupts {
                stage.interrupter.interrupt();
            }
        };
        let (report, ()) = tokio::join!(coordinator.reset(plan, stage.issuer()), interrupted);
        assert!(!report.sinks.iter().any(SinkReport::is_unasked), "{report:?}");
        assert_eq!(report.outcome, outcome, "{interrupts}");
        let is_abandoned = |entry: &Entry| matches!(entry, Entry::NotWritten { .. });
        assert_eq!(stage.record().await.iter().any(is_abandoned), interrupts == 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_interrupt_wakes_a_waiting_task() {
    let stage = Stage::new(0, AlwaysSucceeds);
    let waited = tokio::time::timeout(Duration::from_secs(1), stage.interrupted());
    assert!(waited.await.is_err());
    stage.interrupter.interrupt();
    stage.interrupted().await;
}
