//! Describes a value that has the wrong type, in the words of a config file rather than of a parser.

use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// Compares the value at `path` in `table` with `schema`. Returns what was expected, and what was found
/// instead; `None` if the schema does not say what is wrong.
pub(crate) fn value_problem(table: &Value, schema: &Value, path: &Path) -> Option<String> {
    let (mut value, mut expected) = (table, schema);
    for segment in path.iter() {
        match segment {
            Segment::Map { key } => {
                value = value.get(key)?;
                expected = resolve(schema, expected.get("properties")?.get(key)?)?;
            }
            Segment::Seq { index } => {
                value = value.get(index)?;
                expected = resolve(schema, expected.get("items")?)?;
            }
            Segment::Enum { .. } | Segment::Unknown => return None,
        }
    }
    let choices = choices(expected);
    if !choices.is_empty() {
        return Some(format!("expected one of: {}", choices.join(", ")));
    }
    let types = types(expected);
    let found = type_of(value);
    // A whole number is also a number.
    let is_expected = types.contains(&found) || found == "integer" && types.contains(&"number");
    let name = types.first().filter(|_| !is_expected)?;
    let found = match value {
        Value::Bool(value) => value.to_string(),
        _ => describe(found).to_owned(),
    };
    Some(format!("expected {}, found {found}", describe(name)))
}

/// Follows references, and skips the null of an optional value.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> Option<&'a Value> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return root.pointer(reference.strip_prefix('#')?);
    }
    match schema.get("anyOf").and_then(Value::as_array) {
        Some(schemas) => resolve(root, schemas.iter().find(|one| types(one) != ["null"])?),
        None => Some(schema),
    }
}

/// Returns the strings that a schema allows, if it lists them.
fn choices(schema: &Value) -> Vec<&str> {
    let list = |name: &str| schema.get(name).and_then(Value::as_array).into_iter().flatten();
    let own = list("enum").chain(schema.get("const")).filter_map(Value::as_str);
    // A variant with a doc comment has a schema of its own.
    own.chain(list("oneOf").flat_map(choices)).collect()
}

/// Returns the JSON types that a schema allows.
fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Names a JSON type as a config file's reader knows it.
fn describe(name: &str) -> &str {
    match name {
        "string" => "a string",
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "object" => "a table",
        _ => "nothing",
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        /// A comment makes this variant a schema of its own.
        Fast,
        VerySafe,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only deserialization is tested")]
    struct Options {
        path: Option<PathBuf>,
        paths: Option<Vec<PathBuf>>,
        #[serde(default)]
        create: bool,
        mode: Option<Mode>,
        size: Option<u8>,
    }

    fn problem(table: &Value) -> Option<String> {
        let error = serde_path_to_error::deserialize::<_, Options>(table).unwrap_err();
        value_problem(table, schemars::schema_for!(Options).as_value(), error.path())
    }

    #[test]
    fn a_wrong_type_is_described_by_what_was_expected_and_found() {
        for (table, description) in [
            (json!({ "path": [".env"] }), "expected a string, found a list"),
            (json!({ "path": true }), "expected a string, found true"),
            (json!({ "paths": ".env" }), "expected a list, found a string"),
            (json!({ "paths": [".env", 3] }), "expected a string, found a whole number"),
            (json!({ "create": "yes" }), "expected true or false, found a string"),
            (json!({ "mode": "slow" }), "expected one of: very-safe, fast"),
            (json!({ "mode": 1.5 }), "expected one of: very-safe, fast"),
            (json!({ "size": 1.5 }), "expected a whole number, found a number"),
        ] {
            assert_eq!(problem(&table).as_deref(), Some(description), "{table}");
        }
        // The type is right, and the schema does not limit it.
        assert_eq!(problem(&json!({ "size": 300 })), None);
    }
}
