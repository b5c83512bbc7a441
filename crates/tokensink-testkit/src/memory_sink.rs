//! A sink without a disk or a network, which does what the script says.

use std::fmt;
use std::future::pending;
use std::time::Duration;

use tokensink_core::{
    Holds, PreparedSink, Quota, Readiness, Receipt, SinkError, TakesEffect, TargetId, Token,
    TokenSink, WriteCost, async_trait,
};
use tokio::time::sleep;

use crate::Evidence;
use crate::script::{Call, Ending, Fate, Fault};
use crate::world::{Author, World, lands};

/// A place in a [`World`].
#[derive(Clone, Debug)]
pub struct MemorySink {
    world: World,
    run: u32,
    index: usize,
    evidence: Evidence,
    quota: Option<Quota>,
    cost: WriteCost,
    warning: Option<String>,
}

impl World {
    /// The sink of this index, of which `evidence` can be told, as the newest run sees it.
    pub fn sink(&self, index: usize, evidence: Evidence) -> MemorySink {
        MemorySink {
            world: self.clone(),
            run: self.this_run(),
            index,
            evidence,
            quota: None,
            cost: WriteCost { round_trip: Duration::ZERO, requests: 1, shared_place: None },
            warning: None,
        }
    }
}

impl MemorySink {
    /// The same place, under a provider's limit.
    #[must_use]
    pub fn within(self, quota: Quota) -> Self {
        Self { quota: Some(quota), ..self }
    }

    /// The same place, which says that a write takes this.
    #[must_use]
    pub fn costing(self, cost: WriteCost) -> Self {
        Self { cost, ..self }
    }

    /// The same place, with something to tell a person.
    #[must_use]
    pub fn warning(self, text: &str) -> Self {
        Self { warning: Some(text.to_owned()), ..self }
    }

    /// Waits as the script says; `Ok` is how long ago the truth was that may be told now.
    async fn read(&self, call: Call, token: Option<&Token>) -> Result<Duration, SinkError> {
        let fate = self.world.called(self.run, call, token);
        match fate.ending {
            Ending::Answered => {
                sleep(fate.takes).await;
                Ok(fate.takes / 2)
            }
            Ending::AnsweredLate(lag) => {
                sleep(fate.takes).await;
                Ok(fate.takes / 2 + lag)
            }
            _ => Err(failure(fate).await),
        }
    }
}

impl fmt::Display for MemorySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "place {}", self.index)
    }
}

#[async_trait]
impl TokenSink for MemorySink {
    fn target(&self) -> TargetId {
        TargetId::new("memory", self.index)
    }

    fn takes_effect(&self) -> TakesEffect {
        TakesEffect::Immediately
    }

    fn quota(&self) -> Option<Quota> {
        self.quota.clone()
    }

    async fn prepare(&self) -> Result<Box<dyn PreparedSink>, SinkError> {
        self.read(Call::Prepare(self.index), None).await?;
        Ok(Box::new(self.clone()))
    }

    async fn inspect(&self, token: &Token, last: Option<&Receipt>) -> Result<Holds, SinkError> {
        let ago = self.read(Call::Inspect(self.index), Some(token)).await?;
        let held = self.world.held_ago(self.index, ago);
        let version = self.world.version_ago(self.index, ago).to_string();
        Ok(match (self.evidence, held, last) {
            (_, None, _) => Holds::Nothing,
            (Evidence::Value, Some(held), _) if held == *token => Holds::Token,
            (Evidence::Value, ..) => Holds::AnotherValue,
            (Evidence::Receipt, _, Some(last)) if last.get("version") == Some(&version) => {
                Holds::LastWriteIsOurs
            }
            (Evidence::Receipt, _, Some(_)) => Holds::AnotherValue,
            (Evidence::Receipt | Evidence::Nothing, ..) => {
                Holds::Unknown { why: "values cannot be read here".to_owned() }
            }
        })
    }
}

#[async_trait]
impl PreparedSink for MemorySink {
    fn readiness(&self) -> Readiness {
        match self.evidence {
            Evidence::Value | Evidence::Receipt => Readiness::Ready,
            Evidence::Nothing => Readiness::Unknown { why: "only a write can tell".to_owned() },
        }
    }

    fn warnings(&self) -> Vec<String> {
        self.warning.iter().cloned().collect()
    }

    fn cost(&self) -> WriteCost {
        self.cost.clone()
    }

    async fn write(&self, token: &Token) -> Result<Receipt, SinkError> {
        let fate = self.world.called(self.run, Call::Write(self.index), Some(token));
        let (world, by) = (self.world.clone(), Author::Run(self.run));
        let (index, value) = (self.index, Some(token.clone()));
        let land = move || world.store(index, value, by);
        match fate.ending {
            Ending::Answered | Ending::AnsweredLate(_) => {
                let landing = lands(fate.takes / 2, land);
                sleep(fate.takes).await;
                let version = landing.await.map_err(|error| {
                    SinkError::other("the made-up place is gone").because(error)
                })?;
                return Ok(Receipt::default().with("version", version.to_string()));
            }
            Ending::AnswerLost(after) | Ending::Hangs(Some(after)) => {
                lands(after, land);
            }
            Ending::Hangs(None) | Ending::Failed(_) | Ending::Panics => {}
        }
        Err(failure(fate).await)
    }
}

/// How a call that goes wrong ends.
async fn failure(fate: Fate) -> SinkError {
    match fate.ending {
        Ending::Hangs(_) => pending::<()>().await,
        _ => sleep(fate.takes).await,
    }
    let because = "as scripted";
    match fate.ending {
        Ending::Failed(Fault::Permanent) => SinkError::denied(because),
        Ending::Failed(Fault::Limited(wait)) => SinkError::limited(wait, because),
        Ending::Failed(Fault::Conflict) => SinkError::conflict(because),
        Ending::Panics => std::panic::panic_any(Scripted),
        _ => SinkError::transient(because),
    }
}

/// The payload of a panic that the script asked for, so that a hook can keep it quiet.
#[derive(Clone, Copy, Debug)]
pub struct Scripted;
