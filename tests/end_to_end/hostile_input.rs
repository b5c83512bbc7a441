//! Invalid files and misbehaving servers: a clear error, the exit code, and nothing is changed.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::timeout;

use crate::support::servers;
use crate::support::wait::until;
use crate::support::world::{DOTENV, World, assert_clear, words};

/// Asserts that `reset` is refused with `expected` in an error or next step, and that no reset was sent.
async fn refused(world: &World, expected: &str) {
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert_eq!(code, 1, "{report}");
    assert!(words(&report).contains(expected), "{report} should say {expected}");
    assert_clear(&report);
    assert_eq!(world.posts(), 0, "{expected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_dotenv_files_are_refused_and_not_changed() {
    let world = World::new().await;
    world.config(DOTENV);
    let env = world.directory.path().join(".env");
    let huge = [b"QSTASH_TOKEN=x\n".as_slice(), &vec![b'#'; 50 << 20]].concat();
    for (bytes, expected) in [
        (&b"A=1\n"[..], "QSTASH_TOKEN"),
        (b"QSTASH_TOKEN=a\0b\n", "NUL"),
        (b"\xff\xfeQ\0S\0", "UTF-16"),
        (b"A=1\rQSTASH_TOKEN=x\r", "lone carriage return"),
        (b"QSTASH_TOKEN=\"encrypted:BDqDBibm4w\"\n", "dotenvx"),
        (&huge, "larger than"),
    ] {
        fs::write(&env, bytes).unwrap();
        refused(&world, expected).await;
        assert!(fs::read(&env).unwrap() == bytes, "{expected}: the file was changed");
    }
    fs::write(&env, "QSTASH_TOKEN=x\n").unwrap();
    fs::set_permissions(&env, fs::Permissions::from_mode(0o444)).unwrap();
    refused(&world, "read-only").await;
    fs::remove_file(&env).unwrap();
    refused(&world, "create = true").await;
    symlink("nowhere", &env).unwrap();
    refused(&world, ".env").await;
    fs::remove_file(&env).unwrap();
    symlink(".env", &env).unwrap();
    refused(&world, ".env").await;
    fs::remove_file(&env).unwrap();
    fs::create_dir(&env).unwrap();
    refused(&world, "is a directory").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_repositories_and_secrets_are_refused() {
    let world = World::new().await;
    let (github, aws) = (&world.sandbox.github, &world.sandbox.aws);
    for name in ["acme/old", "acme/theirs"] {
        github.add_repository(name);
    }
    github.archive("acme/old");
    github.make_read_only("acme/theirs");
    github.add_organization("acme");
    let ci = |options: &str| {
        format!(
            "[sinks.ci]\nkind = \"github-actions\"\napi_url = \"{}\"\n{options}\n",
            github.url()
        )
    };
    let prod = |options: &str| {
        format!(
            "[sinks.prod]\nkind = \"aws-secrets-manager\"\nregion = \"eu-central-1\"\nendpoint_url = \"{}\"\n{options}\n",
            aws.url()
        )
    };
    aws.put_externally("text", "not json");
    aws.put_externally("list", "[1]");
    aws.put_binary("binary");
    aws.put_externally("gone", "x");
    aws.delete("gone");
    for (table, expected) in [
        (ci("repositories = [\"acme/none\"]"), "acme/none"),
        (ci("repositories = [\"acme/old\"]"), "archived"),
        (ci("repositories = [\"acme/theirs\"]"), "may only read"),
        (ci("repositories = [\"acme/api\"]\nenvironment = \"none\""), "none"),
        (ci("organization = \"acme\""), "create the organization secret"),
        (prod("secret_id = \"none\""), "create = true"),
        (prod("secret_id = \"text\"\njson_key = \"T\""), "not a JSON object"),
        (prod("secret_id = \"list\"\njson_key = \"T\""), "not a JSON object"),
        (prod("secret_id = \"binary\""), "binary"),
        (prod("secret_id = \"gone\""), "scheduled for deletion"),
    ] {
        world.config(&table);
        refused(&world, expected).await;
    }
    aws.expire_credentials();
    world.config(&prod("secret_id = \"text\""));
    refused(&world, "expired").await;
    github.shorten_key();
    world.config(&ci("repositories = [\"acme/api\"]"));
    refused(&world, "31 bytes").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn input_that_is_not_a_token_is_refused_with_help() {
    let world = World::new().await;
    let long = vec![b'x'; (64 << 10) + 1];
    for (bytes, expected) in [
        (&b""[..], "it is empty"),
        (b"one\ntwo\n", "several lines"),
        (b"\"eyJ9\"\n", "quoted"),
        (b"eyJ\xff\n", "not UTF-8"),
        (&long, "larger than 64 KB"),
    ] {
        let command = world.command(&["sync", "--token-stdin", "--output", "json"]);
        let output = world.finish(command, bytes).await;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(2), "{report}");
        assert!(report["errors"].to_string().contains(expected), "{report}");
        assert!(report["next"].to_string().contains("on one line"), "{report}");
    }
    let command = world.command(&["sync", "--token-stdin", "--output", "json"]);
    let output = world.finish(command, "dead-token").await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = "QStash does not accept the pasted token; nothing was changed";
    assert_eq!((output.status.code(), report["errors"][0].as_str()), (Some(4), Some(expected)));
    assert!(report["next"].to_string().contains("copy the token again"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_credential_is_refused_with_help() {
    let world = World::new().await;
    for arguments in [
        &["--upstash-email", "me@example.com", "--upstash-api-key-file", "none"][..],
        &["--upstash-email", "me@example.com", "--upstash-api-key-file", "."],
        &["--upstash-email", "me@example.com", "--upstash-api-key-env", "UNSET"],
        &["--upstash-email", "me@example.com"],
    ] {
        let (code, report) = world.run(&[&["check"], arguments].concat()).await;
        assert_eq!(code, 2, "{arguments:?}: {report}");
        assert!(report["next"].to_string().contains("UPSTASH_API_KEY"), "{arguments:?}: {report}");
    }
}

/// Starts servers that misbehave. Returns what each does, and its URL.
async fn misbehaving() -> Vec<(&'static str, String)> {
    let html = b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 22\r\n\r\n<html>proxy</html>\r\n\r\n";
    let half =
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"id\":";
    let mut huge = b"HTTP/1.1 200 OK\r\ncontent-length: 10485760\r\n\r\n".to_vec();
    huge.resize(10 << 20, b' ');
    vec![
        ("html", servers::responding(html.to_vec()).await),
        ("half a body", servers::responding(half.to_vec()).await),
        ("10 MB", servers::responding(huge).await),
        ("nothing", servers::silent().await),
        ("refused connections", servers::unreachable().await),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn misbehaving_servers_are_named_and_nothing_is_reset() {
    let world = World::new().await;
    for (how, url) in misbehaving().await {
        for table in [
            format!(
                "[sinks.ci]\nkind = \"github-actions\"\nrepositories = [\"acme/api\"]\napi_url = \"{url}\"\n"
            ),
            format!(
                "[sinks.prod]\nkind = \"aws-secrets-manager\"\nsecret_id = \"prod\"\nregion = \"eu-central-1\"\nendpoint_url = \"{url}\"\n"
            ),
        ] {
            world.config(&format!("{table}timeout = \"1s\"\n"));
            let (code, report) = world.run(&["reset", "--yes"]).await;
            let words = words(&report);
            assert_eq!(code, 1, "{how}: {report}");
            assert!(words.contains("not ready: "), "{how}: {words}");
            assert_clear(&report);
        }
    }
    assert_eq!(world.posts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misbehaving_upstash_is_named_and_nothing_is_reset() {
    let world = World::new().await;
    for (how, url) in misbehaving().await {
        world.file(
            "tokensink.toml",
            &format!("[upstash]\napi_url = \"{url}\"\ntimeout = \"1s\"\n{DOTENV}"),
        );
        let (code, report) = world.run(&["reset", "--yes"]).await;
        assert_eq!(code, 1, "{how}: {report}");
        assert_clear(&report);
    }
    assert!(world.sandbox.upstash.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misbehaving_qstash_is_named_and_nothing_is_reset() {
    let world = World::new().await;
    for (how, url) in misbehaving().await {
        let api = world.sandbox.upstash.url();
        let upstash =
            format!("[upstash]\napi_url = \"{api}\"\nqstash_url = \"{url}\"\ntimeout = \"1s\"\n");
        world.file("tokensink.toml", &format!("{upstash}{DOTENV}"));
        let (code, report) = world.run(&["reset", "--yes"]).await;
        assert_eq!((code, world.posts()), (1, 0), "{how}: {report}");
        assert_clear(&report);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_error_status_of_upstash_has_an_error_of_its_own() {
    let world = World::new().await;
    let answer = |status: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
    };
    let mut seen: Vec<Value> = Vec::new();
    for (status, body) in [
        ("401 Unauthorized", "{\"error\":\"unauthorized\"}"),
        ("403 Forbidden", "{\"error\":\"forbidden\"}"),
        ("404 Not Found", "{\"error\":\"not found\"}"),
        ("429 Too Many Requests", "\"Too many requests\""),
        ("500 Internal Server Error", "{\"error\":\"oops\"}"),
    ] {
        let url = servers::responding(answer(status, body)).await;
        world.file(
            "tokensink.toml",
            &format!("[upstash]\napi_url = \"{url}\"\ntimeout = \"1s\"\n{DOTENV}"),
        );
        let (code, report) = world.run(&["check"]).await;
        assert_eq!(code, 1, "{status}: {report}");
        assert!(!seen.contains(&report["errors"]), "{status}: {report}");
        assert_clear(&report);
        seen.push(report["errors"].clone());
    }
}

/// Opens `pipe` for writing as soon as a program reads it. Reading does not end before the result is
/// dropped.
async fn writer_of(pipe: &Path) -> OwnedFd {
    let mut writer = None;
    until("the pipe is read", || {
        // Without a reader this fails.
        writer = open(pipe, OFlags::WRONLY | OFlags::NONBLOCK, Mode::empty()).ok();
        writer.is_some()
    })
    .await;
    writer.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_never_ends_does_not_delay_an_interrupt() {
    const KEY: &[&str] = &["--upstash-email", "me@x", "--upstash-api-key-file", "key"];
    for (pipe, arguments) in [
        ("key", KEY),
        ("config.toml", &["--config", "config.toml"]),
        ("home/.config/tokensink/config.toml", &[]),
    ] {
        for signal in [Signal::INT, Signal::TERM] {
            let world = World::new().await;
            let pipe = world.directory.path().join(pipe);
            fs::create_dir_all(pipe.parent().unwrap()).unwrap();
            mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
            let arguments = [&["check", "--output", "json"], arguments].concat();
            let child = world.command(&arguments).spawn().unwrap();
            let _writer = writer_of(&pipe).await;
            let process = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
            kill_process(process, signal).unwrap();
            let output = timeout(Duration::from_secs(20), child.wait_with_output());
            let output = output.await.expect("the program should end").unwrap();
            let report: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(output.status.code(), Some(1), "{pipe:?} {signal:?}: {report}");
            assert_eq!(report["errors"][0], "interrupted", "{pipe:?} {signal:?}: {report}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_file_that_is_too_large_is_refused() {
    let world = World::new().await;
    world.file("key", &"k".repeat((64 << 10) + 1));
    let (code, report) =
        world.run(&["check", "--upstash-email", "me@x", "--upstash-api-key-file", "key"]).await;
    assert!(code == 2 && words(&report).contains("larger than 64 KB"), "{report}");
}
