//! Tests of the forecast.

use std::time::Duration;

use tokensink_core::{RateLimit, RateLimits, SharedPlace, WriteEstimate};
use tokensink_engine::{Command, Forecast, Outcome};
use tokensink_testkit::{AlwaysSucceeds, Call};

use crate::stage::Stage;

const AWAY: Duration = Duration::from_millis(50);
const SECOND: Duration = Duration::from_secs(1);

fn estimate() -> WriteEstimate {
    WriteEstimate::one_request(AWAY)
}

fn quota(writes_a_minute: u32) -> RateLimits {
    let writes = RateLimit { requests: writes_a_minute, per: Duration::from_secs(60) };
    RateLimits::concurrent("q", 100).with_writes(writes)
}

async fn forecast(stage: &Stage) -> Forecast {
    let coordinator = stage.coordinator().await;
    coordinator.plan(Command::Check).await.unwrap().forecast()
}

#[tokio::test(start_paused = true)]
async fn a_few_sinks_take_a_round_trip() {
    let forecast = forecast(&Stage::new(2, AlwaysSucceeds).estimating(estimate())).await;
    assert_eq!(forecast.whole, AWAY);
    assert_eq!(forecast.sinks, [Some(AWAY); 2]);
    assert_eq!(forecast.dominated_by.unwrap(), "writing sink: place 1");
    assert_eq!(forecast.advice, None);
}

#[tokio::test(start_paused = true)]
async fn a_write_of_two_requests_takes_two_round_trips() {
    let mut twice = estimate();
    twice.requests = 2;
    assert_eq!(forecast(&Stage::new(1, AlwaysSucceeds).estimating(twice)).await.whole, 2 * AWAY);
}

#[tokio::test(start_paused = true)]
async fn the_forecast_names_a_rate_limit_that_dominates() {
    let enough =
        forecast(&Stage::new(2, AlwaysSucceeds).estimating(estimate()).within(quota(2))).await;
    assert!(enough.dominated_by.unwrap().starts_with("writing sink: "));
    let limited =
        forecast(&Stage::new(3, AlwaysSucceeds).estimating(estimate()).within(quota(2))).await;
    assert_eq!(limited.whole, Duration::from_secs(60) + AWAY);
    assert_eq!(limited.sinks[1], Some(AWAY));
    assert_eq!(limited.dominated_by.unwrap(), "3 writes under a limit of 2 in 60 s (memory)");
}

#[tokio::test(start_paused = true)]
async fn the_forecast_uses_the_order_of_the_priorities() {
    let stage =
        Stage::new(4, AlwaysSucceeds).estimating(estimate()).within(quota(2)).rising_in_priority();
    let forecast = forecast(&stage).await;
    // The plan has them in that order already.
    let last = Some(Duration::from_secs(60) + AWAY);
    assert_eq!(forecast.sinks, [Some(AWAY), Some(AWAY), last, last]);
}

#[tokio::test(start_paused = true)]
async fn a_shared_place_is_suggested_for_many_writes() {
    let shared = estimate().with_shared_place(Some(SharedPlace {
        replaces: "repositories of acme".to_owned(),
        place: "one organization secret".to_owned(),
    }));
    let advice = async |sinks: usize, estimate: &WriteEstimate| {
        forecast(&Stage::new(sinks, AlwaysSucceeds).estimating(estimate.clone())).await.advice
    };
    assert_eq!(advice(40, &estimate()).await, None);
    assert_eq!(advice(9, &shared).await, None);
    assert_eq!(
        advice(40, &shared).await.unwrap(),
        "40 repositories of acme: one organization secret would be 1 write instead of 40"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reset_with_too_long_an_outage_is_not_sent() {
    let stage =
        Stage::new(3, AlwaysSucceeds).estimating(estimate()).within(quota(2)).allowing(30 * SECOND);
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    let abort = coordinator.ensure_can_reset(&plan).unwrap_err();
    let refused = coordinator.report_abort(Command::Reset, Some(&plan), &abort);
    let reset = coordinator.reset(plan, stage.issuer()).await;
    for report in [refused, reset] {
        assert_eq!((report.outcome, report.forecast_ms), (Outcome::Unchanged, Some(60_050)));
        assert!(report.errors[0].contains("about 60 s, longer than the 30 s allowed"));
        assert!(report.errors[0].contains("under a limit"), "{:?}", report.errors);
    }
    assert_eq!(stage.count(Call::Reset), 0);
    let stage =
        Stage::new(2, AlwaysSucceeds).estimating(estimate()).within(quota(2)).allowing(AWAY);
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);
}

#[tokio::test(start_paused = true)]
async fn the_writes_of_a_rehearsal_do_not_delay_those_of_the_reset() {
    let stage = Stage::new(2, AlwaysSucceeds).within(quota(2));
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    let plan = coordinator.rehearse(plan).await.unwrap();
    let report = coordinator.reset(plan, stage.issuer()).await;
    assert_eq!((report.outcome, report.outage_ms), (Outcome::Complete, Some(0)));
}
