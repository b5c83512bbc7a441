//! Tests of the conformance checks: each fails for a sink with the matching flaw, and all pass for a
//! correct sink.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokensink_core::{
    BuildContext, Content, Environment, HeldValue, Inspection, Preparation, Readiness, Receipt,
    SinkConfig, SinkError, SinkFactory, SinkInfo, Survey, Token, TokenSink, TokenWriter,
    async_trait,
};
use tokensink_testkit::{
    AlwaysSucceeds, Call, Change, Evidence, MemorySink, ScriptedError, ScriptedResponse,
    SinkFixture, Violation, World, assert_conformance,
};

/// A flaw of a sink.
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
    InspectIsStale,
    InspectClaimsItsReceipt,
    SurveyWrites,
    ProveWrites,
    TokenInLabel,
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

/// A config that accepts the option that must be unknown to every plugin.
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
                let world = context.shared("world", || World::new(1, AlwaysSucceeds));
                let seen = context.shared("seen", Seen::default);
                let inner = world.sink(0, evidence_of(&self.evidence));
                let mut info = inner.info().clone();
                if let (Flaw::TokenInLabel, Some(held)) = (self.flaw, world.held(0)) {
                    info.label = format!("{} with {}", info.label, held.expose());
                }
                Ok(vec![Flawed { info, inner, world, flaw: self.flaw, seen }])
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
    info: SinkInfo,
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

impl fmt::Debug for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.flaw {
            Flaw::TokenInDebug => write!(f, "Flawed({:?})", self.held()),
            _ => write!(f, "Flawed({})", self.info.label),
        }
    }
}

#[async_trait]
impl TokenSink for Flawed {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    async fn prepare(&self) -> Result<Preparation, SinkError> {
        if self.flaw == Flaw::PrepareWrites {
            self.world.store_externally(0, Some(Token::new("a probe")));
        }
        let honest = self.inner.prepare().await?;
        Ok(Preparation::new(Box::new(self.clone()), honest.estimate)
            .with_readiness(honest.readiness))
    }

    async fn inspect(&self, last: Option<&Receipt>) -> Result<Inspection, SinkError> {
        let honest = self.inner.inspect(last).await?;
        Ok(match self.flaw {
            Flaw::InspectWrites => {
                self.world.store_externally(0, Some(Token::new("a probe")));
                honest
            }
            Flaw::InspectNeverSees => {
                Content::Unknown { reason: "it did not look".to_owned() }.into()
            }
            Flaw::InspectGuessesWithoutReceipt if last.is_none() => {
                Content::UnchangedSinceOurWrite.into()
            }
            Flaw::InspectIsStale => match self.world.history(0).iter().rev().nth(1) {
                Some(Change { value: Some(older), .. }) => {
                    Content::Value(HeldValue::of(older.expose())).into()
                }
                _ => honest,
            },
            Flaw::InspectClaimsItsReceipt if last.is_some() => {
                Content::UnchangedSinceOurWrite.into()
            }
            _ => honest,
        })
    }

    async fn survey(&self) -> Result<Survey, SinkError> {
        if self.flaw == Flaw::SurveyWrites {
            self.world.store_externally(0, Some(Token::new("a probe")));
        }
        self.inner.survey().await
    }
}

#[async_trait]
impl TokenWriter for Flawed {
    async fn prove(&self) -> Result<Readiness, SinkError> {
        if self.flaw == Flaw::ProveWrites {
            self.world.store_externally(0, Some(Token::new("a probe")));
        }
        self.inner.prove().await
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
                SinkError::permission_denied(format!(
                    "{error}: {:?} is not allowed",
                    token.expose()
                ))
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
impl SinkFixture for Place {
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
        self.world.set_script(AlwaysSucceeds);
        self.world.store_externally(0, Some(Token::new(value)));
    }

    async fn obstruct(&self) {
        self.world.set_script(|_: Call| ScriptedResponse::failed(ScriptedError::Permanent));
    }
}

async fn violations_of(
    flaw: Flaw,
    evidence: &'static str,
    factory: &'static SinkFactory,
) -> Vec<Violation> {
    let place = Place { world: World::new(1, AlwaysSucceeds), flaw, evidence, factory };
    assert_conformance(&place).await.err().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_sound_sink_passes_every_check() {
    for evidence in ["value", "receipt", "nothing"] {
        assert_eq!(violations_of(Flaw::None, evidence, &MEMORY).await, []);
    }
}

#[tokio::test(start_paused = true)]
async fn each_check_fails_on_a_sink_with_the_matching_flaw() {
    for (flaw, evidence, check) in [
        (Flaw::PrepareWrites, "value", "prepare changes nothing"),
        (Flaw::InspectWrites, "value", "prepare changes nothing"),
        (Flaw::SurveyWrites, "value", "prepare changes nothing"),
        (Flaw::ProveWrites, "value", "prove changes no value"),
        (Flaw::WriteIsForgotten, "value", "a write is visible to inspect"),
        (Flaw::WriteIsForgotten, "nothing", "a write is visible to inspect"),
        (Flaw::InspectNeverSees, "value", "a write is visible to inspect"),
        (Flaw::InspectGuessesWithoutReceipt, "receipt", "a write is visible to inspect"),
        (Flaw::SecondWriteAppends, "value", "writing twice equals once"),
        (Flaw::FirstWriteStays, "value", "a newer write wins"),
        (Flaw::InspectIsStale, "value", "a newer write wins"),
        (
            Flaw::InspectGuessesWithoutReceipt,
            "receipt",
            "another value is never reported as the token",
        ),
        (Flaw::InspectIsStale, "value", "a receipt reveals an external write"),
        (Flaw::InspectClaimsItsReceipt, "receipt", "a receipt reveals an external write"),
        (Flaw::TokenInLabel, "value", "nothing printable contains a token"),
        (Flaw::TokenInDebug, "value", "nothing printable contains a token"),
        (Flaw::TokenInReceipt, "value", "nothing printable contains a token"),
        (Flaw::TokenInError, "value", "nothing printable contains a token"),
    ] {
        let violations = violations_of(flaw, evidence, &MEMORY).await;
        assert!(
            violations.iter().any(|violation| violation.check == check),
            "{flaw:?} with evidence {evidence} should violate {check:?}, not {violations:?}"
        );
        let shown = format!("{violations:?}");
        assert!(!shown.contains("eyJVc2VySUQi"), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_accepted_unknown_option_is_a_violation() {
    let violations = violations_of(Flaw::None, "value", &TOLERANT).await;
    let checks: Vec<&str> = violations.iter().map(|violation| violation.check).collect();
    assert_eq!(checks, ["an unknown option is rejected by name"]);
}
