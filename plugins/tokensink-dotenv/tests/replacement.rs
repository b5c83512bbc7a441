//! What is refused before a write, and what a write leaves behind.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokensink_core::{
    BuildContext, Environment, Preparation, Registry, SinkError, SinkErrorKind, Token,
};
use tokensink_dotenv as _;

fn context(directory: &Path) -> BuildContext {
    BuildContext::new(directory, Environment::default())
        .with_attempt_timeout(Duration::from_millis(50))
}

async fn prepare(context: &BuildContext, table: Value) -> Result<Preparation, SinkError> {
    let Value::Object(table) = table else { panic!("a table") };
    let factory = Registry::linked().unwrap().get("dotenv").unwrap();
    factory.build(table, context).unwrap()[0].prepare().await
}

fn prepare_text(text: &str, create: bool, replaces_anything: bool) -> Result<Vec<String>, String> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), text).unwrap();
    let mut context = context(directory.path());
    if replaces_anything {
        context = context.replacing_anything();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let prepared = runtime.block_on(prepare(&context, json!({"path": ".env", "create": create})));
    prepared.map(|prepared| prepared.warnings).map_err(|error| error.to_string())
}

#[tokio::test]
async fn prepare_sweeps_only_files_of_killed_runs() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    fs::write(path(".env"), "QSTASH_TOKEN=old").unwrap();
    let ours = [".env.tokensink-aB3xYz.env", "..env.tokensink-aB3xYz"];
    let others = [".env.tokensink-notes.env", ".env.tokensink-aB3xYz.bak"];
    for name in ours.iter().chain(&others) {
        fs::write(path(name), "QSTASH_TOKEN=half").unwrap();
    }
    fs::create_dir(path(".env.tokensink-aaaaaa.env")).unwrap();
    prepare(&context(directory.path()), json!({"path": ".env"})).await.unwrap();
    for name in ours {
        assert!(!path(name).exists(), "{name}");
    }
    for name in others {
        assert!(path(name).exists(), "{name}");
    }
    assert!(path(".env.tokensink-aaaaaa.env").is_dir());
}

#[tokio::test]
async fn a_directory_named_like_a_temporary_file_does_not_block_a_write() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), "QSTASH_TOKEN=old").unwrap();
    for name in [".env.tokensink-aaaaaa.env", "..env.tokensink-aaaaaa"] {
        fs::create_dir(directory.path().join(name)).unwrap();
    }
    let prepared = prepare(&context(directory.path()), json!({"path": ".env"})).await.unwrap();
    prepared.writer.write(&tokensink_core::Token::new("bmV3")).await.unwrap();
    let text = fs::read_to_string(directory.path().join(".env")).unwrap();
    assert_eq!(text, "QSTASH_TOKEN=bmV3");
}

#[tokio::test]
async fn prepare_reports_a_directory_that_stays_locked() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".env"), "QSTASH_TOKEN=old").unwrap();
    let lock = File::open(directory.path()).unwrap();
    lock.lock().unwrap();
    let error = prepare(&context(directory.path()), json!({"path": ".env"})).await.unwrap_err();
    assert_eq!(error.kind(), SinkErrorKind::Transient, "{error}");
}

#[test]
fn a_line_that_continues_into_ours_is_refused() {
    for (text, create) in [
        ("A=1\\\nQSTASH_TOKEN=old\n", false),
        ("# note \\\nQSTASH_TOKEN=old\n", false),
        ("A=1\\\n", true),
        ("A=1\\", true),
    ] {
        let error = prepare_text(text, create, false).unwrap_err();
        assert!(error.contains("ends in a backslash"), "{text:?}: {error}");
    }
    for text in ["A=1\\\\\nQSTASH_TOKEN=old\n", "QSTASH_TOKEN=old\nA=1\\\n"] {
        assert!(prepare_text(text, false, false).is_ok(), "{text:?}");
    }
}

