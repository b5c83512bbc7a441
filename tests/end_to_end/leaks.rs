//! Secrets do not leak through panics, child processes, memory or servers' responses. Every test that uses
//! [`World::run`] searches the output and the files for secrets as well.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::geteuid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::support::servers;
use crate::support::world::{AWS_SECRET, PROGRAM, World, assert_without, carries, words};

#[test]
fn a_secret_is_recognized_in_every_form() {
    let secret = "eyJVc2VySUQiOiJ4In0=+/secret";
    for text in [
        format!("x{secret}y"),
        "token=eyJVc2VySUQiOiJ4In0%3D%2B%2Fsecret&".to_owned(),
        "ZXlKVmMyVnlTVVFpT2lKNEluMD0rL3NlY3JldA==".to_owned(),
        "bWVAeC5pbzpleUpWYzJWeVNVUWlPaUo0SW4wPSsvc2VjcmV0".to_owned(),
    ] {
        assert!(carries(&text, secret), "{text}");
    }
    assert!(!carries("eyJVc2VySUQiOiJ5In0=", secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_message_of_a_panic_is_not_printed() {
    let world = World::new().await;
    world.config(&format!("{}[sinks.bad]\nkind = \"panicking\"\n", world.sinks()));
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert!(code == 3 && words(&report).contains("the plugin panicked"), "{report}");
    world.assert_everywhere(&world.live());
}

/// Creates a program in the project that writes its environment to a file, and then prints `answer`.
fn spy(world: &World, name: &str, answer: &str) -> (PathBuf, PathBuf) {
    let (bin, seen) =
        (world.directory.path().join("home/bin"), world.directory.path().join("seen"));
    fs::create_dir_all(&bin).unwrap();
    let script = format!(
        "#!/bin/sh\ncat /proc/$$/environ /proc/$$/cmdline | tr '\\0' '\\n' > '{}'\necho '{answer}'\n",
        seen.display()
    );
    fs::write(bin.join(name), script).unwrap();
    fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    (bin, seen)
}

/// Credentials in the environment that no child process needs.
const OTHERS: [&str; 6] = [
    "QSTASH_TOKEN",
    "EU_CENTRAL_1_QSTASH_TOKEN",
    "US_EAST_1_QSTASH_TOKEN",
    "GITHUB_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_github_cli_inherits_no_secret() {
    let world = World::new().await;
    let (bin, seen) = spy(&world, "gh", world.sandbox.github.token());
    let mut command = world.command(&["reset", "--yes", "--output", "json"]);
    command.env_remove("GH_TOKEN").env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    let (output, _) = world.collect(command, "").await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let seen = fs::read_to_string(seen).unwrap();
    // Another host's login must not be sent to github.com.
    let asked = "auth\ntoken\n--hostname\ngithub.com\n";
    assert!(seen.contains("HOME=") && seen.contains(asked), "{seen}");
    let secrets = [world.live(), world.sandbox.upstash.api_key(), AWS_SECRET.to_owned()];
    assert_without(&seen, &secrets);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credential_process_of_an_aws_profile_inherits_no_secret() {
    let world = World::new().await;
    let answer = format!(
        "{{\"Version\": 1, \"AccessKeyId\": \"{}\", \"SecretAccessKey\": \"{AWS_SECRET}\"}}",
        world.sandbox.aws.access_key_id()
    );
    let (bin, seen) = spy(&world, "broker", &answer);
    let profile =
        format!("[profile spied]\ncredential_process = {}\n", bin.join("broker").display());
    world.file("aws", &profile);
    let sinks = world.sinks().replace("secret_id =", "profile = \"spied\"\nsecret_id =");
    world.config(&sinks);
    let before = world.live();
    let arguments =
        ["--upstash-email", world.sandbox.upstash.email(), "--upstash-api-key-env", "OUR_KEY"];
    for arguments in [&[][..], &arguments] {
        let mut command =
            world.command(&[&["reset", "--yes", "--output", "json"], arguments].concat());
        command.env("AWS_CONFIG_FILE", world.directory.path().join("aws"));
        command.env("PATH", "/usr/bin:/bin").env("OUR_KEY", world.sandbox.upstash.api_key());
        if arguments.is_empty() {
            command.env_remove("OUR_KEY");
        }
        command.env_remove("AWS_SECRET_ACCESS_KEY").env_remove("AWS_ACCESS_KEY_ID");
        command.envs(OTHERS.map(|name| (name, "somebody-elses-secret")));
        let (output, _) = world.collect(command, "").await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let seen = fs::read_to_string(&seen).unwrap();
        assert!(seen.contains("HOME=") && seen.contains("broker"), "{seen}");
        let (upstash, github) = (&world.sandbox.upstash, &world.sandbox.github);
        let secrets = [before.clone(), world.live(), upstash.api_key(), github.token().to_owned()];
        assert_without(&seen, &secrets);
        assert_without(&seen, &["somebody-elses-secret".to_owned()]);
    }
}

/// Returns the account's read-only token, which is also a credential.
async fn read_only_token(world: &World) -> String {
    let upstash = &world.sandbox.upstash;
    let url = format!("{}/qstash/user/{}", upstash.url(), world.qstash);
    let asked = reqwest::Client::new().get(url);
    let answer = asked.basic_auth(upstash.email(), Some(upstash.api_key())).send().await.unwrap();
    let user: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    user["read_only_token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_read_only_token_is_never_shown() {
    let world = World::new().await;
    let commands =
        [&["check"][..], &["status"], &["sync", "--yes"], &["reset", "--yes"], &["history"]];
    for arguments in commands {
        for output in [&[][..], &["--output", "json"]] {
            let before = read_only_token(&world).await;
            let (_, left) = world.collect(world.command(&[arguments, output].concat()), "").await;
            assert_without(&left, &[before, read_only_token(&world).await]);
        }
    }
    let (output, left) = world.collect(world.command(&["reset", "--yes"]), "").await;
    // The report says that the read-only token changed, without its value.
    assert!(output.status.success() && left.contains("`read_only_token` changed"), "{left}");
}

/// Linux lets a user read the memory of their own processes, unless a process forbids it: its files in
/// `/proc` belong to root then.
#[tokio::test(flavor = "multi_thread")]
async fn other_processes_cannot_read_the_memory_of_a_run() {
    const STRANGER: u32 = 12_345;
    let world = World::new().await;
    let home = world.directory.path().join("home");
    let program = home.join("tokensink");
    fs::copy(PROGRAM, &program).unwrap();
    let open = fs::Permissions::from_mode(0o777);
    for place in [world.directory.path(), &home, &home.join("tmp"), &program] {
        fs::set_permissions(place, open.clone()).unwrap();
    }
    let mut command = world.place(Command::new(&program));
    command.arg("sandbox");
    // For root this cannot be observed: the files belong to root in either case.
    let owner = if geteuid().is_root() {
        command.uid(STRANGER);
        STRANGER
    } else {
        geteuid().as_raw()
    };
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().is_some(), "it should run");
    let about = |what: &str| PathBuf::from(format!("/proc/{}/{what}", child.id().unwrap()));
    assert_ne!(fs::metadata(about("environ")).unwrap().uid(), owner);
    let limits = fs::read_to_string(about("limits")).unwrap();
    let limit = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(limit.split_whitespace().nth(4), Some("0"), "{limit}");
    child.kill().await.unwrap();
}

/// Starts a server that repeats the request in its response, as some proxies do.
async fn echoing(what: &str) -> String {
    let body = format!("{{\"error\":\"bad header {what}\",\"message\":\"bad header {what}\"}}");
    let answer = format!("HTTP/1.1 500 Oops\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    servers::responding(answer.into_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_echoes_a_secret_is_redacted() {
    let world = World::new().await;
    let key = world.sandbox.upstash.api_key();
    let basic = STANDARD.encode(format!("{}:{key}", world.sandbox.upstash.email()));
    let url = echoing(&format!("Basic {basic} of {key}")).await;
    let sinks = world.sinks();
    let upstash = format!("[upstash]\napi_url = \"{url}\"\ntimeout = \"1s\"\n{sinks}");
    world.file("tokensink.toml", &upstash);
    let (code, report) = world.run(&["check"]).await;
    assert!(code == 1 && words(&report).contains("[redacted]"), "{report}");

    let url = echoing(&format!("Bearer {}", world.sandbox.github.token())).await;
    world.config(&format!(
        "[sinks.ci]\nkind = \"github-actions\"\ntimeout = \"2s\"\nrepositories = [\"acme/api\"]\napi_url = \"{url}\"\n"
    ));
    let (code, report) = world.run(&["check"]).await;
    assert!(code == 1 && words(&report).contains("[redacted]"), "{report}");
}
