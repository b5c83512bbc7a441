//! The real program against the stand-ins: exit codes, words, bytes, requests.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokensink_sandbox::{ResetFault, Sandbox};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

const REPOSITORY_SECRET: &str = "repos/acme/api/actions/secrets/QSTASH_TOKEN";

struct World {
    sandbox: Sandbox,
    qstash: String,
    folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let sandbox = Sandbox::start().await.unwrap();
        let qstash = sandbox.upstash.add_user("eu-central-1");
        let token = sandbox.upstash.token(&qstash).unwrap();
        sandbox.github.add_repository("acme/api");
        sandbox.github.put_as_stranger(REPOSITORY_SECRET, &token);
        sandbox.aws.put_as_stranger("prod", &format!("{{\"T\":\"{token}\",\"n\":1.0}}"));
        let world = Self { sandbox, qstash, folder: tempfile::tempdir().unwrap() };
        world.file(".env", &format!("A=1\nQSTASH_TOKEN={token}\n"));
        world.file("token", &token);
        world.config(&world.sinks());
        world
    }

    fn file(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap()
    }

    fn config(&self, sinks: &str) {
        let upstash = &self.sandbox.upstash;
        self.file(
            "tokensink.toml",
            &format!(
                "[upstash]\napi_url = \"{}\"\nqstash_url = \"{}\"\nsettle = \"2s\"\n{sinks}",
                upstash.url(),
                upstash.qstash_url()
            ),
        );
    }

    fn sinks(&self) -> String {
        format!(
            "[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n\
             [sinks.own]\nkind = \"file\"\npath = \"token\"\n\
             [sinks.ci]\nkind = \"github-actions\"\nrepositories = [\"acme/api\"]\napi_url = \"{}\"\n\
             [sinks.prod]\nkind = \"aws-secrets-manager\"\nsecret_id = \"prod\"\njson_key = \"T\"\n\
             region = \"eu-central-1\"\nendpoint_url = \"{}\"\n",
            self.sandbox.github.url(),
            self.sandbox.aws.url()
        )
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokensink-with-file-sink"));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path().join("home"))
            .env("RUST_LOG", "trace")
            .env("UPSTASH_EMAIL", self.sandbox.upstash.email())
            .env("UPSTASH_API_KEY", self.sandbox.upstash.api_key())
            .env("GH_TOKEN", self.sandbox.github.token())
            .env("AWS_ACCESS_KEY_ID", self.sandbox.aws.access_key_id())
            .env("AWS_SECRET_ACCESS_KEY", "aws-secret-access-key")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs to the end; whatever was printed or kept must show no secret, old or new.
    async fn finish(&self, mut command: Command, input: &str) -> Output {
        let mut secrets = vec![self.live(), self.sandbox.upstash.api_key()];
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output());
        let output = output.await.unwrap().unwrap();
        secrets.extend([self.live(), self.sandbox.github.token().to_owned()]);
        secrets.push("aws-secret-access-key".to_owned());
        let mut left = output.stdout.clone();
        left.extend(&output.stderr);
        collect(&self.folder.path().join("home"), &mut left);
        let left = String::from_utf8_lossy(&left);
        for secret in secrets {
            assert!(!left.contains(&secret), "a secret was shown:\n{left}");
        }
        output
    }

    async fn run(&self, arguments: &[&str]) -> (i32, Value) {
        let arguments = [arguments, &["--output", "json"]].concat();
        let output = self.finish(self.command(&arguments), "").await;
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {output:?}");
        });
        (output.status.code().unwrap(), report)
    }

    fn live(&self) -> String {
        self.sandbox.upstash.token(&self.qstash).unwrap()
    }

    fn posts(&self) -> usize {
        let requests = self.sandbox.upstash.requests();
        requests.iter().filter(|request| request.method == "POST").count()
    }

    fn assert_everywhere(&self, token: &str) {
        assert_eq!(self.read(".env"), format!("A=1\nQSTASH_TOKEN={token}\n"));
        assert_eq!(self.read("token"), token);
        assert_eq!(self.sandbox.github.secret(REPOSITORY_SECRET).as_deref(), Some(token));
        assert_eq!(
            self.sandbox.aws.value("prod").unwrap(),
            format!("{{\"T\":\"{token}\",\"n\":1.0}}")
        );
    }
}

