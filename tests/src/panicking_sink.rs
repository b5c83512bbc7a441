//! A plugin as bad as they come: its write panics, and says the token aloud.

use std::fmt;
use std::time::Duration;

use tokensink_core::schemars::{self, JsonSchema};
use tokensink_core::serde::Deserialize;
use tokensink_core::{
    BuildContext, Holds, PreparedSink, RateLimits, Readiness, Receipt, SinkConfig, SinkError,
    SinkFactory, TakesEffect, TargetId, Token, TokenSink, WriteEstimate, async_trait, inventory,
};

#[derive(Deserialize, JsonSchema)]
#[serde(crate = "tokensink_core::serde")]
struct PanickingConfig {}

impl SinkConfig for PanickingConfig {
    const KIND: &'static str = "panicking";
    const SUMMARY: &'static str = "a place whose plugin panics at every write";
    const PERMISSIONS: &'static str = "none";
    const TAKES_EFFECT: &'static str = "never";
    const EXAMPLE: &'static str = "";
    type Sink = PanickingSink;

    fn build(self, _: &BuildContext) -> Result<Vec<PanickingSink>, Vec<SinkError>> {
        Ok(vec![PanickingSink])
    }
}

inventory::submit! { SinkFactory::of::<PanickingConfig>() }

#[derive(Clone, Debug)]
struct PanickingSink;

impl fmt::Display for PanickingSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a bad place")
    }
}

#[async_trait]
impl TokenSink for PanickingSink {
    fn target(&self) -> TargetId {
        TargetId::new("panicking", self)
    }

    fn takes_effect(&self) -> TakesEffect {
        TakesEffect::Immediately
    }

    fn quota(&self) -> Option<RateLimits> {
        None
    }

    async fn prepare(&self) -> Result<Box<dyn PreparedSink>, SinkError> {
        Ok(Box::new(self.clone()))
    }

    async fn inspect(&self, _: &Token, _: Option<&Receipt>) -> Result<Holds, SinkError> {
        Ok(Holds::Unknown { why: "it is a bad place".to_owned() })
    }
}

#[async_trait]
impl PreparedSink for PanickingSink {
    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    fn cost(&self) -> WriteEstimate {
        WriteEstimate { round_trip: Duration::ZERO, requests: 1, shared_place: None }
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        panic!("could not write {}", token.expose())
    }
}
