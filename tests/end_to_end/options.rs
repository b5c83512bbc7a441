//! The options that every sink has, and the choice of sinks.

use crate::support::world::{World, words};

fn dotenv(name: &str, more: &str) -> String {
    format!("[sinks.{name}]\nkind = \"dotenv\"\npath = \"{name}.env\"\n{more}\n")
}

fn states(report: &serde_json::Value) -> Vec<(&str, &str)> {
    let sinks = report["sinks"].as_array().unwrap().iter();
    sinks.map(|sink| (sink["name"].as_str().unwrap(), sink["state"].as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_optional_sink_is_reported_and_does_not_change_the_exit_code() {
    let world = World::new().await;
    world.file("a.env", "QSTASH_TOKEN=x\n");
    world.config(&(dotenv("a", "") + &dotenv("missing", "required = false\ntimeout = \"2s\"")));
    let (code, report) = world.run(&["check"]).await;
    assert_eq!(code, 5, "{report}");
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert_eq!(code, 0, "{report}");
    assert_eq!(states(&report), [("a", "current"), ("missing", "unknown")]);
    assert!(
        report["sinks"][1]["error"].as_str().unwrap().contains("there is no such file"),
        "{report}"
    );
    assert!(report["sinks"][1]["outage_ms"].is_null(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn priority_and_takes_effect_of_a_table_override_the_defaults() {
    let world = World::new().await;
    for name in ["a", "b", "c"] {
        world.file(&format!("{name}.env"), "QSTASH_TOKEN=x\n");
    }
    let more =
        ["priority = -1", "takes_effect = \"immediately\"", "priority = 7\ntimeout = \"2s\""];
    world.config(
        &["a", "b", "c"]
            .iter()
            .zip(more)
            .map(|(name, more)| dotenv(name, more))
            .collect::<String>(),
    );
    let (code, report) = world.run(&["sync"]).await;
    assert_eq!(code, 0, "{report}");
    assert_eq!(states(&report), [("c", "current"), ("b", "current"), ("a", "current")]);
    assert_eq!(report["sinks"][1]["takes_effect"], "immediately", "{report}");
    assert_eq!(report["sinks"][0]["takes_effect"], "on-restart", "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeout_of_a_sink_limits_its_requests() {
    let world = World::new().await;
    let silent = crate::support::servers::silent().await;
    world.config(&format!(
        "[sinks.ci]\nkind = \"github-actions\"\nrepositories = [\"acme/api\"]\ntimeout = \"2s\"\napi_url = \"{silent}\"\n"
    ));
    let (code, report) = world.run(&["check"]).await;
    // The client's clock and the coordinator's run out at once: either may speak first.
    let said = words(&report);
    let is_timeout = said.contains("no answer ") || said.contains("no response ");
    assert!(code == 1 && is_timeout, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_are_chosen_by_name() {
    let world = World::new().await;
    let (code, report) = world.run(&["sync", "--only", "local,own", "--skip", "own"]).await;
    assert_eq!((code, states(&report)), (0, vec![("local", "current")]), "{report}");
    for flag in ["--only", "--skip"] {
        let (code, report) = world.run(&["reset", "--yes", flag, "locl"]).await;
        assert!(code == 2 && words(&report).contains("did you mean `local`?"), "{report}");
    }
    let (code, report) = world.run(&["sync", "--only", "own", "--skip", "own"]).await;
    assert!(code == 2 && words(&report).contains("exclude every sink"), "{report}");
    assert_eq!(world.posts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn sinks_that_are_left_out_of_a_reset_are_named() {
    let world = World::new().await;
    let (code, report) = world.run(&["reset", "--yes", "--only", "local"]).await;
    assert_eq!((code, states(&report)), (3, vec![("local", "current")]), "{report}");
    assert_eq!(report["left_out"], serde_json::json!(["own", "ci", "prod"]), "{report}");
    assert!(words(&report).contains("left out: own, ci, prod"), "{report}");
    let (code, report) = world.run(&["sync", "--skip", "ci,own"]).await;
    assert_eq!((code, &report["left_out"]), (0, &serde_json::json!(["own", "ci"])), "{report}");
    let (code, report) = world.run(&["sync"]).await;
    assert_eq!((code, &report["left_out"]), (0, &serde_json::json!([])), "{report}");
    world.assert_everywhere(&world.live());
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_options_are_reported_by_name() {
    let world = World::new().await;
    let wrong = [
        "priority = \"high\"",
        "required = \"maybe\"",
        "timeout = \"soon\"",
        "takes_effect = \"later\"",
        "timeout = \"0s\"",
    ];
    let names = ["a", "b", "c", "d", "e"];
    world.config(
        &names.iter().zip(wrong).map(|(name, more)| dotenv(name, more)).collect::<String>(),
    );
    let (code, report) = world.run(&["check"]).await;
    let words = words(&report);
    assert_eq!(code, 2, "{report}");
    for name in names {
        assert!(words.contains(&format!("[sinks.{name}.")), "{words} should name {name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outage_is_forecast_and_can_be_limited() {
    let world = World::new().await;
    let (_, report) = world.run(&["check"]).await;
    assert!(
        report["forecast_ms"].is_u64() && report["sinks"][0]["forecast_ms"].is_u64(),
        "{report}"
    );
    let (code, report) = world.run(&["reset", "--yes", "--max-outage", "1ms"]).await;
    assert!(code == 1 && words(&report).contains("longer than the 1 ms allowed"), "{report}");
    assert_eq!(world.posts(), 0);
    let (code, _) = world.run(&["reset", "--yes", "--max-outage", "soon"]).await;
    assert_eq!(code, 2);
    let (code, report) = world.run(&["reset", "--yes", "--max-outage", "5m"]).await;
    assert!(code == 0 && report["forecast_ms"].is_u64(), "{report}");

    let names: Vec<String> = (0..12).map(|one| format!("acme/r{one}")).collect();
    for name in &names {
        world.sandbox.github.add_repository(name);
    }
    world.config(&format!(
        "[sinks.ci]\nkind = \"github-actions\"\nrepositories = {names:?}\napi_url = \"{}\"\n",
        world.sandbox.github.url()
    ));
    let (_, report) = world.run(&["check"]).await;
    assert!(report["next"].to_string().contains("1 write instead of 12"), "{report}");
}
