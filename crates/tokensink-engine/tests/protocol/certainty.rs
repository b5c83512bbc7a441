//! Tests of the outcome if the issuer, QStash and the sinks do not agree.

use std::time::Duration;

use tokensink_engine::journal::{Entry, Journal as _, Record};
use tokensink_engine::{Command, Outcome, Report, State};
use tokensink_testkit::{
    AlwaysSucceeds, Call, Ending, Planned, Script, ScriptedError, ScriptedResponse,
};
use tokio::time::sleep;

use crate::stage::Stage;

const TRANSIENT: ScriptedResponse = ScriptedResponse::failed(ScriptedError::Transient);
const AWHILE: Duration = Duration::from_millis(250);
const LAGGING: ScriptedResponse = ScriptedResponse {
    takes: Duration::ZERO,
    ending: Ending::SucceededWithStaleValue(Duration::from_secs(3600)),
};

/// Resets with `script` after the plan.
async fn reset_with(script: impl Script + 'static) -> Report {
    let stage = Stage::new(1, AlwaysSucceeds);
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    stage.world.set_script(script);
    coordinator.reset(plan, stage.issuer()).await
}

/// Returns a stage on which a reset was interrupted and may still take effect.
async fn in_doubt() -> Stage {
    let hangs = ScriptedResponse { takes: Duration::ZERO, ending: Ending::Hangs(None) };
    let stage = Stage::new(1, Planned::default().then(Call::Reset, hangs));
    assert_eq!(stage.reset().await.outcome, Outcome::Unknown);
    stage
}

fn if_asked(asked: Call, response: ScriptedResponse) -> impl Script {
    move |call| if call == asked { response } else { ScriptedResponse::SUCCESS }
}

#[tokio::test(start_paused = true)]
async fn an_old_token_that_is_still_accepted_is_reported() {
    let stage = Stage::new(1, AlwaysSucceeds);
    stage.world.accept_old_tokens();
    let report = stage.reset().await;
    assert_eq!(report.outcome, Outcome::Partial);
    assert_eq!(report.errors, ["QStash still accepts the old token"]);
    assert!(report.next.len() == 1 && report.next[0].contains("leaked"), "{:?}", report.next);
    assert_eq!(stage.world.held(0), Some(stage.world.live()));
}

#[tokio::test(start_paused = true)]
async fn a_lagging_source_is_a_warning() {
    let report = reset_with(if_asked(Call::Current, LAGGING)).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!(report.warnings, ["Upstash still shows the old token"]);
}

