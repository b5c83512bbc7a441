//! Each law fails on a sink that breaks it, and holds for one that is sound.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokensink_core::{
    BuildContext, Environment, Holds, PreparedSink, Quota, Readiness, Receipt, SinkConfig,
    SinkError, SinkFactory, TakesEffect, TargetId, Token, TokenSink, WriteCost, async_trait,
};
use tokensink_testkit::{
    Call, Calm, Evidence, Fate, Fault, MemorySink, Target, Violation, World, obeys_the_laws,
};

/// How a sink can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
enum Flaw {
    None,
    PrepareWrites,
    InspectWrites,
    WriteIsForgotten,
    InspectNeverSees,
    InspectGuessesWithoutReceipt,
    SecondWriteAppends,
    FirstWriteStays,
    AnythingIsTheToken,
    AnythingIsOurs,
    TokenInDisplay,
    TokenInDebug,
    TokenInReceipt,
    TokenInError,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MemoryConfig {
    flaw: Flaw,
    evidence: String,
}

/// Knows the very option that no plugin may know.
#[derive(Deserialize, JsonSchema)]
struct TolerantConfig {
    flaw: Flaw,
    evidence: String,
    #[serde(rename = "no_such_option")]
    _any: Option<bool>,
}

macro_rules! memory_kind {
    ($config:ty, $kind:literal) => {
        impl SinkConfig for $config {
            const KIND: &'static str = $kind;
            const SUMMARY: &'static str = "a place in memory";
            const PERMISSIONS: &'static str = "none";
            const TAKES_EFFECT: &'static str = "immediately";
            const EXAMPLE: &'static str = "flaw = \"None\"\nevidence = \"value\"";
            type Sink = Flawed;

            fn build(self, context: &BuildContext) -> Result<Vec<Flawed>, Vec<SinkError>> {
                let world = context.shared("world", || World::new(1, Calm));
                let seen = context.shared("seen", Seen::default);
                let inner = world.sink(0, evidence_of(&self.evidence));
                Ok(vec![Flawed { inner, world, flaw: self.flaw, seen }])
            }
        }
    };
}

memory_kind!(MemoryConfig, "memory");
memory_kind!(TolerantConfig, "tolerant");

static MEMORY: SinkFactory = SinkFactory::of::<MemoryConfig>();
static TOLERANT: SinkFactory = SinkFactory::of::<TolerantConfig>();

fn evidence_of(name: &str) -> Evidence {
    match name {
        "value" => Evidence::Value,
        "receipt" => Evidence::Receipt,
        _ => Evidence::Nothing,
    }
}

#[derive(Debug, Default)]
struct Seen(AtomicBool);

#[derive(Clone)]
struct Flawed {
    inner: MemorySink,
    world: Arc<World>,
    flaw: Flaw,
    seen: Arc<Seen>,
}

impl Flawed {
    fn held(&self) -> String {
        self.world.held(0).map(|token| token.expose().to_owned()).unwrap_or_default()
    }
}

impl fmt::Display for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.flaw {
            Flaw::TokenInDisplay => write!(f, "{} with {}", self.inner, self.held()),
            _ => write!(f, "{}", self.inner),
        }
    }
}

impl fmt::Debug for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.flaw {
            Flaw::TokenInDebug => write!(f, "Flawed({:?})", self.held()),
            _ => write!(f, "Flawed({})", self.inner),
        }
    }
}

#[async_trait]
impl TokenSink for Flawed {
    fn target(&self) -> TargetId {
        self.inner.target()
    }

    fn takes_effect(&self) -> TakesEffect {
        self.inner.takes_effect()
    }

    fn quota(&self) -> Option<Quota> {
        self.inner.quota()
    }

    async fn prepare(&self) -> Result<Box<dyn PreparedSink>, SinkError> {
        if self.flaw == Flaw::PrepareWrites {
            self.world.store_as_stranger(0, Some(Token::new("a probe")));
        }
        self.inner.prepare().await?;
        Ok(Box::new(self.clone()))
    }

    async fn inspect(&self, token: &Token, last: Option<&Receipt>) -> Result<Holds, SinkError> {
        let honest = self.inner.inspect(token, last).await?;
        Ok(match self.flaw {
            Flaw::InspectWrites => {
                self.world.store_as_stranger(0, Some(Token::new("a probe")));
                honest
            }
            Flaw::InspectNeverSees => Holds::Unknown { why: "it did not look".to_owned() },
            Flaw::InspectGuessesWithoutReceipt if last.is_none() => Holds::LastWriteIsOurs,
            Flaw::AnythingIsTheToken => Holds::Token,
            Flaw::AnythingIsOurs if last.is_some() => Holds::LastWriteIsOurs,
            _ => honest,
        })
    }
}

