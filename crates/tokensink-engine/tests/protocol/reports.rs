//! What a report says, and what it does not.

use std::time::Duration;

use tokensink_engine::{Command, Outcome, Report, State};
use tokensink_testkit::{Call, Calm, Ending, Evidence, Fate, Fault, Planned};

use crate::stage::Stage;

#[tokio::test(start_paused = true)]
async fn a_cut_off_reset_must_be_synced_first() {
    let hangs = Fate { takes: Duration::ZERO, ending: Ending::Hangs(None) };
    let stage = Stage::new(1, Planned::default().then(Call::Reset, hangs));
    stage.coordinator().await.nothing_unfinished().unwrap();
    let report = stage.reset().await;
    assert_eq!(report.outcome, Outcome::Unknown);
    assert!(report.sinks.iter().all(|sink| sink.state == State::Unknown), "{report:?}");

    let refusal = stage.coordinator().await.nothing_unfinished().unwrap_err();
    assert_eq!(refusal.outcome, Outcome::Unchanged);
    assert!(refusal.next[0].contains("tokensink sync"), "{refusal:?}");
    assert_eq!(stage.sync().await.outcome, Outcome::Complete);
    stage.coordinator().await.nothing_unfinished().unwrap();
}

#[tokio::test(start_paused = true)]
async fn it_names_its_run_and_what_it_rests_on() {
    let stage = Stage::new(2, Calm).seen_by(Evidence::Nothing);
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Check).await.unwrap();
    let report = coordinator.check(&plan);
    assert!(report.run_id.is_some());
    assert_eq!(report.outcome, Outcome::Ready);
    for sink in &report.sinks {
        assert_eq!(sink.state, State::Unknown);
        assert!(sink.evidence.ends_with("only a write can tell"), "{}", sink.evidence);
    }
    let written = stage.reset().await;
    assert!(written.sinks.iter().all(|sink| sink.evidence.starts_with("the write was ackn")));
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_warns_of_is_told_with_its_name() {
    let stage = Stage::new(1, Calm).warning("mind the gap");
    assert_eq!(stage.reset().await.warnings, ["sink (place 0): mind the gap"]);

    let transient = Fate::failed(Fault::Transient);
    let unseen = move |call| if call == Call::Inspect(0) { transient } else { Fate::WELL };
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
async fn a_plugin_that_tells_the_token_is_redacted() {
    let stage = Stage::new(1, Calm).telling();
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
async fn a_record_that_is_not_complete_is_told_once() {
    let report = Stage::new(3, Calm).forgetting_writes().reset().await;
    assert_eq!(report.outcome, Outcome::Complete);
    let told = report.warnings.iter().filter(|warning| warning.contains("journal is not complete"));
    assert_eq!(told.count(), 1, "{:?}", report.warnings);
}
