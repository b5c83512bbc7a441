//! Third-party sink kinds: listed, explained, and refused if two have the same name.

use std::fs;
use std::process::Stdio;

use tokio::process::Command;

use crate::support::world::{World, words};

#[tokio::test(flavor = "multi_thread")]
async fn third_party_kinds_are_listed_beside_the_built_in_ones() {
    let world = World::new().await;
    let (code, listed) = world.run(&["sinks"]).await;
    let kinds: Vec<&str> = listed["sinks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        (code, kinds),
        (0, vec!["aws-secrets-manager", "dotenv", "file", "github-actions", "panicking"])
    );
    let (code, report) = world.run(&["sinks", "dotenw"]).await;
    let words = words(&report);
    assert!(code == 2 && words.contains("did you mean `dotenv`?"), "{report}");
    assert!(words.contains("the kinds are: aws-secrets-manager, dotenv, file,"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_explains_its_options_permissions_and_effect() {
    let world = World::new().await;
    for (kind, words) in [
        ("dotenv", ["path", "create", "started again"]),
        ("github-actions", ["repositories", "environment", "secrets"]),
        ("aws-secrets-manager", ["secret_id", "secretsmanager:PutSecretValue", "json_key"]),
        ("file", ["path", "write permission", "reads the file again"]),
    ] {
        let output = world.finish(world.command(&["sinks", kind]), "").await;
        let shown = String::from_utf8(output.stdout).unwrap();
        for word in words.into_iter().chain(["required", "priority", "timeout", "takes_effect"]) {
            assert!(shown.contains(word), "{kind} should explain {word}:\n{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_plugins_of_one_kind_are_refused_by_name() {
    let world = World::new().await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_tokensink-with-two-of-a-kind"));
    command
        .args(["check", "--output", "json"])
        .current_dir(world.directory.path())
        .env_clear()
        .env("HOME", world.directory.path())
        .env("TOKENSINK_ALLOW_HOSTS", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = world.finish(command, "").await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    for word in ["dotenv", "tokensink_dotenv", "tokensink_with_two_of_a_kind"] {
        assert!(said.contains(word), "{said} should name {word}");
    }
}

/// A plugin that was built with another version of core would not be registered, without any error:
/// Cargo must refuse the build.
#[tokio::test(flavor = "multi_thread")]
async fn cargo_refuses_a_plugin_for_another_version_of_core() {
    let directory = tempfile::tempdir().unwrap();
    let core = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/tokensink-core");
    let links = fs::read_to_string(format!("{core}/Cargo.toml")).unwrap();
    let links = links.lines().find(|line| line.starts_with("links")).unwrap();
    let package = |name: &str, more: &str| {
        let source = directory.path().join(name).join("src");
        fs::create_dir_all(&source).unwrap();
        fs::write(source.join("lib.rs"), "").unwrap();
        fs::write(source.parent().unwrap().join("build.rs"), "fn main() {}").unwrap();
        fs::write(source.parent().unwrap().join("Cargo.toml"), more).unwrap();
    };
    let core_of = |version: &str| {
        format!(
            "[package]\nname = \"tokensink-core\"\nversion = \"{version}\"\nedition = \"2024\"\n{links}\n"
        )
    };
    package("core-1", &core_of("1.0.0"));
    package("core-2", &core_of("2.0.0"));
    let dependent = |name: &str, core: &str| {
        format!(
            "[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2024\"\n[dependencies]\ntokensink-core = {{ path = \"../{core}\" }}\n"
        )
    };
    package("plugin", &dependent("plugin", "core-1"));
    package(
        "program",
        &format!(
            "{}plugin = {{ path = \"../plugin\" }}\n[workspace]\n",
            dependent("program", "core-2")
        ),
    );
    let output = Command::new(env!("CARGO"))
        .args(["generate-lockfile", "--offline"])
        .current_dir(directory.path().join("program"))
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("links to the native library"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_of_every_kind_are_explained_with_their_defaults() {
    let world = World::new().await;
    let output = world.finish(world.command(&["sinks", "dotenv"]), "").await;
    let shown = String::from_utf8(output.stdout).unwrap();
    let row = |option: &str| {
        let row = shown.lines().find(|line| line.trim_start().starts_with(option));
        row.unwrap_or_else(|| panic!("no {option} in {shown}")).to_owned()
    };
    for (option, default, meaning) in [
        ("required", "true", "exit code"),
        ("priority", "0", "written first"),
        ("timeout", "60s", "retried"),
        ("takes_effect", "that of the kind", "on-next-run"),
        ("replace", "(unset)", "overwrites"),
    ] {
        let row = row(option);
        assert!(row.contains(default) && row.contains(meaning), "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abbreviated_kind_gets_a_suggestion() {
    let world = World::new().await;
    world.config("[sinks.ci]\nkind = \"github\"\n");
    for arguments in [&["check"][..], &["sinks", "github"]] {
        let (code, report) = world.run(arguments).await;
        assert_eq!(code, 2, "{report}");
        assert!(words(&report).contains("did you mean `github-actions`?"), "{report}");
    }
}