#[async_trait]
impl PreparedSink for Flawed {
    fn readiness(&self) -> Readiness {
        self.inner.readiness()
    }

    fn warnings(&self) -> Vec<String> {
        self.inner.warnings()
    }

    fn cost(&self) -> WriteCost {
        self.inner.cost()
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        let seen = self.seen.0.swap(true, Ordering::Relaxed);
        let value = match self.flaw {
            Flaw::WriteIsForgotten => return Ok(Receipt::default()),
            Flaw::FirstWriteStays if seen => return Ok(Receipt::default()),
            Flaw::SecondWriteAppends if self.held() == token.expose() => {
                Token::new(format!("{}{}", self.held(), token.expose()))
            }
            _ => token.clone(),
        };
        let written = self.inner.write(&value).await;
        match self.flaw {
            Flaw::TokenInReceipt => Ok(written?.with("value", token.expose())),
            Flaw::TokenInError => written.map_err(|error| {
                SinkError::denied(format!("{error}: {:?} is not allowed", token.expose()))
            }),
            _ => written,
        }
    }
}

struct Place {
    world: World,
    flaw: Flaw,
    evidence: &'static str,
    factory: &'static SinkFactory,
}

#[async_trait]
impl Target for Place {
    fn factory(&self) -> &'static SinkFactory {
        self.factory
    }

    fn table(&self) -> Map<String, Value> {
        let table = json!({"flaw": format!("{:?}", self.flaw), "evidence": self.evidence});
        table.as_object().unwrap().clone()
    }

    fn context(&self) -> BuildContext {
        let context = BuildContext::new("/", Environment::default());
        context.shared("world", || self.world.clone());
        context
    }

    fn evidence(&self) -> Evidence {
        evidence_of(self.evidence)
    }

    async fn stored(&self) -> Option<String> {
        self.world.held(0).map(|token| token.expose().to_owned())
    }

    async fn snapshot(&self) -> String {
        self.stored().await.unwrap_or_default()
    }

    async fn overwrite(&self, value: &str) {
        self.world.play(Calm);
        self.world.store_as_stranger(0, Some(Token::new(value)));
    }

    async fn obstruct(&self) {
        self.world.play(|_: Call| Fate::failed(Fault::Permanent));
    }
}

async fn broken(
    flaw: Flaw,
    evidence: &'static str,
    factory: &'static SinkFactory,
) -> Vec<Violation> {
    let place = Place { world: World::new(1, Calm), flaw, evidence, factory };
    obeys_the_laws(&place).await.err().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_sound_sink_obeys_them_all() {
    for evidence in ["value", "receipt", "nothing"] {
        assert_eq!(broken(Flaw::None, evidence, &MEMORY).await, []);
    }
}

#[tokio::test(start_paused = true)]
async fn each_law_fails_on_a_sink_that_breaks_it() {
    for (flaw, evidence, law) in [
        (Flaw::PrepareWrites, "value", "prepare changes nothing"),
        (Flaw::InspectWrites, "value", "prepare changes nothing"),
        (Flaw::WriteIsForgotten, "value", "a write is seen by inspect"),
        (Flaw::WriteIsForgotten, "nothing", "a write is seen by inspect"),
        (Flaw::InspectNeverSees, "value", "a write is seen by inspect"),
        (Flaw::InspectGuessesWithoutReceipt, "receipt", "a write is seen by inspect"),
        (Flaw::SecondWriteAppends, "value", "writing twice equals once"),
        (Flaw::FirstWriteStays, "value", "a newer write wins"),
        (Flaw::AnythingIsTheToken, "value", "another value is seen as another"),
        (Flaw::AnythingIsTheToken, "receipt", "another value is seen as another"),
        (Flaw::AnythingIsOurs, "receipt", "a receipt tells a foreign overwrite"),
        (Flaw::TokenInDisplay, "value", "nothing printable carries a token"),
        (Flaw::TokenInDebug, "value", "nothing printable carries a token"),
        (Flaw::TokenInReceipt, "value", "nothing printable carries a token"),
        (Flaw::TokenInError, "value", "nothing printable carries a token"),
    ] {
        let violations = broken(flaw, evidence, &MEMORY).await;
        assert!(
            violations.iter().any(|violation| violation.law == law),
            "{flaw:?} over {evidence} should break {law:?}, not {violations:?}"
        );
        let shown = format!("{violations:?}");
        assert!(!shown.contains("eyJVc2VySUQi"), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_option_too_many_is_noticed() {
    let violations = broken(Flaw::None, "value", &TOLERANT).await;
    let laws: Vec<&str> = violations.iter().map(|violation| violation.law).collect();
    assert_eq!(laws, ["an unknown option is refused by name"]);
}
