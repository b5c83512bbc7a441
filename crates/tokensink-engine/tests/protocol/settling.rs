//! Tests of the verification after the reset.

use std::time::Duration;

use tokensink_core::{RateLimit, RateLimits, Token};
use tokensink_engine::{Command, Outcome, State};
use tokensink_testkit::{AlwaysSucceeds, Call, Ending, Planned, ScriptedError, ScriptedResponse};
use tokio::time::{Instant, sleep};

use crate::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);
/// The maximum number of rounds because of external writes.
const ROUNDS: usize = 5;

fn ends(ending: Ending) -> ScriptedResponse {
    ScriptedResponse { takes: Duration::ZERO, ending }
}

#[tokio::test(start_paused = true)]
async fn a_reset_whose_response_was_lost_is_observed() {
    let stage =
        Stage::new(1, Planned::default().then(Call::Reset, ends(Ending::ResponseLost(SECOND))));
    let report = stage.reset().await;
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Complete, 1));
    assert_eq!(stage.world.held(0), Some(stage.world.live()));
}

#[tokio::test(start_paused = true)]
async fn a_reset_without_a_response_is_observed_before_its_timeout() {
    let lands = ends(Ending::Hangs(Some(2 * SECOND)));
    let stage = Stage::new(1, Planned::default().then(Call::Reset, lands));
    let started = Instant::now();
    let report = stage.reset().await;
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Complete, 1));
    // The time limit of the response is 15 seconds.
    let written_at = stage.world.history(0).last().unwrap().at;
    assert!(written_at - started < 4 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_unsent_reset_is_sent_again() {
    let unsent = ScriptedResponse::failed(ScriptedError::NotSent);
    let twice = Planned::default().then(Call::Reset, unsent).then(Call::Reset, unsent);
    let stage = Stage::new(1, twice);
    let report = stage.reset().await;
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Complete, 3));

    let stage = Stage::new(
        1,
        move |call| if call == Call::Reset { unsent } else { ScriptedResponse::SUCCESS },
    );
    let report = stage.reset().await;
    assert_eq!(report.outcome, Outcome::Unchanged);
    assert!(stage.count(Call::Reset) <= 6);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_another_program_overwrote_is_written_again() {
    let stage = Stage::new(1, Planned::default().then(Call::Inspect(0), ScriptedResponse::SUCCESS));
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    // The inspection takes two seconds and shows the state at its middle.
    stage
        .world
        .set_script(Planned::default().then(Call::Inspect(0), ScriptedResponse::slow(2 * SECOND)));
    let stranger = async {
        sleep(SECOND / 2).await;
        stage.world.store_externally(0, Some(Token::new("theirs")));
    };
    let (report, ()) = tokio::join!(coordinator.reset(plan, stage.issuer()), stranger);
    assert_eq!(report.outcome, Outcome::Complete);
    assert_eq!((report.sinks[0].attempts, stage.count(Call::Write(0))), (2, 2));
    assert_eq!(stage.world.held(0), Some(stage.world.live()));
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_although_another_program_keeps_writing() {
    let stage = Stage::new(1, |call| match call {
        Call::Inspect(0) => ScriptedResponse::slow(SECOND),
        _ => ScriptedResponse::SUCCESS,
    });
    let world = stage.world.clone();
    let stranger = tokio::spawn(async move {
        loop {
            sleep(SECOND / 10).await;
            world.store_externally(0, Some(Token::new("theirs")));
        }
    });
    let report = stage.reset().await;
    stranger.abort();
    assert_eq!((report.outcome, report.sinks[0].state), (Outcome::Partial, State::Stale));
    assert_eq!(stage.count(Call::Write(0)), 1 + ROUNDS);
}

#[tokio::test(start_paused = true)]
async fn an_external_reset_is_noticed_while_writes_wait_for_the_rate_limit() {
    let writes = RateLimit { requests: 1, per: 60 * SECOND };
    let quota = RateLimits::concurrent("q", 9).with_writes(writes);
    let stage = Stage::new(3, AlwaysSucceeds).within(quota);
    let report = stage.reset_overtaken_after(5 * SECOND).await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.errors);
    assert!(report.warnings[0].contains("another program reset"), "{:?}", report.warnings);
    for (sink, writes) in [(0, 2), (1, 1), (2, 1)] {
        assert_eq!(stage.world.held(sink), Some(stage.world.live()));
        assert_eq!(stage.count(Call::Write(sink)), writes, "sink {sink}");
        // Once for the plan and once at the end, because the newer token was noticed during the writes.
        assert_eq!(stage.count(Call::Inspect(sink)), 2, "sink {sink}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unacknowledged_write_of_a_superseded_token_makes_the_state_unknown() {
    // The first write hangs and takes effect after the write of the newer token was acknowledged.
    let lands_late = ends(Ending::Hangs(Some(20 * SECOND)));
    let stage = Stage::new(1, Planned::default().then(Call::Write(0), lands_late));
    let report = stage.reset_overtaken_after(SECOND).await;
    assert_eq!((report.outcome, report.sinks[0].state), (Outcome::Partial, State::Unknown));
    assert!(report.sinks[0].evidence.contains("token before"), "{:?}", report.sinks[0]);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_failed_before_its_token_was_superseded_makes_the_state_unknown() {
    let lost = ends(Ending::ResponseLost(20 * SECOND));
    let denied = ScriptedResponse::failed(ScriptedError::Permanent);
    let mut writes = [lost, denied].into_iter();
    let mut is_reset = false;
    let stage = Stage::new(1, move |call| {
        is_reset |= call == Call::Reset;
        match call {
            Call::Write(0) => writes.next().unwrap_or(ScriptedResponse::SUCCESS),
            // It shows the state at its middle, and the external reset happens before that.
            Call::Current if is_reset => ScriptedResponse::slow(4 * SECOND),
            _ => ScriptedResponse::SUCCESS,
        }
    });
    let report = stage.reset_overtaken_after(SECOND).await;
    assert_eq!(stage.world.held(0), Some(stage.world.live()));
    assert_eq!((report.outcome, report.sinks[0].state), (Outcome::Partial, State::Unknown));
    assert!(report.sinks[0].evidence.contains("token before"), "{:?}", report.sinks[0]);
}

#[tokio::test(start_paused = true)]
async fn a_sync_waits_for_the_unacknowledged_reset_of_an_earlier_run() {
    // The time limit of the response is 15 seconds, and the settling window is 5 seconds.
    let lands_late = ends(Ending::Hangs(Some(22 * SECOND)));
    let stage = Stage::new(1, Planned::default().then(Call::Reset, lands_late));
    assert_eq!(stage.reset().await.outcome, Outcome::Unknown);
    let before = stage.world.live();
    assert_eq!(stage.sync().await.outcome, Outcome::Complete);
    assert_ne!(stage.world.live(), before);
    assert_eq!(stage.world.held(0), Some(stage.world.live()));
}

#[tokio::test(start_paused = true)]
async fn a_run_ends_although_another_program_keeps_resetting() {
    let mut is_reset = false;
    let stage = Stage::new(1, move |call| {
        is_reset |= call == Call::Reset;
        // It shows the state at its middle, and the external reset happens before that.
        if is_reset && call == Call::Current {
            ScriptedResponse::slow(SECOND)
        } else {
            ScriptedResponse::SUCCESS
        }
    });
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    let world = stage.world.clone();
    let stranger = tokio::spawn(async move {
        sleep(SECOND / 4).await;
        loop {
            world.reset_externally();
            sleep(SECOND).await;
        }
    });
    let report = coordinator.reset(plan, stage.issuer()).await;
    stranger.abort();
    assert_eq!(report.outcome, Outcome::Unknown);
    assert!(report.errors[0].contains("keeps resetting the token"), "{:?}", report.errors);
    assert_eq!((stage.count(Call::Reset), stage.count(Call::Write(0))), (1, 1 + ROUNDS));
}

#[tokio::test(start_paused = true)]
async fn a_response_with_the_old_token_is_an_unknown_outcome() {
    let late = ends(Ending::SucceededWithStaleValue(SECOND));
    let stage = Stage::new(1, Planned::default().then(Call::Reset, late));
    let report = stage.reset().await;
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Complete, 1));
    assert_eq!(report.warnings, [""; 0]);
    let written: Vec<_> = stage.world.history(0).into_iter().skip(1).map(|one| one.value).collect();
    assert_eq!(written, [Some(stage.world.live())], "the revoked token is not written again");
}

#[tokio::test(start_paused = true)]
async fn each_sink_is_reported_with_its_attempts_and_outage() {
    let denied = ScriptedResponse::failed(ScriptedError::Permanent);
    let slow = ScriptedResponse::slow(SECOND);
    let responses = move |call| match call {
        Call::Write(0) => slow,
        Call::Write(1) => denied,
        _ => ScriptedResponse::SUCCESS,
    };
    let report = Stage::new(2, responses).reset().await;
    let (current, stale) = (&report.sinks[0], &report.sinks[1]);
    assert_eq!((current.outage_ms, current.attempts, &current.error), (Some(1000), 1, &None));
    assert_eq!(stale.outage_ms, None);
    assert!(stale.attempts > 1);
    assert!(stale.error.as_ref().unwrap().contains("as scripted"));
    assert!(report.errors[0].starts_with("stale: sink (place 1): "), "{:?}", report.errors);
    assert!(report.next[0].contains("tokensink sync"));
    assert_eq!(report.outage_ms, Some(1000));
}
