//! Tests of reports.

use std::time::Duration;

use tokensink_engine::{Abort, Command, Outcome, Report, State};
use tokensink_testkit::{
    AlwaysSucceeds, Call, Ending, Evidence, Planned, ScriptedError, ScriptedResponse,
};

use crate::stage::Stage;

#[tokio::test(start_paused = true)]
async fn an_interrupted_reset_must_be_synced_before_another_reset() {
    let hangs = ScriptedResponse { takes: Duration::ZERO, ending: Ending::Hangs(None) };
    let stage = Stage::new(1, Planned::default().then(Call::Reset, hangs));
    let report = stage.reset().await;
    assert_eq!(report.outcome, Outcome::Unknown);
    assert!(report.sinks.iter().all(|sink| sink.state == State::Unknown), "{report:?}");

    for refusal in [stage.reset().await, stage.check().await] {
        assert_eq!(refusal.outcome, Outcome::Unchanged);
        assert!(refusal.errors[0].contains("without knowing"), "{refusal:?}");
        assert!(refusal.next[0].contains("tokensink sync"), "{refusal:?}");
    }
    let status = stage.status().await;
    assert!(status.warnings[0].contains("without knowing"), "{status:?}");
    assert!(status.next[0].contains("tokensink sync"), "{status:?}");
    assert_eq!(stage.count(Call::Reset), 1);
    assert_eq!(stage.sync().await.outcome, Outcome::Complete);
    assert_eq!(stage.check().await.outcome, Outcome::Ready);
    assert_eq!(stage.status().await.warnings, [""; 0]);
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_left_out_makes_the_run_incomplete() {
    let lost = ScriptedResponse { takes: Duration::ZERO, ending: Ending::Hangs(None) };
    let responses =
        Planned::default().then(Call::Reset, ScriptedResponse::SUCCESS).then(Call::Reset, lost);
    let stage = Stage::new(1, responses).leaving_out("ci");
    let check = stage.check().await;
    assert!(check.warnings[0].contains("left out: ci"), "{check:?}");
    let report = stage.reset().await;
    assert_eq!((report.outcome, report.sinks[0].state), (Outcome::Partial, State::Current));
    assert!(report.errors[0].contains("left out: ci"), "{:?}", report.errors);
    assert_eq!(report.left_out, ["ci"]);
    assert!(report.next[0].contains("tokensink sync"), "{:?}", report.next);

    // A sync of some sinks does not finish a reset of all.
    assert_eq!(stage.reset().await.outcome, Outcome::Unknown);
    assert_eq!(stage.sync().await.outcome, Outcome::Complete);
    assert_eq!(stage.reset().await.outcome, Outcome::Unchanged);
    let stage = stage.leaving_out_none();
    assert_eq!(stage.sync().await.outcome, Outcome::Complete);
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn a_check_that_failed_has_no_forecast() {
    let denied = ScriptedResponse::failed(ScriptedError::Permanent);
    let stage =
        Stage::new(
            2,
            move |call| if call == Call::Prepare(0) { denied } else { ScriptedResponse::SUCCESS },
        );
    let report = stage.check().await;
    assert_eq!((report.outcome, report.forecast_ms), (Outcome::Unchanged, None));
    assert_eq!(report.dominated_by, None);
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_although_the_journal_hangs() {
    let stage = Stage::new(1, AlwaysSucceeds).with_a_disk_that_hangs_on_writes();
    let report = stage.reset().await;
    assert_eq!((report.outcome, report.sinks[0].state), (Outcome::Complete, State::Current));
    assert!(report.warnings[0].contains("the disk did not respond"), "{:?}", report.warnings);
}

#[tokio::test(start_paused = true)]
async fn a_sync_without_a_history_waits_for_the_settling_window() {
    // The run before was interrupted, and its reset takes effect during this one.
    let stage = Stage::new(1, AlwaysSucceeds);
    let stranger = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        stage.world.reset_externally();
    };
    let coordinator = stage.coordinator_without_history();
    let plan = coordinator.plan(Command::Sync).await.unwrap();
    let (report, ()) = tokio::join!(coordinator.sync(plan), stranger);
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!(stage.world.held(0), Some(stage.world.live()));
    let refusal = coordinator.plan(Command::Reset).await.unwrap_err();
    assert_eq!(refusal, Abort::NoHistory);
}

#[tokio::test(start_paused = true)]
async fn a_report_names_its_run_and_the_evidence() {
    let stage = Stage::new(2, AlwaysSucceeds).seen_by(Evidence::Nothing);
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Check).await.unwrap();
    let report = coordinator.check(&plan);
    assert!(report.run_id.is_some());
    assert_eq!(report.outcome, Outcome::Ready);
    for sink in &report.sinks {
        assert_eq!(sink.state, State::Unknown);
        assert!(sink.evidence.ends_with("only a write can show it"), "{}", sink.evidence);
    }
    let written = stage.reset().await;
    assert!(written.sinks.iter().all(|sink| sink.evidence.starts_with("the write was ackn")));
}

#[tokio::test(start_paused = true)]
async fn a_warning_of_a_sink_is_reported_with_its_name() {
    let stage = Stage::new(1, AlwaysSucceeds).warning("mind the gap");
    assert_eq!(stage.reset().await.warnings, ["sink (place 0): mind the gap"]);

    let transient = ScriptedResponse::failed(ScriptedError::Transient);
    let unseen =
        move |call| if call == Call::Inspect(0) { transient } else { ScriptedResponse::SUCCESS };
    let stage = Stage::new(1, unseen);
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Status).await.unwrap();
    let asked = coordinator.check(&plan);
    assert!(asked.warnings[0].contains("could not be inspected"), "{:?}", asked.warnings);
    let status = coordinator.status(&plan);
    assert_eq!((status.outcome, status.warnings.len()), (Outcome::Unchanged, 0));
    assert!(status.errors[0].starts_with("sink (place 0): could not"), "{:?}", status.errors);
}

#[tokio::test(start_paused = true)]
async fn a_token_in_the_error_of_a_plugin_is_redacted() {
    let stage = Stage::new(1, AlwaysSucceeds).leaking();
    let report = stage.reset().await;
    assert_eq!(report.outcome, Outcome::Partial);
    let text = format!("{report:?}");
    assert!(text.contains("it was ") && !text.contains(stage.world.live().expose()), "{text}");
}

#[test]
fn each_outcome_has_its_exit_code() {
    let codes = [
        (Outcome::Complete, 0),
        (Outcome::Ready, 0),
        (Outcome::Unchanged, 1),
        (Outcome::Invalid, 2),
        (Outcome::Partial, 3),
        (Outcome::Unknown, 4),
        (Outcome::Drift, 5),
    ];
    for (outcome, code) in codes {
        let report = Report::refused(Command::Sync, outcome, vec!["why".to_owned()]);
        assert_eq!((outcome.exit_code(), report.exit_code), (code, code));
        assert_eq!(report.errors, ["why"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_incomplete_journal_is_reported_once() {
    let report = Stage::new(3, AlwaysSucceeds).forgetting_writes().reset().await;
    assert_eq!(report.outcome, Outcome::Complete);
    let mentions =
        report.warnings.iter().filter(|warning| warning.contains("journal is not complete"));
    assert_eq!(mentions.count(), 1, "{:?}", report.warnings);
}
