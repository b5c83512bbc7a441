//! What a linked kind builds from a table, as the command line has it built.

use serde_json::Value;
use tokensink_core::{BuildContext, Environment, Registry, SinkError, TokenSink};

/// The sinks of a table of `kind`, below the root folder and with these variables set.
///
/// # Errors
///
/// The mistakes of the table. That the kind is not linked is one, too.
pub fn build(
    kind: &str,
    table: Value,
    variables: &[(&str, &str)],
) -> Result<Vec<Box<dyn TokenSink>>, Vec<SinkError>> {
    let mistake = |text: String| vec![SinkError::config(text)];
    let registry = Registry::linked().map_err(|error| mistake(error.to_string()))?;
    let factory =
        registry.get(kind).ok_or_else(|| mistake(format!("the kind {kind} is not linked")))?;
    let Value::Object(options) = table else { return Err(mistake("expected a table".to_owned())) };
    let environment: Environment =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    factory.build(options, &BuildContext::new("/", environment))
}