#[test]
fn paths_that_only_a_shell_expands_are_config_errors() {
    let factory = Registry::linked().unwrap().get("dotenv").unwrap();
    for path in ["~/app/.env", "$HOME/.env", "apps/*/.env"] {
        let table = json!({"path": path}).as_object().unwrap().clone();
        let errors = factory.build(table, &context(Path::new("/srv"))).unwrap_err();
        assert_eq!(errors[0].option(), Some("path"), "{path}");
        assert!(errors[0].help().is_some(), "{path}");
    }
}

#[tokio::test]
async fn a_file_outside_the_config_directory_is_shown() {
    let root = tempfile::tempdir().unwrap();
    let (inside, outside) = (root.path().join("in"), root.path().join("out"));
    fs::create_dir(&inside).unwrap();
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("env"), "QSTASH_TOKEN=old\n").unwrap();
    fs::write(inside.join("own"), "QSTASH_TOKEN=old\n").unwrap();
    std::os::unix::fs::symlink("../out/env", inside.join("link")).unwrap();
    std::os::unix::fs::symlink("../out", inside.join("dir")).unwrap();
    let foreign = async |path: &str| {
        let table = json!({"path": path, "create": true});
        prepare(&context(&inside), table).await.unwrap().foreign_destination
    };
    assert_eq!(foreign("own").await, None);
    assert_eq!(foreign("new").await, None);
    for path in ["link", "../out/env", "dir/env", "dir/new"] {
        let shown = foreign(path).await.unwrap();
        assert!(shown.contains("outside the directory of the config file"), "{shown}");
    }
}

