//! Tests of `status`.

use std::time::Duration;

use tokensink_core::Token;
use tokensink_engine::journal::{Entry, Journal as _, Record};
use tokensink_engine::{Command, Outcome, State};
use tokensink_testkit::{
    AlwaysSucceeds, Call, Ending, Evidence, Planned, ScriptedError, ScriptedResponse,
};

use crate::stage::Stage;

const HANGS: ScriptedResponse =
    ScriptedResponse { takes: Duration::ZERO, ending: Ending::Hangs(None) };

#[tokio::test(start_paused = true)]
async fn the_status_reports_drift_of_required_sinks() {
    for (stage, outcome) in [
        (Stage::new(1, AlwaysSucceeds), Outcome::Drift),
        (Stage::new(1, AlwaysSucceeds).optional(), Outcome::Complete),
    ] {
        let report = stage.status().await;
        assert_eq!((report.outcome, report.next.len()), (Outcome::Complete, 0));
        stage.world.store_externally(0, Some(Token::new("theirs")));
        let report = stage.status().await;
        assert_eq!((report.outcome, report.sinks[0].state), (outcome, State::Stale));
        assert_eq!(report.warnings, [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_cannot_be_read_is_inspected_with_the_receipt_of_an_earlier_run() {
    let stage = Stage::new(1, AlwaysSucceeds).seen_by(Evidence::Receipt);
    assert_eq!(stage.status().await.sinks[0].state, State::Unknown);
    stage.reset().await;
    assert_eq!(stage.status().await.sinks[0].state, State::Current);
    stage.world.store_externally(0, Some(Token::new("theirs")));
    assert_eq!(stage.status().await.sinks[0].state, State::Unknown);
}

#[tokio::test(start_paused = true)]
async fn the_status_contains_the_time_of_each_last_write() {
    let stage = Stage::new(1, AlwaysSucceeds);
    assert_eq!(stage.status().await.sinks[0].written_at, None);
    stage.reset().await;
    let runs = stage.journal.runs().await.unwrap();
    let is_written = |record: &&Record| matches!(record.entry, Entry::Written { .. });
    let written = runs[0].records.iter().find(is_written).unwrap();
    assert_eq!(stage.status().await.sinks[0].written_at, Some(written.at));
    let is_confirmed = |record: &Record| matches!(record.entry, Entry::ResetConfirmed { .. });
    assert!(runs[0].records.iter().any(is_confirmed));
}

#[tokio::test(start_paused = true)]
async fn the_status_names_an_interrupted_run() {
    let stage = Stage::new(1, Planned::default().then(Call::Write(0), HANGS));
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    // The run is killed a second after the reset.
    let killed =
        tokio::time::timeout(Duration::from_secs(1), coordinator.reset(plan, stage.issuer()));
    assert!(killed.await.is_err());
    let report = stage.status().await;
    assert!(report.warnings[0].contains("has not finished"), "{:?}", report.warnings);
    assert_eq!(report.outcome, Outcome::Drift);

    // A run with a bad outcome is finished, too.
    let denied = ScriptedResponse::failed(ScriptedError::Permanent);
    let stage =
        Stage::new(
            1,
            move |call| if call == Call::Write(0) { denied } else { ScriptedResponse::SUCCESS },
        );
    assert_eq!(stage.reset().await.outcome, Outcome::Partial);
    assert!(stage.status().await.warnings.is_empty());
}