fn collect(folder: &Path, into: &mut Vec<u8>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else {
            into.extend(fs::read(&path).unwrap());
        }
    }
}

fn words(report: &Value) -> String {
    format!("{} {}", report["errors"], report["next"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_reaches_every_sink() {
    let world = World::new().await;
    let before = world.live();
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert_eq!((code, report["outcome"].as_str()), (0, Some("complete")), "{report}");
    assert_ne!(world.live(), before);
    world.assert_everywhere(&world.live());
    assert_eq!(world.posts(), 1);
    let sinks = report["sinks"].as_array().unwrap();
    assert_eq!(sinks.len(), 4);
    for sink in sinks {
        assert_eq!(sink["state"], "current", "{sink}");
        assert!(sink["outage_ms"].is_u64(), "{sink}");
    }
    assert_eq!(report["schema"], "tokensink.report/1");
    let (code, report) = world.run(&["check"]).await;
    assert_eq!((code, report["outcome"].as_str()), (0, Some("ready")), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsed_reset_is_still_one_reset() {
    let world = World::new().await;
    let (code, report) = world.run(&["reset", "--yes", "--rehearse"]).await;
    assert_eq!(code, 0, "{report}");
    world.assert_everywhere(&world.live());
    assert_eq!(world.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_reset_without_a_yes_or_with_an_unready_sink() {
    let world = World::new().await;
    let (code, report) = world.run(&["reset"]).await;
    assert!(code == 1 && words(&report).contains("--yes"), "{report}");
    fs::remove_file(world.folder.path().join("token")).unwrap();
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert!(code == 1 && words(&report).contains("create it first"), "{report}");
    assert_eq!(world.posts(), 0);
    let (code, report) = world.run(&["reset", "--yes", "--skip", "own"]).await;
    assert_eq!(code, 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_found_out_without_a_second_reset() {
    for fault in [
        ResetFault::LostAnswer,
        ResetFault::NoTokenInAnswer,
        ResetFault::LandsAfter(Duration::from_secs(1)),
    ] {
        let world = World::new().await;
        world.sandbox.upstash.fail_next_reset(fault);
        let (code, report) = world.run(&["reset", "--yes"]).await;
        assert_eq!(code, 0, "{report}");
        world.assert_everywhere(&world.live());
        assert_eq!((world.posts(), world.sandbox.upstash.resets(&world.qstash)), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_is_said_and_sync_repairs_it() {
    let world = World::new().await;
    world.sandbox.upstash.fail_next_reset(ResetFault::Nothing);
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert!(code == 4 && words(&report).contains("do not reset again"), "{report}");
    assert_eq!(world.posts(), 1);
    world.sandbox.upstash.reset_as_stranger(&world.qstash);
    let (code, report) = world.run(&["status"]).await;
    assert_eq!(code, 5, "{report}");
    let (code, report) = world.run(&["sync"]).await;
    assert_eq!(code, 0, "{report}");
    world.assert_everywhere(&world.live());
    assert_eq!(world.posts(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_reset_changes_nothing() {
    let world = World::new().await;
    let before = world.live();
    world.sandbox.upstash.fail_next_reset(ResetFault::Refused(403, r#"{"error":"no"}"#));
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert!(code == 1 && words(&report).contains("--token-stdin"), "{report}");
    world.assert_everywhere(&before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pasted_token_needs_no_upstash_credential() {
    let world = World::new().await;
    world.sandbox.upstash.reset_as_stranger(&world.qstash);
    let mut command = world.command(&["sync", "--token-stdin", "--output", "json"]);
    command.env_remove("UPSTASH_EMAIL").env_remove("UPSTASH_API_KEY");
    let output = world.finish(command, &format!("{}\n", world.live())).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    world.assert_everywhere(&world.live());
    let mut command = world.command(&["sync", "--token-stdin"]);
    command.env_remove("UPSTASH_EMAIL").env_remove("UPSTASH_API_KEY");
    let output = world.finish(command, "dead-token").await;
    assert_eq!(output.status.code(), Some(4), "{output:?}");
}

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
    assert_eq!((code, kinds), (0, vec!["aws-secrets-manager", "dotenv", "file", "github-actions"]));
    let (code, report) = world.run(&["reset", "--no-such-flag"]).await;
    assert_eq!((code, report["outcome"].as_str()), (2, Some("invalid")));
}
