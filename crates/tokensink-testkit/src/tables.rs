//! Builds sinks from a table, like the CLI.

use serde_json::Value;
use tokensink_core::{BuildContext, Environment, HostPolicy, Registry, SinkError, TokenSink};

/// Builds the sinks of a table of `kind`, with the root directory as base and with these environment
/// variables. Loopback hosts, where fake servers listen, are allowed.
///
/// # Errors
///
/// The errors of the table, or an error if the kind is not linked.
pub fn build(
    kind: &str,
    table: Value,
    variables: &[(&str, &str)],
) -> Result<Vec<Box<dyn TokenSink>>, Vec<SinkError>> {
    let environment: Environment =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let hosts = HostPolicy::allowing(["127.0.0.1", "localhost", "[::1]"]);
    build_in(kind, table, &BuildContext::new("/", environment).with_hosts(hosts))
}

/// Builds the sinks of a table of `kind` in `context`.
///
/// # Errors
///
/// The errors of the table, or an error if the kind is not linked.
pub fn build_in(
    kind: &str,
    table: Value,
    context: &BuildContext,
) -> Result<Vec<Box<dyn TokenSink>>, Vec<SinkError>> {
    let error = |text: String| vec![SinkError::config(text)];
    let registry = Registry::linked().map_err(|problem| error(problem.to_string()))?;
    let factory =
        registry.get(kind).ok_or_else(|| error(format!("the kind {kind} is not linked")))?;
    let Value::Object(options) = table else { return Err(error("expected a table".to_owned())) };
    factory.build(options, context)
}
