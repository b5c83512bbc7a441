//! Upstash's own command line as another client of the fake: both must see the same account.

use std::time::Duration;

use serde_json::Value;
use tokensink_core::{TokenIssuer as _, TokenSource as _};
use tokensink_http::parse_base_url;
use tokensink_sandbox::Upstash as FakeUpstash;
use tokensink_upstash::{IssuerSettings, Named, UpstashCredentials, UpstashIssuer};

use crate::environment;
use crate::process::{here, node};

/// Runs `upstash qstash …` against the fake, and returns what it prints as JSON.
async fn upstash(fake: &FakeUpstash, arguments: &[&str]) -> Value {
    let mut command = node("@upstash/cli/dist/cli.js");
    command
        .arg("qstash")
        .args(arguments)
        .env("NODE_OPTIONS", format!("--import={}", here("redirect.mjs").display()))
        .env("UPSTASH_FAKE", fake.url())
        .env("UPSTASH_EMAIL", fake.email())
        .env("UPSTASH_API_KEY", fake.api_key());
    let output = tokio::process::Command::from(command).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// The credentials are in variables: no file is read.
fn no_file(_: &std::path::Path) -> std::io::Result<tokensink_core::Secret> {
    Err(std::io::ErrorKind::NotFound.into())
}

async fn connected(fake: &FakeUpstash) -> UpstashIssuer {
    let api_key = fake.api_key();
    let variables = [("UPSTASH_EMAIL", fake.email()), ("UPSTASH_API_KEY", api_key.as_str())];
    let credentials =
        UpstashCredentials::find(&Named::default(), &environment(&variables), &no_file).unwrap();
    let settings = IssuerSettings {
        api_url: parse_base_url(&fake.url()).unwrap(),
        qstash_url: Some(parse_base_url(&fake.qstash_url()).unwrap()),
        id: None,
        region: None,
        timeout: Duration::from_secs(5),
    };
    UpstashIssuer::connect(&credentials, &settings).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn upstashs_own_command_line_and_the_issuer_see_one_account() {
    let fake = FakeUpstash::start().await.unwrap();
    let id = fake.add_user("eu-central-1");
    let issuer = connected(&fake).await;

    let listed = upstash(&fake, &["list"]).await;
    assert_eq!(listed[0]["id"], id.as_str(), "{listed}");
    let shown = upstash(&fake, &["get", "--qstash-id", &id]).await;
    assert_eq!(shown["token"], issuer.current().await.unwrap().token.expose());

    let rotated = upstash(&fake, &["rotate-token", "--qstash-id", &id]).await;
    let current = issuer.current().await.unwrap().token;
    assert_eq!(rotated["token"], current.expose());
    assert!(issuer.accepts(&current).await.unwrap());

    let reset = issuer.reset().await.unwrap().token;
    let shown = upstash(&fake, &["get", "--qstash-id", &id]).await;
    assert_eq!(shown["token"], reset.expose());
    assert_eq!(fake.resets(&id), 2);
}
