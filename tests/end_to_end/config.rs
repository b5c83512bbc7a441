//! The config: its layers, and every way in which it can be wrong.

use std::fs;

use crate::world::{World, words};

#[tokio::test(flavor = "multi_thread")]
async fn all_mistakes_of_a_config_are_told_at_once() {
    let world = World::new().await;
    world.config(
        "tiemout = 3\n[sinks.a]\nkind = \"dotenw\"\n[sinks.b]\nkind = \"dotenv\"\npth = \"x\"\n\
         [sinks.c]\nkind = \"github-actions\"\nrepositories = 3\n[sinks.d]\nkind = \"file\"\n\
         [sinks.e]\nkind = \"dotenv\"\npath = \".env\"\n[sinks.f]\nkind = \"dotenv\"\npath = \"./.env\"\n",
    );
    let (code, report) = world.run(&["check"]).await;
    assert_eq!((code, report["outcome"].as_str()), (2, Some("invalid")), "{report}");
    let words = words(&report);
    for expected in [
        "did you mean `timeout`?",
        "did you mean `dotenv`?",
        "did you mean `path`?",
        "[sinks.c]",
        "missing option `path`",
        "the same place as [sinks.e]",
        "tokensink.toml:",
    ] {
        assert!(words.contains(expected), "{words} should say {expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_file_alone_sends_no_credential_elsewhere() {
    let world = World::new().await;
    world.file(
        "tokensink.toml",
        &format!("[upstash]\napi_url = \"https://evil.example\"\n{}", world.sinks()),
    );
    let (code, report) = world.run(&["check"]).await;
    assert!(code == 2 && words(&report).contains("TOKENSINK_UPSTASH__API_URL"), "{report}");
    let mut command = world.command(&["check", "--output", "json"]);
    command
        .env("TOKENSINK_UPSTASH__API_URL", world.sandbox.upstash.url())
        .env("TOKENSINK_UPSTASH__QSTASH_URL", world.sandbox.upstash.qstash_url());
    let output = world.finish(command, "").await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_wrong_file_gets_a_sentence() {
    let world = World::new().await;
    for (bytes, expected) in [
        (&b""[..], "the file is empty"),
        (b"[upstash]\n", "there is no sink"),
        (b"[sinks", "is not TOML"),
        (b"\xff\xfe", "is not UTF-8"),
        (&[b'#'; 2 << 20], "larger than 1 MB"),
        (
            b"[sinks.a]\nkind = \"file\"\npath = \"ghp_16C7e42F292c6912E7710c838347Ae178B4a\"\n",
            "looks like a secret",
        ),
    ] {
        fs::write(world.folder.path().join("tokensink.toml"), bytes).unwrap();
        let (code, report) = world.run(&["check"]).await;
        assert!(code == 2 && words(&report).contains(expected), "{report} should say {expected}");
        assert!(!report.to_string().contains("ghp_16"), "{report}");
    }
    fs::remove_file(world.folder.path().join("tokensink.toml")).unwrap();
    let (code, report) = world.run(&["check"]).await;
    assert!(code == 2 && words(&report).contains("tokensink init"), "{report}");
    let output = world.finish(world.command(&["init"]), "").await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let written = world.read("tokensink.toml");
    let output = world.finish(world.command(&["init"]), "").await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(world.read("tokensink.toml"), written);
}
