//! What the sink tells a person before a write, and how it names itself.

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

/// What is said about a file of these bytes that only its owner may read.
async fn warnings(name: &str, bytes: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(name);
    fs::write(&file, bytes).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let sink = sink(directory.path(), json!({"path": name, "key": "K"}));
    sink.prepare().await.unwrap().warnings
}

#[tokio::test]
async fn a_plain_file_needs_no_words() {
    assert_eq!(warnings(".env", "A=1\nK=old\n").await, [""; 0]);
    assert_eq!(warnings(".env", "K=\"old\" # note\nL=x#y\n").await, [""; 0]);
    assert_eq!(warnings(".env", "\u{feff}A=1\nK=old\n").await, [""; 0]);
}

#[tokio::test]
async fn each_oddity_is_told_once() {
    for (bytes, said) in [
        ("K=1\nA=2\nK=3\n", "K stands in lines 1, 3: all are written"),
        ("K=old#note\n", "the `#…` glued to the value in line 1 goes"),
        ("K=`old`#note\n", "the `#…` glued to the value in line 1 goes"),
        ("\u{feff}K=old\n", "some readers miss line 1, because the file begins with a BOM"),
    ] {
        assert_eq!(warnings(".env", bytes).await, [said], "{bytes:?}");
    }
}

#[tokio::test]
async fn a_file_that_everybody_may_read_is_told() {
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
fn it_is_named_by_its_file_and_by_unusual_variables() {
    let directory = Path::new("/srv/app");
    let named = |table| sink(directory, table).info().label.clone();
    assert_eq!(named(json!({"path": ".env"})), ".env");
    assert_eq!(named(json!({"path": "/etc/app.env"})), "/etc/app.env");
    assert_eq!(named(json!({"path": ".env", "keys": ["A", "B"]})), ".env A, B");
}
