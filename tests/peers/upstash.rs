//! Upstash's own command line as a second client of the stand-in: both must see one account.

use std::time::Duration;

use serde_json::Value;
use tokensink_core::TokenIssuer as _;
use tokensink_http::parse_base_url;
use tokensink_sandbox::Upstash as StandIn;
use tokensink_upstash::{Credentials, Named, Settings, Upstash};

use crate::environment;
use crate::process::{here, node};

/// Runs `upstash qstash …` against the stand-in, and returns what it prints as JSON.
async fn upstash(stand_in: &StandIn, arguments: &[&str]) -> Value {
    let mut command = node("@upstash/cli/dist/cli.js");
    command
        .arg("qstash")
        .args(arguments)
        .env("NODE_OPTIONS", format!("--import={}", here("redirect.mjs").display()))
        .env("UPSTASH_STAND_IN", stand_in.url())
        .env("UPSTASH_EMAIL", stand_in.email())
        .env("UPSTASH_API_KEY", stand_in.api_key());
    let output = tokio::process::Command::from(command).output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

async fn connected(stand_in: &StandIn) -> Upstash {
    let api_key = stand_in.api_key();
    let variables = [("UPSTASH_EMAIL", stand_in.email()), ("UPSTASH_API_KEY", api_key.as_str())];
    let credentials = Credentials::find(&Named::default(), &environment(&variables)).unwrap();
    let settings = Settings {
        api_url: parse_base_url(&stand_in.url()).unwrap(),
        qstash_url: Some(parse_base_url(&stand_in.qstash_url()).unwrap()),
        id: None,
        region: None,
        timeout: Duration::from_secs(5),
    };
    Upstash::connect(&credentials, &settings).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn upstashs_own_command_line_and_the_issuer_see_one_account() {
    let stand_in = StandIn::start().await.unwrap();
    let id = stand_in.add_user("eu-central-1");
    let issuer = connected(&stand_in).await;

    let listed = upstash(&stand_in, &["list"]).await;
    assert_eq!(listed[0]["id"], id.as_str(), "{listed}");
    let shown = upstash(&stand_in, &["get", "--qstash-id", &id]).await;
    assert_eq!(shown["token"], issuer.current().await.unwrap().token.expose());

    let rotated = upstash(&stand_in, &["rotate-token", "--qstash-id", &id]).await;
    let current = issuer.current().await.unwrap().token;
    assert_eq!(rotated["token"], current.expose());
    assert!(issuer.accepts(&current).await.unwrap());

    let reset = issuer.reset().await.unwrap().token;
    let shown = upstash(&stand_in, &["get", "--qstash-id", &id]).await;
    assert_eq!(shown["token"], reset.expose());
    assert_eq!(stand_in.resets(&id), 2);
}
