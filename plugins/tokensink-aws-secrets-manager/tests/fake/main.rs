//! Tests of the sink with the fake AWS Secrets Manager.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod lag;
mod preparation;
mod refusals;
mod values;
mod writes;

use serde_json::{Value, json};
use tokensink_aws_secrets_manager as _;
use tokensink_core::{
    BuildContext, Content, Environment, HeldValue, HostPolicy, Receipt, Registry, SinkError,
    SinkErrorKind, TokenSink,
};
use tokensink_sandbox::Aws;

const NAME: &str = "prod/qstash";

fn build(
    table: Value,
    variables: &[(&str, &str)],
) -> Result<Vec<Box<dyn TokenSink>>, Vec<SinkError>> {
    tokensink_testkit::build("aws-secrets-manager", table, variables)
}

fn sink_at(url: &str, key_id: &str, mut table: Value) -> Box<dyn TokenSink> {
    table["secret_id"] = json!(NAME);
    table["region"] = json!("eu-central-1");
    table["endpoint_url"] = json!(url);
    let keys = [("AWS_ACCESS_KEY_ID", key_id), ("AWS_SECRET_ACCESS_KEY", "any")];
    build(table, &keys).unwrap().remove(0)
}

fn sink(aws: &Aws, table: Value) -> Box<dyn TokenSink> {
    sink_at(&aws.url(), aws.access_key_id(), table)
}

/// Builds a sink with `replace = "anything"`.
fn replacing_anything(aws: &Aws, mut table: Value) -> Box<dyn TokenSink> {
    table["secret_id"] = json!(NAME);
    table["region"] = json!("eu-central-1");
    table["endpoint_url"] = json!(aws.url());
    let keys = [("AWS_ACCESS_KEY_ID", aws.access_key_id()), ("AWS_SECRET_ACCESS_KEY", "any")];
    let variables = keys.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let context = BuildContext::new("/", Environment::from_iter(variables))
        .with_hosts(HostPolicy::allowing(["127.0.0.1"]))
        .replacing_anything();
    let factory = Registry::linked().unwrap().get("aws-secrets-manager").unwrap();
    factory.build(table.as_object().unwrap().clone(), &context).unwrap().remove(0)
}

fn json_sink(aws: &Aws) -> Box<dyn TokenSink> {
    sink(aws, json!({"json_key": "T"}))
}

async fn refusal(sink: &dyn TokenSink) -> (SinkErrorKind, String) {
    let error = sink.prepare().await.unwrap_err();
    (error.kind(), format!("{error} {}", error.help().unwrap_or_default()))
}

fn operations(aws: &Aws) -> Vec<String> {
    let name = |operation: String| operation.rsplit('.').next().unwrap().to_owned();
    aws.requests().into_iter().filter_map(|request| request.operation.map(name)).collect()
}

async fn content(sink: &dyn TokenSink, last: Option<&Receipt>) -> Content {
    sink.inspect(last).await.unwrap().content
}

fn held(value: &str) -> Content {
    Content::Value(HeldValue::of(value))
}
