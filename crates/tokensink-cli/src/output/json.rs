//! One JSON document on standard output.

use serde::Serialize;

use super::printable::Printable;

/// Prints `document`.
pub(crate) fn print_json(document: &impl Serialize) {
    match serde_json::to_string_pretty(document) {
        Ok(text) => super::write_stdout(&Printable::json(&text)),
        Err(error) => super::print_error(&format!("cannot write the report as JSON: {error}")),
    }
}
