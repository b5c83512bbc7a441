//! Tests of refused resets: a refusal is not always believed.

use std::time::Duration;

use tokensink_engine::journal::Entry;
use tokensink_engine::{Outcome, State};
use tokensink_testkit::{AlwaysSucceeds, Call, Ending, ScriptedError, ScriptedResponse};
use tokio::time::Instant;

use crate::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);

fn ends(ending: Ending) -> ScriptedResponse {
    ScriptedResponse { takes: Duration::ZERO, ending }
}

#[tokio::test(start_paused = true)]
async fn a_refused_reset_that_takes_effect_is_delivered() {
    for after in [Duration::ZERO, SECOND * 3 / 10, 4 * SECOND] {
        let refused = ends(Ending::FailedWithEffect(ScriptedError::Permanent, after));
        let stage =
            Stage::new(
                2,
                move |call| if call == Call::Reset { refused } else { ScriptedResponse::SUCCESS },
            );
        let report = stage.reset().await;
        assert_eq!(report.outcome, Outcome::Complete, "{after:?}: {:?}", report.errors);
        assert_eq!(stage.count(Call::Reset), 1);
        assert_eq!(stage.world.held(1), Some(stage.world.live()));
        assert!(!stage.record().await.contains(&Entry::NotReset));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_reset_that_takes_effect_behind_a_lagging_read_is_not_reported_as_unchanged() {
    let refused = ends(Ending::FailedWithEffect(ScriptedError::Permanent, SECOND * 3 / 10));
    let lagging = ends(Ending::SucceededWithStaleValue(3600 * SECOND));
    let mut is_reset = false;
    let stage = Stage::new(1, move |call| {
        is_reset |= call == Call::Reset;
        match call {
            Call::Reset => refused,
            Call::Current if is_reset => lagging,
            _ => ScriptedResponse::SUCCESS,
        }
    });
    let report = stage.reset().await;
    assert_eq!((report.outcome, report.sinks[0].state), (Outcome::Unknown, State::Unknown));
    assert!(!stage.record().await.contains(&Entry::NotReset));
    stage.world.set_script(AlwaysSucceeds);
    assert_eq!(stage.reset().await.outcome, Outcome::Unchanged, "`sync` must come first");
    assert_eq!(stage.sync().await.outcome, Outcome::Complete);
    assert_eq!(stage.world.held(0), Some(stage.world.live()));
}

#[tokio::test(start_paused = true)]
async fn a_refused_reset_is_believed_once_the_old_token_was_accepted_for_the_settling_window() {
    let refused = ScriptedResponse::failed(ScriptedError::Permanent);
    let stage =
        Stage::new(
            1,
            move |call| if call == Call::Reset { refused } else { ScriptedResponse::SUCCESS },
        );
    let started = Instant::now();
    let report = stage.reset().await;
    assert_eq!(report.outcome, Outcome::Unchanged);
    assert!(started.elapsed() >= 5 * SECOND, "{:?}", started.elapsed());
    assert!(stage.record().await.contains(&Entry::NotReset));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_believed_if_the_old_token_cannot_be_probed() {
    let refused = ScriptedResponse::failed(ScriptedError::Permanent);
    let transient = ScriptedResponse::failed(ScriptedError::Transient);
    let mut is_reset = false;
    let stage = Stage::new(1, move |call| {
        is_reset |= call == Call::Reset;
        match call {
            Call::Reset => refused,
            Call::Accepts if is_reset => transient,
            _ => ScriptedResponse::SUCCESS,
        }
    });
    assert_eq!(stage.reset().await.outcome, Outcome::Unknown);
}
