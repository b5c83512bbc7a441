//! No secret leaves by a side door. Every test that goes through [`World::run`] looks for leaks too;
//! here are the doors that need a visitor of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::servers;
use crate::world::{World, carries, words};

#[test]
fn a_leak_would_be_seen_in_every_form() {
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
async fn a_plugin_that_panics_with_the_token_in_its_mouth_is_gagged() {
    let world = World::new().await;
    world.config(&format!("{}[sinks.bad]\nkind = \"panicking\"\n", world.sinks()));
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert!(code == 3 && words(&report).contains("the plugin panicked"), "{report}");
    world.assert_everywhere(&world.live());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_process_inherits_no_secret() {
    let world = World::new().await;
    let (bin, seen) = (world.folder.path().join("home/bin"), world.folder.path().join("home/seen"));
    fs::create_dir_all(&bin).unwrap();
    let token = world.sandbox.github.token();
    let script =
        format!("#!/bin/sh\nenv > '{}'\nprintf %s \"$*\" >> '{0}'\necho {token}\n", seen.display());
    fs::write(bin.join("gh"), script).unwrap();
    fs::set_permissions(bin.join("gh"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = world.command(&["reset", "--yes", "--output", "json"]);
    command.env_remove("GH_TOKEN").env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    let child = command.spawn().unwrap();
    let output = child.wait_with_output().await.unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report}");
    let seen = fs::read_to_string(seen).unwrap();
    // Another host's login must not be sent to github.com.
    let asked = "auth token --hostname github.com";
    assert!(seen.contains("HOME=") && seen.ends_with(asked), "{seen}");
    for secret in
        [world.live(), world.sandbox.upstash.api_key(), "aws-secret-access-key".to_owned()]
    {
        assert!(!carries(&seen, &secret), "{seen}");
    }
}

/// A server that repeats what it was sent, as some proxies do.
async fn echoing(what: &str) -> String {
    let body = format!("{{\"error\":\"bad header {what}\",\"message\":\"bad header {what}\"}}");
    let answer = format!("HTTP/1.1 500 Oops\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    servers::saying(answer.into_bytes()).await
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
