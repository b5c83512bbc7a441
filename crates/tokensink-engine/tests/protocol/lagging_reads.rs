//! Tests of inspections that lag behind an acknowledged write.

use std::time::Duration;

use tokensink_core::Token;
use tokensink_engine::{Command, Outcome, State};
use tokensink_testkit::{Call, Ending, Evidence, ScriptedResponse};
use tokio::time::sleep;

use crate::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);

/// Returns a script in which inspections show the state of this long ago.
fn lagging(lag: Duration) -> impl FnMut(Call) -> ScriptedResponse + Send + 'static {
    move |call| match call {
        Call::Inspect(_) => {
            ScriptedResponse { takes: Duration::ZERO, ending: Ending::SucceededWithStaleValue(lag) }
        }
        _ => ScriptedResponse::SUCCESS,
    }
}

#[tokio::test(start_paused = true)]
async fn a_lagging_read_does_not_cause_another_write() {
    for evidence in [Evidence::Value, Evidence::Receipt] {
        let stage = Stage::new(30, lagging(4 * SECOND)).seen_by(evidence);
        let report = stage.reset().await;
        assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.errors);
        assert!(report.sinks.iter().all(|sink| sink.attempts == 1), "{evidence:?}");
        let writes = (0..30).map(|sink| stage.count(Call::Write(sink))).sum::<usize>();
        assert_eq!(writes, 30, "{evidence:?}");
        // The inspection is repeated with growing pauses.
        let reads = stage.count(Call::Inspect(0));
        assert!((3..=8).contains(&reads), "{reads} inspections");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lagging_read_after_a_rehearsal_is_repeated() {
    let stage = Stage::new(3, lagging(3 * SECOND)).seen_by(Evidence::Receipt);
    let report = stage.rehearsed_reset().await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.errors);
    // Once for the rehearsal, once for the reset.
    assert_eq!(stage.count(Call::Write(0)), 2);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_another_machine_wrote_is_not_reported_as_stale() {
    let stage = Stage::new(1, lagging(Duration::ZERO)).seen_by(Evidence::Receipt);
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    let slow = ScriptedResponse::slow(SECOND);
    stage.world.set_script(move |call| match call {
        Call::Inspect(_) => slow,
        _ => ScriptedResponse::SUCCESS,
    });
    let world = stage.world.clone();
    let other_machine = tokio::spawn(async move {
        loop {
            sleep(SECOND / 5).await;
            world.store_externally(0, Some(world.live()));
        }
    });
    let report = coordinator.reset(plan, stage.issuer()).await;
    other_machine.abort();
    assert_eq!((report.outcome, report.sinks[0].state), (Outcome::Partial, State::Unknown));
    assert!(report.sinks[0].evidence.contains("may hold the live token"), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_value_that_differs_after_the_settling_window_is_written_again() {
    let stage = Stage::new(1, lagging(Duration::ZERO));
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    // The inspection begins after the other write and shows the state at its middle.
    let slow = ScriptedResponse::slow(SECOND);
    stage.world.set_script(move |call| match call {
        Call::Inspect(_) => slow,
        _ => ScriptedResponse::SUCCESS,
    });
    let other = async {
        sleep(SECOND / 10).await;
        stage.world.store_externally(0, Some(Token::new("theirs")));
    };
    let (report, ()) = tokio::join!(coordinator.reset(plan, stage.issuer()), other);
    assert_eq!((report.outcome, stage.count(Call::Write(0))), (Outcome::Complete, 2));
    let history = stage.world.history(0);
    let [.., theirs, ours] = history.as_slice() else { panic!("{history:?}") };
    assert!(ours.at - theirs.at >= 4 * SECOND, "not before the window is over");
}
