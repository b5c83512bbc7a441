//! The sinks and the fake servers against third-party programs: servers, clients and readers that
//! `cargo xtask test` installs below `target/peers`.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod aws;
mod dotenv;
#[allow(dead_code, reason = "other tests cut its connections")]
#[path = "../end_to_end/support/fault_proxy.rs"]
mod fault_proxy;
mod faults;
mod github;
mod process;
mod upstash;

use serde_json::{Map, Value};
use tokensink_cli as _;
use tokensink_core::{BuildContext, Environment, Registry, SinkError, SinkFactory, TokenSink};

/// Returns the factory of a built-in kind.
fn factory(kind: &str) -> &'static SinkFactory {
    Registry::linked().unwrap().get(kind).unwrap()
}

fn sinks(kind: &str, table: &Value, context: &BuildContext) -> Vec<Box<dyn TokenSink>> {
    let built: Result<_, Vec<SinkError>> = factory(kind).build(options(table), context);
    built.unwrap()
}

/// Builds the first sink of a table.
fn sink(kind: &str, table: &Value, context: &BuildContext) -> Box<dyn TokenSink> {
    sinks(kind, table, context).remove(0)
}

fn options(table: &Value) -> Map<String, Value> {
    table.as_object().unwrap().clone()
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
