//! Tests of the sink with the fake GitHub.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod evidence;
mod limits;
mod organizations;
mod permissions;
mod repositories;
mod survey;
mod writes;

use serde_json::{Value, json};
use tokensink_core::{Receipt, SinkError, SinkErrorKind, Token, TokenSink};
use tokensink_github_actions as _;
use tokensink_sandbox::GitHub;

const SECRET: &str = "repos/acme/api/actions/secrets/QSTASH_TOKEN";

fn build(
    table: Value,
    variables: &[(&str, &str)],
) -> Result<Vec<Box<dyn TokenSink>>, Vec<SinkError>> {
    tokensink_testkit::build("github-actions", table, variables)
}

fn sink(github: &GitHub, mut table: Value) -> Box<dyn TokenSink> {
    table["api_url"] = json!(github.url());
    build(table, &[("GH_TOKEN", github.token())]).unwrap().remove(0)
}

fn api_sink(github: &GitHub) -> Box<dyn TokenSink> {
    sink(github, json!({"repositories": ["acme/api"]}))
}

async fn write(sink: &dyn TokenSink, token: &str) -> Receipt {
    sink.prepare().await.unwrap().writer.write(&Token::new(token)).await.unwrap()
}

async fn refusal(sink: &dyn TokenSink) -> (SinkErrorKind, String) {
    let error = sink.prepare().await.unwrap_err();
    (error.kind(), format!("{error} {}", error.help().unwrap_or_default()))
}

async fn github() -> GitHub {
    let github = GitHub::start().await.unwrap();
    github.add_repository("acme/api");
    github
}
