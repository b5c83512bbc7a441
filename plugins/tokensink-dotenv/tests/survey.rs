//! What a survey reports about the files beside a sink's.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};
use tokensink_core::{
    BuildContext, Environment, Fingerprint, Registry, Survey, TargetId, TokenSink,
};
use tokensink_dotenv as _;

const COPY: &str = "eyJVc2VySUQiOiJhIn0=";

fn sink(directory: &Path, table: Value) -> Box<dyn TokenSink> {
    let context = BuildContext::new(directory, Environment::default());
    let Value::Object(table) = table else { panic!("a table") };
    let factory = Registry::linked().unwrap().get("dotenv").unwrap();
    factory.build(table, &context).unwrap().remove(0)
}

async fn survey(directory: &Path, path: &str) -> Survey {
    sink(directory, json!({"path": path, "create": true})).survey().await.unwrap()
}

/// The places that take precedence over `path`, and those that only are near it.
async fn places(directory: &Path, path: &str) -> (Vec<String>, Vec<String>) {
    let survey = survey(directory, path).await;
    assert_eq!(survey.warnings, [""; 0]);
    let (winning, others): (Vec<_>, Vec<_>) =
        survey.nearby.into_iter().partition(|value| value.takes_precedence);
    let names = |values: Vec<_>| {
        values.into_iter().map(|value: tokensink_core::NearbyValue| value.place).collect()
    };
    (names(winning), names(others))
}

#[tokio::test]
async fn siblings_that_win_and_siblings_that_lose_are_distinguished() {
    let directory = tempfile::tempdir().unwrap();
    for name in [".env", ".env.local", ".env.production", ".env.production.local", ".env.staging"] {
        fs::write(directory.path().join(name), "QSTASH_TOKEN=old\n").unwrap();
    }
    for (path, winning, others) in [
        (
            ".env",
            &[".env.local", ".env.production", ".env.production.local"][..],
            &[".env.staging"][..],
        ),
        (".env.local", &[".env.production", ".env.production.local"], &[".env", ".env.staging"]),
        (".env.production", &[".env.local", ".env.production.local"], &[".env", ".env.staging"]),
        (".env.production.local", &[], &[".env", ".env.local", ".env.production", ".env.staging"]),
        // Not there yet.
        (
            ".env.development.local",
            &[],
            &[".env", ".env.local", ".env.production", ".env.production.local", ".env.staging"],
        ),
        ("app.env", &[], &[]),
    ] {
        let variables = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| format!("{name} QSTASH_TOKEN")).collect()
        };
        let expected = (variables(winning), variables(others));
        assert_eq!(places(directory.path(), path).await, expected, "{path}");
    }
}

#[tokio::test]
async fn a_sibling_has_the_target_of_a_sink_there() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("app")).unwrap();
    fs::write(directory.path().join("app/.env"), "QSTASH_TOKEN=old\n").unwrap();
    fs::write(directory.path().join("app/.env.local"), format!("QSTASH_TOKEN='{COPY}'\n")).unwrap();
    let survey = survey(directory.path(), "app/.env").await;
    let [value] = survey.nearby.as_slice() else { panic!("{survey:?}") };
    assert_eq!(value.place, "app/.env.local QSTASH_TOKEN");
    assert_eq!(value.fingerprint, Some(Fingerprint::of(COPY)));
    let target: TargetId =
        sink(directory.path(), json!({"path": "app/.env.local"})).info().target.clone();
    assert_eq!(value.target, Some(target));
}

#[tokio::test]
async fn siblings_report_what_any_reader_sees_and_tokens_under_other_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path(".env"), "QSTASH_TOKEN=old\n").unwrap();
    fs::write(path(".env.local"), format!("QSTASH_TOKEN: x\nTOKEN={COPY}\nPORT=1\n")).unwrap();
    fs::write(path(".env.test"), "OTHER=3\n#QSTASH_TOKEN=1\n").unwrap();
    let (winning, others) = places(directory.path(), ".env").await;
    assert_eq!(winning, [".env.local QSTASH_TOKEN"]);
    assert_eq!(others, [".env.local TOKEN"]);
}

#[tokio::test]
async fn links_directories_and_files_of_killed_runs_are_not_siblings() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path(".env"), "QSTASH_TOKEN=old\n").unwrap();
    symlink(".env", path(".env.local")).unwrap();
    symlink("nowhere", path(".env.test")).unwrap();
    fs::create_dir(path(".env.production")).unwrap();
    fs::write(path(".env.tokensink-aB3xYz.env"), format!("QSTASH_TOKEN={COPY}\n")).unwrap();
    assert_eq!(places(directory.path(), ".env").await, (Vec::new(), Vec::new()));
}
