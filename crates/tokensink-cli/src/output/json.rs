//! One JSON document on standard output.

use serde::Serialize;

/// Prints `document`, and nothing else.
pub(crate) fn print_json(document: &impl Serialize) {
    match serde_json::to_string_pretty(document) {
        Ok(text) => super::say(&text),
        Err(error) => super::tell(&format!("the report could not be written as JSON: {error}")),
    }
}
