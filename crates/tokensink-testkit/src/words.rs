//! All that can be printed of a sink and of what it returns.

use std::error::Error;
use std::fmt::{Debug, Display, Write as _};

use tokensink_core::{Preparation, Receipt, SinkError, Token, TokenSink};

/// Everything that was printed so far, each piece under a name.
#[derive(Default)]
pub(crate) struct Words(Vec<(&'static str, String)>);

impl Words {
    pub(crate) fn add(&mut self, what: &'static str, text: impl Into<String>) {
        self.0.push((what, text.into()));
    }

    pub(crate) fn debug(&mut self, what: &'static str, thing: &dyn Debug) {
        self.add(what, format!("{thing:?}"));
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
            Err(error) => self.add("the receipt's failure to be kept", error.to_string()),
        }
    }

    pub(crate) fn error(&mut self, error: &SinkError) {
        self.debug("an error's Debug", error);
        self.add("an error", chain(error));
        self.add("an error's advice", error.help().unwrap_or_default());
    }

    /// The name of the first piece that carries one of `tokens`, in any form a server may echo.
    pub(crate) fn leak(&self, tokens: &[Token]) -> Option<&'static str> {
        self.0.iter().find(|(_, text)| carries(text, tokens)).map(|(what, _)| *what)
    }
}

fn carries(text: &str, tokens: &[Token]) -> bool {
    // Debug escapes quotes and backslashes; a token that has them must be found all the same.
    let plain = text.replace('\\', "");
    tokens.iter().any(|token| token.redact(text) != text || token.redact(&plain) != plain)
}

/// An error with everything underneath it.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
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
