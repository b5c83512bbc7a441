//! Tests of retries.

use std::time::Duration;

use tokensink_core::Token;
use tokensink_engine::{Outcome, Report, State};
use tokensink_testkit::{Call, Ending, Planned, ScriptedError, ScriptedResponse};
use tokio::time::Instant;

use crate::stage::Stage;

const TRANSIENT: ScriptedResponse = ScriptedResponse::failed(ScriptedError::Transient);

#[tokio::test(start_paused = true)]
async fn a_request_to_the_issuer_is_retried_after_transient_errors() {
    let three_times =
        (0..3).fold(Planned::default(), |plan, _| plan.then(Call::Current, TRANSIENT));
    let stage = Stage::new(1, three_times);
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);

    let stage =
        Stage::new(
            1,
            |call| if call == Call::Current { TRANSIENT } else { ScriptedResponse::SUCCESS },
        );
    let started = Instant::now();
    let report = stage.reset().await;
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Unchanged, 0));
    let patience = started.elapsed().as_secs();
    assert!((13..=16).contains(&patience), "{patience} s");
    assert!(stage.count(Call::Current) > 10);
}

#[tokio::test(start_paused = true)]
async fn a_request_to_the_issuer_is_not_retried_after_permanent_errors() {
    for fault in [ScriptedError::Permanent, ScriptedError::RateLimited(Duration::from_secs(3600))] {
        let stage =
            Stage::new(1, Planned::default().then(Call::Current, ScriptedResponse::failed(fault)));
        let report = stage.reset().await;
        assert_eq!(report.outcome, Outcome::Unchanged);
        assert!(report.errors[0].contains("as scripted"), "{:?}", report.errors);
        assert_eq!((stage.count(Call::Current), stage.count(Call::Reset)), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn only_an_unacknowledged_write_makes_the_state_unknown() {
    let denied = ScriptedResponse::failed(ScriptedError::Permanent);
    let stage =
        Stage::new(
            1,
            move |call| if call == Call::Write(0) { denied } else { ScriptedResponse::SUCCESS },
        );
    let report = stage.reset().await;
    assert_eq!((report.outcome, report.sinks[0].state), (Outcome::Partial, State::Stale));

    // The response is lost each time, and no write takes effect during the run.
    let never = Ending::ResponseLost(Duration::from_secs(9999));
    let lost = ScriptedResponse { takes: Duration::ZERO, ending: never };
    let stage =
        Stage::new(
            1,
            move |call| if call == Call::Write(0) { lost } else { ScriptedResponse::SUCCESS },
        );
    let report = stage.reset().await;
    assert_eq!((report.outcome, report.sinks[0].state), (Outcome::Partial, State::Unknown));
    assert!(report.sinks[0].attempts >= 6);

    // After a conflict the sink could not be prepared again. A refused write cannot take effect.
    let mut prepared = 0;
    let fails_later = move |call| match call {
        Call::Write(0) => ScriptedResponse::failed(ScriptedError::Conflict),
        Call::Prepare(0) => {
            prepared += 1;
            if prepared == 1 { ScriptedResponse::SUCCESS } else { TRANSIENT }
        }
        _ => ScriptedResponse::SUCCESS,
    };
    let report = Stage::new(1, fails_later).reset().await;
    assert_eq!((report.outcome, report.sinks[0].state), (Outcome::Partial, State::Stale));
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_prepared_and_written_again_after_a_conflict() {
    let conflict = ScriptedResponse::failed(ScriptedError::Conflict);
    let stage = Stage::new(1, Planned::default().then(Call::Write(0), conflict));
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);
    assert_eq!((stage.count(Call::Prepare(0)), stage.count(Call::Write(0))), (2, 2));

    let stage = Stage::new(1, Planned::default().then(Call::Write(0), TRANSIENT));
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);
    assert_eq!((stage.count(Call::Prepare(0)), stage.count(Call::Write(0))), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_written_again_after_a_conflict_in_an_inspection() {
    let seen_later = Planned::default()
        .then(Call::Inspect(0), ScriptedResponse::SUCCESS)
        .then(Call::Inspect(0), ScriptedResponse::failed(ScriptedError::Conflict));
    let stage = Stage::new(1, seen_later);
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);
    assert_eq!(stage.count(Call::Write(0)), 2);

    let fails_once = Planned::default()
        .then(Call::Inspect(0), ScriptedResponse::SUCCESS)
        .then(Call::Inspect(0), TRANSIENT);
    let stage = Stage::new(1, fails_once);
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);
    assert_eq!(stage.count(Call::Write(0)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_preparation_is_retried_after_a_transient_error() {
    let stage = Stage::new(1, Planned::default().then(Call::Prepare(0), TRANSIENT));
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);
    assert_eq!(stage.count(Call::Prepare(0)), 2);

    let denied = ScriptedResponse::failed(ScriptedError::Permanent);
    let stage = Stage::new(1, Planned::default().then(Call::Prepare(0), denied));
    let report = stage.reset().await;
    assert_eq!((report.outcome, stage.count(Call::Prepare(0))), (Outcome::Unchanged, 1));
    assert_eq!(stage.count(Call::Reset), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failing_sink_is_retried_until_its_deadline() {
    let stage =
        Stage::new(
            1,
            |call| if call == Call::Write(0) { TRANSIENT } else { ScriptedResponse::SUCCESS },
        );
    let started = Instant::now();
    assert_eq!(stage.reset().await.outcome, Outcome::Partial);
    let calls = stage.world.calls();
    let last = calls.iter().rfind(|called| called.call == Call::Write(0)).unwrap();
    let took = last.at - started;
    assert!((50.0..60.0).contains(&took.as_secs_f64()), "{took:?}");

    let conflict = ScriptedResponse::failed(ScriptedError::Conflict);
    let stage =
        Stage::new(
            1,
            move |call| if call == Call::Write(0) { conflict } else { ScriptedResponse::SUCCESS },
        );
    let started = Instant::now();
    assert_eq!(stage.reset().await.outcome, Outcome::Partial);
    let calls = stage.world.calls();
    let last = calls.iter().rfind(|called| called.call == Call::Write(0)).unwrap();
    let took = last.at - started;
    assert!((50.0..60.0).contains(&took.as_secs_f64()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_requested_pause_does_not_count_towards_the_deadline() {
    let pause = ScriptedResponse::failed(ScriptedError::RateLimited(Duration::from_secs(70)));
    let fails_then = (0..3).fold(Planned::default().then(Call::Write(0), pause), |plan, _| {
        plan.then(Call::Write(0), TRANSIENT)
    });
    let report = Stage::new(1, fails_then).reset().await;
    assert_eq!((report.outcome, report.sinks[0].attempts), (Outcome::Complete, 5));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_cannot_be_prepared_is_not_written() {
    let fails = |call| if call == Call::Prepare(0) { TRANSIENT } else { ScriptedResponse::SUCCESS };
    let stage = Stage::new(1, fails).optional();
    stage.world.store_externally(0, Some(Token::new("theirs")));
    let report = stage.sync().await;
    assert_eq!((report.sinks[0].state, report.sinks[0].attempts), (State::Stale, 0));
}

/// Returns the number of calls of one kind in 15 seconds.
async fn calls_in_15_seconds(
    stage: &Stage,
    call: Call,
    work: impl Future<Output = Report> + Send,
) -> usize {
    let _ = tokio::time::timeout(Duration::from_secs(15), work).await;
    stage.count(call)
}

#[tokio::test(start_paused = true)]
async fn every_retry_has_a_minimum_pause() {
    let at_once = ScriptedResponse::failed(ScriptedError::RateLimited(Duration::ZERO));
    for response in [at_once, TRANSIENT] {
        let stage = || {
            let mut is_planned = false;
            move |call: Call| {
                is_planned |= call == Call::Reset;
                let after_reset = matches!(call, Call::Write(0)) && is_planned;
                if after_reset { response } else { ScriptedResponse::SUCCESS }
            }
        };
        let always = |asked: Call| {
            move |call: Call| if call == asked { response } else { ScriptedResponse::SUCCESS }
        };
        for (call, most) in [
            (Call::Current, 40),
            (Call::Accepts, 40),
            (Call::Prepare(0), 40),
            (Call::Inspect(0), 40),
            (Call::Prove(0), 40),
        ] {
            let stage = Stage::new(1, always(call));
            let counted = calls_in_15_seconds(&stage, call, stage.reset()).await;
            assert!((2..=most).contains(&counted), "{call:?}: {counted}");
        }
        let stage = Stage::new(1, stage());
        let counted = calls_in_15_seconds(&stage, Call::Write(0), stage.reset()).await;
        assert!((2..=40).contains(&counted), "writes: {counted}");
    }
}

#[tokio::test(start_paused = true)]
async fn errors_are_retried_after_the_old_token_was_revoked() {
    for fault in [ScriptedError::Permanent, ScriptedError::Conflict] {
        let fails = (0..3).fold(Planned::default(), |plan, _| {
            plan.then(Call::Write(0), ScriptedResponse::failed(fault))
        });
        let report = Stage::new(1, fails).reset().await;
        assert_eq!((report.outcome, report.sinks[0].attempts), (Outcome::Complete, 4));
    }
    // Before a token is revoked, the error is reported at once.
    let denied =
        Planned::default().then(Call::Write(0), ScriptedResponse::failed(ScriptedError::Permanent));
    let stage = Stage::new(1, denied);
    stage.world.store_externally(0, Some(Token::new("theirs")));
    let report = stage.sync().await;
    assert_eq!((report.outcome, report.sinks[0].attempts), (Outcome::Partial, 1));
    // The earlier run is unfinished, so the token in the sink may be revoked.
    let denied =
        Planned::default().then(Call::Write(0), ScriptedResponse::failed(ScriptedError::Permanent));
    stage.world.set_script(denied);
    let report = stage.sync().await;
    assert_eq!((report.outcome, report.sinks[0].attempts), (Outcome::Complete, 2));
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_prepared_and_inspected_within_one_deadline() {
    let stage = Stage::new(1, |call| match call {
        Call::Prepare(_) | Call::Inspect(_) => TRANSIENT,
        _ => ScriptedResponse::SUCCESS,
    });
    let started = Instant::now();
    assert_eq!(stage.check().await.outcome, Outcome::Unchanged);
    assert!(started.elapsed() <= Duration::from_secs(64), "{:?}", started.elapsed());
}