/// What was shown and agreed to is what is written.
#[tokio::test]
async fn a_link_that_leads_elsewhere_since_the_preparation_is_not_followed() {
    for (path, before, after, link) in [
        ("link", "a.env", "b.env", "link"),
        ("dir/.env", "a", "b", "dir"),
        ("dir/new", "a", "b", "dir"),
    ] {
        let root = tempfile::tempdir().unwrap();
        for directory in ["a", "b"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        for file in ["a.env", "b.env", "a/.env", "b/.env"] {
            fs::write(root.path().join(file), "QSTASH_TOKEN=old\n").unwrap();
        }
        let link = root.path().join(link);
        std::os::unix::fs::symlink(before, &link).unwrap();
        let table = json!({"path": path, "create": true});
        let preparation = prepare(&context(root.path()), table).await.unwrap();
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(after, &link).unwrap();
        let error = preparation.writer.write(&Token::new("new")).await.unwrap_err();
        assert_eq!(error.kind(), SinkErrorKind::Conflict, "{path}: {error}");
        for file in ["a.env", "b.env", "a/.env", "b/.env"] {
            let text = fs::read_to_string(root.path().join(file)).unwrap();
            assert_eq!(text, "QSTASH_TOKEN=old\n", "{path}: {file}");
        }
        assert!(!root.path().join("b/new").exists());
    }
}

#[test]
fn a_file_of_an_encryption_tool_is_refused_also_with_create() {
    for text in [
        "A=ENC[AES256_GCM,data:x,type:str]\nsops_version=3.9.0\n",
        "DOTENV_PUBLIC_KEY_CI=\"03ab\"\nA=encrypted:x\n",
        "\0GITCRYPT\0abc",
        "age-encryption.org/v1\n-> X25519 a\n",
        "-----BEGIN AGE ENCRYPTED FILE-----\n",
        "$ANSIBLE_VAULT;1.1;AES256\n6162\n",
        "U2FsdGVkX19abcdef\n",
    ] {
        for anything in [false, true] {
            let error = prepare_text(text, true, anything).unwrap_err();
            assert!(error.contains("is managed by"), "{text:?}: {error}");
        }
    }
}

#[test]
fn a_local_server_beside_the_token_and_direnv_are_warned_about() {
    let warned = |url: &str| {
        prepare_text(&format!("QSTASH_TOKEN=old\n{url}\n"), false, true)
            .unwrap()
            .iter()
            .any(|warning| warning.contains("QSTASH_URL"))
    };
    for url in [
        "QSTASH_URL=http://localhost:8080",
        "QSTASH_URL='http://127.0.0.1:8080'",
        "EU_CENTRAL_1_QSTASH_URL=https://proxy.example/q",
    ] {
        assert!(warned(url), "{url}");
    }
    for url in ["QSTASH_URL=https://qstash.upstash.io", "#QSTASH_URL=http://localhost"] {
        assert!(!warned(url), "{url}");
    }
}

#[tokio::test]
async fn a_url_of_another_region_beside_the_token_is_warned_about() {
    let directory = tempfile::tempdir().unwrap();
    let warnings = async |key: &str, url: &str| {
        fs::write(directory.path().join(".env"), format!("{key}=old\n{url}\n")).unwrap();
        let table = json!({"path": ".env", "key": key});
        let mut warnings = prepare(&context(directory.path()), table).await.unwrap().warnings;
        warnings.retain(|warning| warning.contains("QSTASH_URL"));
        warnings
    };
    let default = "QSTASH_TOKEN";
    for (key, url) in [
        (default, "QSTASH_URL=https://qstash-us-east-1.upstash.io"),
        (default, "QSTASH_URL='HTTPS://QSTASH-US-EAST-1.upstash.io:443/v2'"),
        ("TOKEN", "QSTASH_URL=qstash-us-east-1.upstash.io"),
        ("US_EAST_1_QSTASH_TOKEN", "US_EAST_1_QSTASH_URL=https://qstash-us-east-1.upstash.io"),
    ] {
        let found = warnings(key, url).await;
        assert!(
            found.len() == 1 && found[0].to_lowercase().contains("is for us-east-1: the token")
        );
    }
    for (key, url) in [
        (default, "QSTASH_URL=https://qstash.upstash.io/"),
        (default, "QSTASH_URL=https://qstash-eu-central-1.upstash.io"),
        // The URL of another token.
        (default, "US_EAST_1_QSTASH_URL=https://qstash-us-east-1.upstash.io"),
        (default, "QSTASH_URL=${BASE}"),
        (default, "QSTASH_URL="),
    ] {
        assert_eq!(warnings(key, url).await, [""; 0], "{url}");
    }
    // Not the form of a region's host.
    for host in
        ["qstash-a.b.upstash.io", "qstash-.upstash.io", "qstash-us-east-1.upstash.io.evil.example"]
    {
        let found = warnings(default, &format!("QSTASH_URL=https://{host}")).await;
        assert!(found[0].contains("does not point to Upstash"), "{found:?}");
    }
}

#[tokio::test]
async fn direnv_must_allow_an_edited_envrc_again() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".envrc"), "export QSTASH_TOKEN=old\n").unwrap();
    let prepared = prepare(&context(directory.path()), json!({"path": ".envrc"})).await.unwrap();
    assert!(prepared.warnings.iter().any(|warning| warning.contains("`direnv allow`")));
}

#[tokio::test]
async fn a_value_that_became_a_reference_after_the_preparation_is_refused_by_the_write() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(".env");
    for text in [
        "QSTASH_TOKEN=op://dev/qstash/token\n",
        "QSTASH_TOKEN=encrypted:BDqDBibm\n",
        "A=ENC[AES256_GCM,data:x,type:str]\nQSTASH_TOKEN=old\nsops_version=3.9.0\n",
    ] {
        fs::write(&file, "QSTASH_TOKEN=old\n").unwrap();
        let prepared = prepare(&context(directory.path()), json!({"path": ".env"})).await.unwrap();
        fs::write(&file, text).unwrap();
        let token = tokensink_core::Token::new("bmV3");
        let error = prepared.writer.write(&token).await.unwrap_err();
        assert_eq!(error.kind(), SinkErrorKind::Rejected, "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }
    let context = context(directory.path()).replacing_anything();
    fs::write(&file, "QSTASH_TOKEN=op://dev/qstash/token\n").unwrap();
    let prepared = prepare(&context, json!({"path": ".env"})).await.unwrap();
    prepared.writer.write(&tokensink_core::Token::new("bmV3")).await.unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "QSTASH_TOKEN=bmV3\n");
}

