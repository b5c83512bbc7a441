//! From the reset until everything agrees.

use std::time::Duration;

use tokensink_core::{RateLimit, RateLimits, Token};
use tokensink_engine::{Command, Outcome, State};
use tokensink_testkit::{AlwaysSucceeds, Call, Ending, Planned, ScriptedError, ScriptedResponse};
use tokio::time::{Instant, sleep};

use crate::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);
/// How often the coordinator writes again after somebody else.
const ROUNDS: usize = 5;

fn ends(ending: Ending) -> ScriptedResponse {
    ScriptedResponse { takes: Duration::ZERO, ending }
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_lands_after_its_answer_was_lost_is_seen() {
    let stage =
        Stage::new(1, Planned::default().then(Call::Reset, ends(Ending::ResponseLost(SECOND))));
    let report = stage.reset().await;
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Complete, 1));
    assert_eq!(stage.world.held(0), Some(stage.world.live()));
}

#[tokio::test(start_paused = true)]
async fn a_reset_that_never_answers_is_seen_while_it_is_waited_for() {
    let lands = ends(Ending::Hangs(Some(2 * SECOND)));
    let stage = Stage::new(1, Planned::default().then(Call::Reset, lands));
    let started = Instant::now();
    let report = stage.reset().await;
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Complete, 1));
    // The answer itself would be waited for 15 seconds.
    let written_at = stage.world.history(0).last().unwrap().at;
    assert!(written_at - started < 4 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_certainly_never_left_is_sent_again() {
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
async fn what_someone_else_wrote_over_ours_is_written_again() {
    let stage = Stage::new(1, Planned::default().then(Call::Inspect(0), ScriptedResponse::SUCCESS));
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    // The look takes two seconds, and tells what was true in their middle.
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
async fn someone_who_writes_without_end_does_not_keep_the_run_from_ending() {
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
async fn a_reset_of_somebody_else_is_noticed_while_others_still_wait_for_their_turn() {
    let writes = RateLimit { requests: 1, per: 60 * SECOND };
    let quota = RateLimits::concurrent("q", 9).with_writes(writes);
    let stage = Stage::new(3, AlwaysSucceeds).within(quota);
    let report = stage.reset_overtaken_after(5 * SECOND).await;
    assert_eq!(report.outcome, Outcome::Complete, "{:?}", report.errors);
    assert!(report.warnings[0].contains("someone else reset"), "{:?}", report.warnings);
    for (sink, writes) in [(0, 2), (1, 1), (2, 1)] {
        assert_eq!(stage.world.held(sink), Some(stage.world.live()));
        assert_eq!(stage.count(Call::Write(sink)), writes, "sink {sink}");
        // Once for the plan and once at the end: the newer token did not have to be missed first.
        assert_eq!(stage.count(Call::Inspect(sink)), 2, "sink {sink}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_of_a_superseded_token_that_may_still_land_is_not_forgotten() {
    // The first write hangs, and lands after the second one, of the newer token, was acknowledged.
    let lands_late = ends(Ending::Hangs(Some(20 * SECOND)));
    let stage = Stage::new(1, Planned::default().then(Call::Write(0), lands_late));
    let report = stage.reset_overtaken_after(SECOND).await;
    assert_eq!((report.outcome, report.sinks[0].state), (Outcome::Partial, State::Unknown));
    assert!(report.sinks[0].evidence.contains("token before"), "{:?}", report.sinks[0]);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_given_up_before_its_token_was_superseded_is_not_forgotten() {
    let lost = ends(Ending::ResponseLost(20 * SECOND));
    let denied = ScriptedResponse::failed(ScriptedError::Permanent);
    let mut writes = [lost, denied].into_iter();
    let mut is_reset = false;
    let stage = Stage::new(1, move |call| {
        is_reset |= call == Call::Reset;
        match call {
            Call::Write(0) => writes.next().unwrap_or(ScriptedResponse::SUCCESS),
            // What it tells is true in the middle, and the stranger comes before that.
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
async fn a_reset_that_was_in_flight_when_its_run_ended_is_waited_for_by_the_next() {
    // Its answer is waited for 15 seconds, and a move of the token for another 5.
    let lands_late = ends(Ending::Hangs(Some(22 * SECOND)));
    let stage = Stage::new(1, Planned::default().then(Call::Reset, lands_late));
    assert_eq!(stage.reset().await.outcome, Outcome::Unknown);
    let before = stage.world.live();
    assert_eq!(stage.sync().await.outcome, Outcome::Complete);
    assert_ne!(stage.world.live(), before);
    assert_eq!(stage.world.held(0), Some(stage.world.live()));
}

#[tokio::test(start_paused = true)]
async fn someone_who_resets_without_end_does_not_keep_the_run_from_ending() {
    let mut is_reset = false;
    let stage = Stage::new(1, move |call| {
        is_reset |= call == Call::Reset;
        // What it tells is true in the middle, and the stranger comes before that.
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
    assert!(report.errors[0].contains("keeps being reset"), "{:?}", report.errors);
    assert_eq!((stage.count(Call::Reset), stage.count(Call::Write(0))), (1, 1 + ROUNDS));
}

#[tokio::test(start_paused = true)]
async fn a_reset_whose_answer_carries_the_old_token_is_looked_after() {
    let late = ends(Ending::SucceededWithStaleValue(SECOND));
    let stage = Stage::new(1, Planned::default().then(Call::Reset, late));
    let report = stage.reset().await;
    assert_eq!((report.outcome, stage.count(Call::Reset)), (Outcome::Complete, 1));
    assert_eq!(report.warnings, [""; 0]);
    let written: Vec<_> = stage.world.history(0).into_iter().skip(1).map(|one| one.value).collect();
    assert_eq!(written, [Some(stage.world.live())], "the dead token is not written again");
}

#[tokio::test(start_paused = true)]
async fn each_sink_is_reported_with_what_it_took() {
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
