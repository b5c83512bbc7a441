//! Tests of the proof of a write, which is made after the consent and before the reset.

use tokensink_core::Token;
use tokensink_engine::journal::Entry;
use tokensink_engine::{Command, Outcome};
use tokensink_testkit::{
    AlwaysSucceeds, Call, Evidence, MemorySink, Planned, ScriptedError, ScriptedResponse,
};

use crate::stage::Stage;

const DENIED: ScriptedResponse = ScriptedResponse::failed(ScriptedError::Permanent);

fn provable(_: usize, sink: MemorySink) -> MemorySink {
    sink.provable()
}

fn not_proven() -> impl FnMut(Call) -> ScriptedResponse + Send + 'static {
    |call| if call == Call::Prove(0) { DENIED } else { ScriptedResponse::SUCCESS }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_could_be_a_write_is_sent_before_consent() {
    let stage = Stage::new(1, AlwaysSucceeds);
    stage.world.store_externally(0, Some(Token::new("theirs")));
    let (check, status) = (stage.check().await, stage.status().await);
    assert_eq!((check.outcome, status.outcome), (Outcome::Drift, Outcome::Drift));
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    assert_eq!(stage.count(Call::Prove(0)) + stage.count(Call::Write(0)), 0);
    coordinator.reset(plan, stage.issuer()).await;
    let calls: Vec<Call> = stage.world.calls().iter().map(|called| called.call).collect();
    let position = |call| calls.iter().position(|one| *one == call).unwrap();
    assert!(position(Call::Prove(0)) < position(Call::Reset), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failed_proof_ends_the_run_before_the_reset() {
    let stage = Stage::new(1, not_proven());
    let report = stage.reset().await;
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Unchanged, 0));
    assert!(report.errors[0].starts_with("not writable: sink (place 0): as scripted"));
    assert!(!stage.record().await.iter().any(|entry| matches!(entry, Entry::ResetIntended { .. })));
    let stage = Stage::new(1, not_proven()).optional();
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn a_proof_is_retried_after_a_transient_error() {
    let fails_once =
        Planned::default().then(Call::Prove(0), ScriptedResponse::failed(ScriptedError::Transient));
    let stage = Stage::new(1, fails_once);
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);
    assert_eq!(stage.count(Call::Prove(0)), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rehearsed_sink_is_proven_only_once() {
    let stage = Stage::new(1, AlwaysSucceeds);
    assert_eq!(stage.rehearsed_reset().await.outcome, Outcome::Complete);
    assert_eq!(stage.count(Call::Prove(0)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_missing_value_is_rehearsed_with_the_current_token() {
    let stage = Stage::new(1, AlwaysSucceeds);
    stage.world.store_externally(0, None);
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    coordinator.rehearse(plan).await.unwrap();
    assert_eq!(stage.world.held(0), Some(stage.world.live()));
}

#[tokio::test(start_paused = true)]
async fn a_rehearsal_stops_if_a_sink_can_be_neither_rehearsed_nor_proven() {
    // The last write was of another token, so the sink is known to contain another value, and only a
    // write can prove the permission.
    let stage =
        Stage::new(2, AlwaysSucceeds).seen_by(Evidence::Value).shaping(|index, sink| match index {
            0 => sink.unproven(),
            _ => sink,
        });
    stage.world.store_externally(0, Some(Token::new("theirs")));
    let report = stage.rehearsed_reset().await;
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Unchanged, 0));
    assert!(
        report.errors[0].starts_with("sink (place 0): cannot be rehearsed"),
        "{:?}",
        report.errors
    );
    assert_eq!(stage.count(Call::Write(0)) + stage.count(Call::Write(1)), 0);
    assert_eq!(stage.world.held(0), Some(Token::new("theirs")));

    let stage = stage.shaping(|_, sink| sink.unproven().provable());
    assert_eq!(stage.rehearsed_reset().await.outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn the_report_counts_the_writes_of_a_rehearsal() {
    let responses = Planned::default().then(Call::Write(1), DENIED);
    let stage = Stage::new(2, responses).seen_by(Evidence::Nothing).shaping(provable);
    stage.world.store_externally(0, Some(Token::new("theirs")));
    let report = stage.rehearsed_reset().await;
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Unchanged, 0));
    assert_eq!(stage.world.held(0), Some(stage.world.live()));
    assert_eq!(report.sinks[0].attempts, 1);
    let warnings = "the rehearsal wrote the current token to 2 sinks, or tried to";
    assert!(report.warnings.iter().any(|warning| warning == warnings), "{:?}", report.warnings);
}

#[tokio::test(start_paused = true)]
async fn the_doubt_of_a_sink_is_the_permission_that_prepare_could_not_prove() {
    let stage = Stage::new(1, AlwaysSucceeds).seen_by(Evidence::Nothing);
    let report = stage.check().await;
    assert!(report.next.iter().any(|step| step.contains("--rehearse")), "{:?}", report.next);
    assert!(report.sinks[0].evidence.ends_with("only a write can show it"));
    let report = Stage::new(1, AlwaysSucceeds).check().await;
    assert_eq!(report.next, [""; 0]);
}