#[test]
fn structured_values_templates_and_commands_are_replaced_only_on_request() {
    for (value, what) in [
        (r#"'{"token":"x","url":"y"}'"#, "a JSON document with the keys token, url"),
        (r#"{"token":"x"}"#, "a JSON document with the keys token"),
        (r#""{\"token\":\"x\"}""#, "a JSON document with the keys token"),
        ("'[1, 2]'", "a JSON document"),
        ("\"one\ntwo\"", "a text of several lines"),
        ("'one\ntwo'", "a text of several lines"),
        (r#""one\ntwo""#, "a text of several lines"),
        ("{{op.dev.token}}", "a reference to another place"),
        ("'{{ op://dev/q/t }}'", "a reference to another place"),
        ("\"<%= secret %>\"", "a reference to another place"),
        ("`cat q`", "a command"),
        ("`./print-token`", "a command"),
        ("\"`cat q`\"", "a command"),
        ("\"$(cat /run/secrets/q)\"", "a command"),
    ] {
        let text = format!("QSTASH_TOKEN={value}\n");
        let error = prepare_text(&text, false, false).unwrap_err();
        assert_eq!(error, format!("QSTASH_TOKEN in line 1 holds {what}"), "{text}");
        assert!(prepare_text(&text, false, true).is_ok(), "{text}");
    }
}

#[test]
fn passwords_that_resemble_references_are_replaced() {
    for value in
        ["pa$$word", "'$ecret'", "secret:hunter2", "projects/apollo", "a`b", "`old`", "x#y"]
    {
        let text = format!("QSTASH_TOKEN={value}\n");
        let prepared = prepare_text(&text, false, false);
        assert!(prepared.is_ok(), "{text}: {prepared:?}");
    }
}

fn obstacle() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{2,6}(\\+[a-z]{2,6})?://[a-z/-]{1,20}",
        "\\$\\{[A-Z_]{1,8}(:-[a-z]{0,4})?\\}",
        "\\$[A-Z][A-Z_]{1,8}",
        "\\$\\([a-z]{1,6}\\)",
        "vault:[a-z/]{1,12}#[a-z]{1,4}",
        "encrypted:[A-Za-z0-9+/]{4,40}",
        "ENC\\[AES256_GCM,data:[a-z]{1,9}\\]",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_not_a_token_is_replaced_only_on_request(
        value in obstacle(),
        quote in prop_oneof![Just(""), Just("\""), Just("'")],
        before in "(A=[a-z]{0,5}\n){0,3}",
    ) {
        // An unquoted command with a blank is refused by an earlier rule.
        let text = format!("{before}QSTASH_TOKEN={quote}{value}{quote}\n");
        let error = prepare_text(&text, false, false).unwrap_err();
        prop_assert!(error.contains("holds"), "{}: {}", text, error);
        prop_assert!(prepare_text(&text, false, true).is_ok(), "{}", text);
    }

    #[test]
    fn ordinary_values_are_replaced(value in "[A-Za-z0-9+/=_.!%@^-]{0,60}", quoted in "[ -!%-&(-_a-z~]{1,30}") {
        prop_assume!(!quoted.starts_with(['{', '[']) && !quoted.contains("://"));
        let bare = prepare_text(&format!("QSTASH_TOKEN={value}\n"), false, false);
        prop_assert!(bare.is_ok(), "{}: {:?}", value, bare);
        let text = format!("QSTASH_TOKEN='x{quoted}'\n");
        let prepared = prepare_text(&text, false, false);
        prop_assert!(prepared.is_ok(), "{}: {:?}", text, prepared);
    }
}
