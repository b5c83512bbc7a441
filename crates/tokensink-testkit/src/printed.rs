//! Collects everything that can be printed of a sink and its results.

use std::error::Error;
use std::fmt::{Debug, Display, Write as _};

use tokensink_core::{Preparation, Receipt, SinkError, Token, TokenSink};

/// The texts that were printed so far, each with a description.
#[derive(Default)]
pub(crate) struct Printed(Vec<(&'static str, String)>);

impl Printed {
    pub(crate) fn add(&mut self, what: &'static str, text: impl Into<String>) {
        self.0.push((what, text.into()));
    }

    pub(crate) fn debug(&mut self, what: &'static str, value: &dyn Debug) {
        self.add(what, format!("{value:?}"));
    }

    pub(crate) fn sink(&mut self, sink: &dyn TokenSink) {
        self.debug("the sink's Debug", &sink);
        self.debug("the sink's info", sink.info());
        self.add("the target's identity", sink.info().target.to_string());
    }

    pub(crate) fn preparation(&mut self, preparation: &Preparation) {
        self.debug("the preparation's Debug", preparation);
        self.debug("the readiness", &preparation.readiness);
        self.add("a warning", preparation.warnings.join("\n"));
    }

    pub(crate) fn receipt(&mut self, receipt: &Receipt) {
        self.debug("the receipt's Debug", receipt);
        self.add("the receipt's Display", receipt.to_string());
        match serde_json::to_string(receipt) {
            Ok(json) => self.add("the receipt in the journal", json),
            Err(error) => self.add("the receipt's serialization error", error.to_string()),
        }
    }

    pub(crate) fn error(&mut self, error: &SinkError) {
        self.debug("an error's Debug", error);
        self.add("an error", error_chain(error));
        self.add("an error's help", error.help().unwrap_or_default());
    }

    /// Returns the description of the first text that contains one of `tokens`, in any form that a
    /// server may echo.
    pub(crate) fn leak(&self, tokens: &[Token]) -> Option<&'static str> {
        self.0.iter().find(|(_, text)| contains_any(text, tokens)).map(|(what, _)| *what)
    }
}

fn contains_any(text: &str, tokens: &[Token]) -> bool {
    // `Debug` escapes quotes and backslashes, also those of a token.
    let plain = text.replace('\\', "");
    tokens.iter().any(|token| token.redact(text) != text || token.redact(&plain) != plain)
}

/// Returns the error with its chain of sources.
pub(crate) fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = shown(error);
    let mut cause = error.source();
    while let Some(inner) = cause {
        // Writing to a string does not fail.
        let _ = write!(text, ": {inner} ({inner:?})");
        cause = inner.source();
    }
    text
}

fn shown(error: &dyn Display) -> String {
    error.to_string()
}
