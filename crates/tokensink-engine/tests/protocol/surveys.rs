//! Tests of warnings about copies of the token and about replaced values.

use std::time::Duration;

use tokensink_core::{NearbyValue, Survey, TargetId, Token};
use tokensink_engine::{Command, Outcome};
use tokensink_testkit::{AlwaysSucceeds, Call, Ending, Planned, ScriptedError, ScriptedResponse};
use tokio::time::{Instant, sleep};

use crate::stage::Stage;

const HANGS: ScriptedResponse =
    ScriptedResponse { takes: Duration::ZERO, ending: Ending::Hangs(None) };

fn holding(place: &str, token: &Token) -> NearbyValue {
    NearbyValue::new(place, Some(token.fingerprint()))
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_a_known_token_is_reported_before_the_reset() {
    let stage = Stage::new(1, AlwaysSucceeds);
    assert_eq!(stage.reset().await.outcome, Outcome::Complete);
    let (earlier, live) = (stage.world.resets()[0].value.clone().unwrap(), stage.world.live());
    let other = TargetId::new("dotenv", "/app/.env.local");
    let nearby = vec![
        holding("variable OTHER_TOKEN", &live),
        holding("variable OLD_TOKEN", &earlier),
        holding("variable UNRELATED", &Token::new("unrelated")),
        holding("variable OF_A_SINK", &live).at_target(TargetId::new("memory", 0)),
        holding(".env.local QSTASH_TOKEN", &live).at_target(other.clone()),
    ];
    let hidden = NearbyValue::new("the secret of the repository", None).taking_precedence();
    let survey = Survey::new(vec![hidden], vec!["run `direnv allow`".to_owned()]);
    let stage = stage
        .beside_target(other)
        .shaping(move |_, sink| sink.beside(nearby.clone()).surveying(survey.clone()));
    let expected = [
        "sink (place 0): variable OTHER_TOKEN holds a copy of the current token and is not a sink",
        "sink (place 0): variable OLD_TOKEN holds a copy of an earlier token and is not a sink",
        "sink (place 0): the secret of the repository takes precedence over it and is not a sink",
        "sink (place 0): run `direnv allow`",
    ];
    assert_eq!(stage.check().await.warnings, expected);
    assert_eq!(stage.status().await.warnings, [""; 0]);
    let report = stage.reset().await;
    assert_eq!(
        (report.outcome, report.warnings.as_slice()),
        (Outcome::Complete, &expected.map(String::from)[..])
    );
}

#[tokio::test(start_paused = true)]
async fn a_survey_that_hangs_or_fails_is_one_warning_and_delays_little() {
    let stage = Stage::new(30, |call| match call {
        Call::Survey(0) => ScriptedResponse::failed(ScriptedError::Transient),
        Call::Survey(_) => HANGS,
        _ => ScriptedResponse::SUCCESS,
    });
    let started = Instant::now();
    let report = stage.check().await;
    assert!(started.elapsed() <= Duration::from_secs(4), "{:?}", started.elapsed());
    assert_eq!(report.outcome, Outcome::Ready);
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
    assert!(report.warnings[0].contains("and 29 more"), "{:?}", report.warnings);
}

#[tokio::test(start_paused = true)]
async fn a_sync_makes_no_survey() {
    let stage = Stage::new(1, AlwaysSucceeds);
    stage.sync().await;
    stage.status().await;
    assert_eq!(stage.count(Call::Survey(0)), 0);
    stage.check().await;
    assert_eq!(stage.count(Call::Survey(0)), 1);
}

#[tokio::test(start_paused = true)]
async fn a_value_without_the_form_of_a_token_is_reported_before_it_is_replaced() {
    let stage = Stage::new(3, AlwaysSucceeds);
    let warning = "1 sink holds something other than the current token: sink (place 1)";
    stage.world.store_externally(1, Some(Token::new("changeme")));
    // An older token, for example.
    stage.world.store_externally(2, Some(Token::new("eyJVc2VySUQiOiJhIn0=")));
    assert_eq!(stage.check().await.warnings, [warning]);
    assert_eq!(stage.reset().await.warnings, [warning]);
    assert_eq!(stage.check().await.warnings, [""; 0]);
    for sink in 0..2 {
        stage.world.store_externally(sink, Some(Token::new("changeme")));
    }
    let warnings = stage.sync().await.warnings;
    assert!(warnings[0].starts_with("2 sinks hold something other than"), "{warnings:?}");
}

#[tokio::test(start_paused = true)]
async fn two_sinks_with_the_same_target_are_rejected_before_anything_is_written() {
    let same = |_, sink: tokensink_testkit::MemorySink| {
        sink.resolving_to(TargetId::new("aws", "arn:aws:secretsmanager:eu-1:1:secret:prod"))
    };
    let stage = Stage::new(2, AlwaysSucceeds).shaping(same);
    stage.world.store_externally(0, Some(Token::new("theirs")));
    for report in [stage.check().await, stage.reset().await, stage.sync().await] {
        assert_eq!(report.outcome, Outcome::Unchanged);
        let error = &report.errors[0];
        assert!(error.contains("place 0") && error.contains("place 1"), "{error}");
        assert!(error.contains("are the same place"), "{error}");
    }
    assert_eq!(stage.count(Call::Write(0)) + stage.count(Call::Write(1)), 0);
    assert_eq!(stage.count(Call::Reset), 0);
}

#[tokio::test(start_paused = true)]
async fn the_plan_contains_the_destinations() {
    let stage = Stage::new(2, AlwaysSucceeds).shaping(|index, sink| match index {
        0 => sink.with_info(|info| info.with_host("ghe.example")),
        _ => sink.outside("a file outside the directory of the config"),
    });
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Check).await.unwrap();
    let destinations = plan.destinations();
    assert_eq!(destinations[0].host.as_deref(), Some("ghe.example"));
    assert_eq!(destinations[0].target, TargetId::new("memory", 0));
    assert_eq!((&*destinations[1].name, &*destinations[1].label), ("sink", "place 1"));
    let outside = destinations[1].foreign_destination.as_deref();
    assert_eq!(outside, Some("a file outside the directory of the config"));
    let report = serde_json::to_value(coordinator.check(&plan)).unwrap();
    assert_eq!(report["sinks"][0]["host"], "ghe.example");
    assert!(report["sinks"][1].get("host").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_changes_after_the_plan_is_not_written() {
    let stage = Stage::new(2, AlwaysSucceeds).shaping(|index, sink| match index {
        0 => sink,
        _ => sink.outside_after(1, "writes /elsewhere"),
    });
    let before = stage.world.live();
    let coordinator = stage.coordinator().await;
    let plan = coordinator.plan(Command::Reset).await.unwrap();
    // Longer than the maximum age of a preparation.
    sleep(Duration::from_secs(60)).await;
    let report = coordinator.reset(plan, stage.issuer()).await;
    assert_eq!(report.outcome, Outcome::Unchanged, "{report:?}");
    assert!(report.errors[0].contains("now writes /elsewhere"), "{:?}", report.errors);
    assert_eq!(stage.count(Call::Write(0)) + stage.count(Call::Write(1)), 0);
    assert_eq!(stage.world.live(), before);
}

#[tokio::test(start_paused = true)]
async fn a_sync_does_not_write_to_a_destination_that_changed_during_it() {
    let conflict = ScriptedResponse::failed(ScriptedError::Conflict);
    let stage = Stage::new(1, Planned::default().then(Call::Write(0), conflict))
        .shaping(|_, sink| sink.outside_after(1, "writes /elsewhere"));
    stage.world.reset_externally();
    let report = stage.sync().await;
    assert_eq!(report.outcome, Outcome::Partial, "{report:?}");
    assert!(report.errors[0].contains("now writes /elsewhere"), "{:?}", report.errors);
    assert_eq!(stage.count(Call::Write(0)), 1);
}