#[tokio::test(start_paused = true)]
async fn a_lagging_source_is_not_believed_after_an_unacknowledged_reset() {
    let lost =
        ScriptedResponse { takes: Duration::ZERO, ending: Ending::ResponseLost(Duration::ZERO) };
    let mut is_written = false;
    let report = reset_with(move |call| {
        is_written |= call == Call::Write(0);
        match call {
            Call::Reset => lost,
            Call::Current if is_written => LAGGING,
            _ => ScriptedResponse::SUCCESS,
        }
    })
    .await;
    assert_eq!(report.outcome, Outcome::Unknown);
    assert!(report.errors[0].contains("still shows the old token"), "{:?}", report.errors);
    assert!(report.next[0].contains("tokensink sync"), "{:?}", report.next);
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_qstash_is_a_warning() {
    let report = reset_with(if_asked(Call::Accepts, TRANSIENT)).await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert!(
        report.warnings[0].contains("could not check whether QStash accepts"),
        "{:?}",
        report.warnings
    );
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_qstash_makes_the_outcome_unknown_after_an_unacknowledged_reset() {
    let stage = in_doubt().await;
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Sync).await.unwrap();
    stage.world.set_script(if_asked(Call::Accepts, TRANSIENT));
    let report = coordinator.sync(plan).await;
    assert_eq!(report.outcome, Outcome::Unknown);
    assert!(report.errors[0].contains("as scripted"), "{:?}", report.errors);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_token_is_a_warning_or_makes_the_outcome_unknown() {
    let report = reset_with({
        let mut is_reset = false;
        move |call| {
            is_reset |= call == Call::Reset;
            if is_reset && call == Call::Current { TRANSIENT } else { ScriptedResponse::SUCCESS }
        }
    })
    .await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert!(report.warnings[0].contains("could not be read again"), "{:?}", report.warnings);

    let stage = in_doubt().await;
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Sync).await.unwrap();
    stage.world.set_script(if_asked(Call::Current, TRANSIENT));
    let report = coordinator.sync(plan).await;
    assert_eq!(report.outcome, Outcome::Unknown);
    assert!(report.errors[0].contains("could not be read again"), "{:?}", report.errors);
}

#[tokio::test(start_paused = true)]
async fn only_a_complete_run_is_recorded_as_settled() {
    for (script, settled) in
        [(ScriptedResponse::SUCCESS, 1), (ScriptedResponse::failed(ScriptedError::Permanent), 0)]
    {
        let stage = Stage::new(1, if_asked(Call::Write(0), script));
        stage.reset().await;
        let runs = stage.journal.runs().await.unwrap();
        let is_settled = |record: &&Record| matches!(record.entry, Entry::Settled { .. });
        assert_eq!(runs[0].records.iter().filter(is_settled).count(), settled);
    }
}

#[tokio::test(start_paused = true)]
async fn no_sink_is_current_if_the_live_token_is_not_known() {
    let mut is_written = false;
    let report = reset_with(move |call| {
        is_written |= call == Call::Write(0);
        if is_written && call == Call::Accepts { LAGGING } else { ScriptedResponse::SUCCESS }
    })
    .await;
    assert_eq!((report.outcome, report.outage_ms), (Outcome::Unknown, None));
    assert_eq!(report.sinks[0].state, State::Unknown, "{:?}", report.sinks[0]);
    assert!(report.sinks[0].evidence.contains("not known whether that token is live"));
}

#[tokio::test(start_paused = true)]
async fn an_old_token_that_cannot_be_probed_is_a_warning() {
    let mut asked = 0;
    let report = reset_with(move |call| {
        // The new and the old token are probed concurrently, in this order.
        asked += usize::from(call == Call::Accepts);
        if call == Call::Accepts && asked % 2 == 0 { TRANSIENT } else { ScriptedResponse::SUCCESS }
    })
    .await;
    assert_eq!(report.outcome, Outcome::Complete);
    assert!(
        report.warnings[0].contains("whether the old token is revoked"),
        "{:?}",
        report.warnings
    );
}

/// Resets with this error, while an external reset happens before the response.
async fn reset_overtaken(fault: ScriptedError) -> (Report, Stage) {
    let fails = ScriptedResponse { takes: 2 * AWHILE, ending: Ending::Failed(fault) };
    let stage = Stage::new(1, if_asked(Call::Reset, fails));
    (stage.reset_overtaken_after(AWHILE).await, stage)
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_believed_if_the_token_has_changed() {
    // A proxy may respond with a refusal after it has forwarded the request.
    let (report, stage) = reset_overtaken(ScriptedError::Permanent).await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.errors);
    assert_eq!(stage.world.held(0), Some(stage.world.live()));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_believed_if_upstash_shows_another_token() {
    let fails =
        ScriptedResponse { takes: 2 * AWHILE, ending: Ending::Failed(ScriptedError::Permanent) };
    let stage = Stage::new(1, if_asked(Call::Reset, fails));
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    stage.world.set_script(move |call| match call {
        Call::Reset => fails,
        Call::Accepts => TRANSIENT,
        _ => ScriptedResponse::SUCCESS,
    });
    let moved = async {
        sleep(AWHILE).await;
        stage.world.reset_externally();
    };
    let (report, ()) = tokio::join!(coordinator.reset(plan, stage.issuer()), moved);
    assert_eq!((report.outcome, report.sinks[0].state), (Outcome::Unknown, State::Unknown));
    assert!(!stage.record().await.contains(&Entry::NotReset));
    assert_eq!(stage.reset().await.outcome, Outcome::Unchanged, "`sync` must come first");
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_token_makes_the_outcome_unknown_also_if_the_old_one_is_accepted() {
    let lost =
        ScriptedResponse { takes: Duration::ZERO, ending: Ending::ResponseLost(Duration::ZERO) };
    let stage = Stage::new(1, AlwaysSucceeds);
    stage.world.accept_old_tokens();
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    let mut is_written = false;
    stage.world.set_script(move |call| {
        is_written |= call == Call::Write(0);
        match call {
            Call::Reset => lost,
            Call::Current if is_written => TRANSIENT,
            _ => ScriptedResponse::SUCCESS,
        }
    });
    let report = coordinator.reset(plan, stage.issuer()).await;
    assert_eq!((report.outcome, report.sinks[0].state), (Outcome::Unknown, State::Unknown));
    assert!(!stage.record().await.iter().any(is_confirmed));
}

#[tokio::test(start_paused = true)]
async fn an_unsent_reset_is_not_sent_again_after_an_external_reset() {
    let (report, stage) = reset_overtaken(ScriptedError::NotSent).await;
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Unchanged, 1));
    assert!(report.errors[0].contains("another program reset"), "{:?}", report.errors);
}

#[tokio::test(start_paused = true)]
async fn the_report_on_an_unknown_reset_contains_the_last_observation() {
    let lost = ScriptedResponse {
        takes: Duration::ZERO,
        ending: Ending::ResponseLost(Duration::from_secs(60)),
    };
    for (after, response, words) in [
        (Call::Current, ScriptedResponse::SUCCESS, "still shows the old token"),
        (Call::Current, TRANSIENT, "could not be read"),
    ] {
        let mut is_reset = false;
        let report = reset_with(move |call| {
            let was_reset = is_reset;
            is_reset |= call == Call::Reset;
            match call {
                Call::Reset => lost,
                call if was_reset && call == after => response,
                _ => ScriptedResponse::SUCCESS,
            }
        })
        .await;
        assert_eq!(report.outcome, Outcome::Unknown);
        assert!(report.errors[0].contains(words), "{:?}", report.errors);
    }
}

fn is_confirmed(entry: &Entry) -> bool {
    matches!(entry, Entry::ResetConfirmed { .. })
}

#[tokio::test(start_paused = true)]
async fn only_a_reset_is_recorded_as_confirmed_and_only_once() {
    let stage = Stage::new(1, AlwaysSucceeds);
    stage.reset().await;
    assert_eq!(stage.record().await.iter().filter(|entry| is_confirmed(entry)).count(), 1);
    let stage = in_doubt().await;
    assert_eq!(stage.sync().await.outcome, Outcome::Complete);
    assert!(!stage.record().await.iter().any(is_confirmed));
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_was_only_observed_is_confirmed_after_the_settling_window() {
    let lost =
        ScriptedResponse { takes: Duration::ZERO, ending: Ending::ResponseLost(Duration::ZERO) };
    let stage = Stage::new(1, Planned::default().then(Call::Reset, lost));
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);
    let record = stage.record().await;
    let written = record.iter().position(|entry| matches!(entry, Entry::Written { .. }));
    assert!(record.iter().position(is_confirmed) > written, "{record:?}");

    let mut is_written = false;
    let stage = Stage::new(1, move |call| {
        is_written |= call == Call::Write(0);
        match call {
            Call::Reset => lost,
            Call::Current if is_written => LAGGING,
            _ => ScriptedResponse::SUCCESS,
        }
    });
    assert_eq!(stage.reset().await.outcome, Outcome::Unknown);
    assert!(!stage.record().await.iter().any(is_confirmed));
}

#[tokio::test(start_paused = true)]
async fn a_lagging_source_after_a_crash_is_read_again() {
    let stage = Stage::new(1, AlwaysSucceeds);
    stage.world.reset_externally();
    let lagging = ScriptedResponse {
        takes: Duration::ZERO,
        ending: Ending::SucceededWithStaleValue(Duration::from_secs(3)),
    };
    stage.world.set_script(if_asked(Call::Current, lagging));
    let report = stage.sync().await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.errors);
    assert_eq!(stage.world.held(0), Some(stage.world.live()));
}
