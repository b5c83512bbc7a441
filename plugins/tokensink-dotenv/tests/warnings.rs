//! The warnings before a write, and the names of sinks.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use tokensink_core::{BuildContext, Environment, Registry, TokenSink};
use tokensink_dotenv as _;

fn sink(directory: &Path, table: Value) -> Box<dyn TokenSink> {
    let context = BuildContext::new(directory, Environment::default());
    let Value::Object(table) = table else { panic!("a table") };
    let factory = Registry::linked().unwrap().get("dotenv").unwrap();
    factory.build(table, &context).unwrap().remove(0)
}

/// The warnings about a file of these bytes that only its owner may read.
async fn warnings(name: &str, bytes: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(name);
    fs::write(&file, bytes).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let sink = sink(directory.path(), json!({"path": name, "key": "K"}));
    sink.prepare().await.unwrap().warnings
}

#[tokio::test]
async fn an_ordinary_file_causes_no_warning() {
    assert_eq!(warnings(".env", "A=1\nK=old\n").await, [""; 0]);
    assert_eq!(warnings(".env", "K=\"old\" # note\nL=x#y\n").await, [""; 0]);
    assert_eq!(warnings(".env", "\u{feff}A=1\nK=old\n").await, [""; 0]);
}

#[tokio::test]
async fn each_warning_is_given_once() {
    for (bytes, said) in [
        ("K=1\nA=2\nK=3\n", "K is set in lines 1, 3: all are written"),
        ("K=old#note\n", "the `#…` directly after the value in line 1 is removed"),
        ("K=`old`#note\n", "the `#…` directly after the value in line 1 is removed"),
        ("\u{feff}K=old\n", "some readers do not see line 1, because the file begins with a BOM"),
    ] {
        assert_eq!(warnings(".env", bytes).await, [said], "{bytes:?}");
    }
}

#[tokio::test]
async fn a_file_that_everybody_may_read_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(".env");
    fs::write(&file, "QSTASH_TOKEN=old\n").unwrap();
    for (mode, said) in
        [(0o640, None), (0o644, Some("everybody may read it (mode 644)".to_owned()))]
    {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let sink = sink(directory.path(), json!({"path": ".env"}));
        let warnings = sink.prepare().await.unwrap().warnings;
        assert_eq!(warnings.first(), said.as_ref(), "{mode:o}");
    }
}

#[test]
fn a_label_has_the_file_and_unusual_variables() {
    let directory = Path::new("/srv/app");
    let named = |table| sink(directory, table).info().label.clone();
    assert_eq!(named(json!({"path": ".env"})), ".env");
    assert_eq!(named(json!({"path": "/etc/app.env"})), "/etc/app.env");
    assert_eq!(named(json!({"path": ".env", "keys": ["A", "B"]})), ".env A, B");
}
