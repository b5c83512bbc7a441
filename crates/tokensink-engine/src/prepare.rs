//! Getting every sink ready for its write, all at once. Nothing is changed anywhere.

use std::sync::Arc;

use tokensink_core::{Preparation, Readiness};
use tokio::time::Instant;

use crate::inspection::{Inspected, Write, conclude};
use crate::journal::LastWrite;
use crate::limiter::Lane;
use crate::retry::Retry;
use crate::{Failure, Sink, State};

/// A sink that was asked whether it could be written, and what it holds.
#[derive(Debug)]
pub struct Prepared {
    /// Which one.
    pub sink: Arc<Sink>,
    pub(crate) lane: Option<Arc<Lane>>,
    pub(crate) writer: Result<Arc<Preparation>, Failure>,
    pub(crate) prepared_at: Instant,
    pub(crate) last_write: Option<LastWrite>,
    pub(crate) holds: Inspected,
    /// A write of the current token was never answered, and may undo a later one.
    pub(crate) haunted: bool,
}

impl Prepared {
    /// Why it cannot be written, if it cannot.
    pub fn obstacle(&self) -> Option<&Failure> {
        self.writer.as_ref().err()
    }

    /// What could not be proven without a write, if anything.
    pub fn doubt(&self) -> Option<String> {
        match &self.writer.as_ref().ok()?.readiness {
            Readiness::Ready => None,
            Readiness::Unknown { reason } => Some(reason.clone()),
        }
    }

    /// Whether it holds the live token, and how that is known.
    pub fn state(&self) -> (State, String) {
        conclude(Write::None, &self.holds)
    }

    /// What the plugin wants a person to know, and a value that is not ours to overwrite blindly.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let own = self.writer.iter().flat_map(|writer| &writer.warnings);
        let own = own.map(|text| self.named(text));
        own.chain(self.not_inspected().filter(|_| self.writer.is_ok())).collect()
    }

    /// Why it cannot be told what it holds, if the question failed.
    pub(crate) fn not_inspected(&self) -> Option<String> {
        let failure = self.holds.as_ref().err()?;
        Some(self.named(&format!("could not be inspected: {failure}")))
    }

    fn named(&self, text: &str) -> String {
        format!("{} ({}): {text}", self.sink.name, self.sink.info.label)
    }
}

/// What a sink answered, and when.
pub(crate) struct Answered {
    pub(crate) writer: Result<Arc<Preparation>, Failure>,
    pub(crate) at: Instant,
}

impl From<Result<Arc<Preparation>, Failure>> for Answered {
    fn from(writer: Result<Arc<Preparation>, Failure>) -> Self {
        Self { writer, at: Instant::now() }
    }
}

/// Asks one sink until it answers or its time is over.
pub(crate) async fn prepare(sink: Arc<Sink>, lane: Option<Arc<Lane>>) -> Answered {
    let mut retry = Retry::new(sink.deadline, lane);
    loop {
        match retry.read(sink.plugin.prepare()).await {
            Ok(prepared) => return Answered::from(Ok(Arc::new(prepared))),
            Err(failure) => {
                if !retry.goes_on_after(&failure).await {
                    return Answered::from(Err(failure));
                }
            }
        }
    }
}
