//! A faulty plugin: its write panics with the token in the message.

use std::time::Duration;

use tokensink_core::schemars::{self, JsonSchema};
use tokensink_core::serde::Deserialize;
use tokensink_core::{
    BuildContext, Content, Inspection, Preparation, Readiness, Receipt, SinkConfig, SinkError,
    SinkFactory, SinkInfo, Survey, TakesEffect, TargetId, Token, TokenSink, TokenWriter,
    WriteEstimate, async_trait, inventory,
};

#[derive(Deserialize, JsonSchema)]
#[serde(crate = "tokensink_core::serde")]
struct PanickingConfig {}

impl SinkConfig for PanickingConfig {
    const KIND: &'static str = "panicking";
    const SUMMARY: &'static str = "a place whose plugin panics on every write";
    const PERMISSIONS: &'static str = "none";
    const TAKES_EFFECT: &'static str = "never";
    const EXAMPLE: &'static str = "";
    type Sink = PanickingSink;

    fn build(self, _: &BuildContext) -> Result<Vec<PanickingSink>, Vec<SinkError>> {
        let target = TargetId::new("panicking", "a bad place");
        let info = SinkInfo::new(target, "a bad place", TakesEffect::Immediately);
        Ok(vec![PanickingSink { info }])
    }
}

inventory::submit! { SinkFactory::of::<PanickingConfig>() }

#[derive(Clone, Debug)]
struct PanickingSink {
    info: SinkInfo,
}

#[async_trait]
impl TokenSink for PanickingSink {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    async fn prepare(&self) -> Result<Preparation, SinkError> {
        let estimate = WriteEstimate::one_request(Duration::ZERO);
        Ok(Preparation::new(Box::new(self.clone()), estimate))
    }

    async fn inspect(&self, _: Option<&Receipt>) -> Result<Inspection, SinkError> {
        Ok(Content::Unknown { reason: "values cannot be read here".to_owned() }.into())
    }

    async fn survey(&self) -> Result<Survey, SinkError> {
        Ok(Survey::default())
    }
}

#[async_trait]
impl TokenWriter for PanickingSink {
    async fn prove(&self) -> Result<Readiness, SinkError> {
        Ok(Readiness::Ready)
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        panic!("could not write {}", token.expose())
    }
}
