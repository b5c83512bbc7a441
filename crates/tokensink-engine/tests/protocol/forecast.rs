//! What is said about the outage before there is one.

use std::time::Duration;

use tokensink_core::{Quota, WriteCost};
use tokensink_engine::{Command, Forecast, Outcome};
use tokensink_testkit::Calm;

use crate::stage::Stage;

const AWAY: Duration = Duration::from_millis(50);
const COST: WriteCost = WriteCost { round_trip: AWAY, requests: 1 };

fn quota(writes_per_minute: u32) -> Quota {
    Quota { key: "q".to_owned(), concurrent: 100, writes_per_minute: Some(writes_per_minute) }
}

async fn forecast(stage: &Stage) -> Forecast {
    let coordinator = stage.coordinator().await;
    coordinator.plan(Command::Check).await.unwrap().forecast()
}

#[tokio::test(start_paused = true)]
async fn a_few_sinks_take_a_round_trip() {
    let forecast = forecast(&Stage::new(2, Calm).costing(COST)).await;
    assert_eq!(forecast.whole, AWAY);
    assert_eq!(forecast.sinks, [Some(AWAY); 2]);
    assert_eq!(forecast.dominated_by.unwrap(), "the round trip to sink (place 1)");
    assert_eq!(forecast.advice, None);
}

#[tokio::test(start_paused = true)]
async fn a_write_of_two_requests_takes_two_round_trips() {
    let twice = WriteCost { requests: 2, ..COST };
    assert_eq!(forecast(&Stage::new(1, Calm).costing(twice)).await.whole, 2 * AWAY);
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_named_where_it_decides() {
    let enough = forecast(&Stage::new(2, Calm).costing(COST).within(quota(2))).await;
    assert!(enough.dominated_by.unwrap().starts_with("the round trip"));
    let limited = forecast(&Stage::new(3, Calm).costing(COST).within(quota(2))).await;
    assert_eq!(limited.whole, Duration::from_secs(60) + AWAY);
    assert_eq!(limited.sinks[1], Some(AWAY));
    assert_eq!(limited.dominated_by.unwrap(), "3 writes under a limit of 2 a minute (memory)");
}

#[tokio::test(start_paused = true)]
async fn many_writes_of_one_table_get_advice() {
    assert_eq!(forecast(&Stage::new(9, Calm).costing(COST)).await.advice, None);
    let advice = forecast(&Stage::new(10, Calm).costing(COST)).await.advice.unwrap();
    assert!(advice.contains("[sinks.sink] takes 10 writes"), "{advice}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_is_too_long_is_refused_with_its_reason() {
    let stage = Stage::new(3, Calm).costing(COST).within(quota(2));
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    let report = coordinator.refuse_outage(&plan, Duration::from_secs(30));
    assert_eq!((report.outcome, report.forecast_ms), (Outcome::Unchanged, Some(60_050)));
    assert!(report.errors[0].contains("60.05s") && report.errors[0].contains("30s allowed"));
    assert!(report.errors[0].contains("under a limit"), "{:?}", report.errors);
}
