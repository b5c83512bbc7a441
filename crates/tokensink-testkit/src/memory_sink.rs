//! A sink without a disk or a network, which does what the script says.

use std::future::pending;
use std::time::Duration;

use tokensink_core::{
    Content, HeldValue, Inspection, NearbyValue, Preparation, RateLimits, Readiness, Receipt,
    SinkError, SinkInfo, Survey, TakesEffect, TargetId, Token, TokenSink, TokenWriter,
    WriteEstimate, async_trait,
};
use tokio::time::sleep;

use crate::Evidence;
use crate::script::{Call, Ending, Fault, ScriptedResponse};
use crate::world::{Author, World, lands};

/// A place in a [`World`].
#[derive(Clone, Debug)]
pub struct MemorySink {
    info: SinkInfo,
    world: World,
    run: u32,
    index: usize,
    evidence: Evidence,
    estimate: WriteEstimate,
    warning: Option<String>,
    resolved_target: Option<TargetId>,
    nearby: Vec<NearbyValue>,
    surveyed: Survey,
    is_provable: bool,
    is_unproven: bool,
    /// The destination, and how many preparations do not show it yet.
    foreign_destination: Option<(usize, String)>,
}

impl World {
    /// The sink of this index, with `evidence` of what it holds, as the newest run sees it.
    pub fn sink(&self, index: usize, evidence: Evidence) -> MemorySink {
        let target = TargetId::new("memory", index);
        let info = SinkInfo::new(target, format!("place {index}"), TakesEffect::Immediately);
        MemorySink {
            info,
            world: self.clone(),
            run: self.this_run(),
            index,
            evidence,
            estimate: WriteEstimate::one_request(Duration::ZERO),
            warning: None,
            resolved_target: None,
            nearby: Vec::new(),
            surveyed: Survey::default(),
            is_provable: false,
            is_unproven: false,
            foreign_destination: None,
        }
    }
}

impl MemorySink {
    /// The same place, under a provider's limits.
    #[must_use]
    pub fn within(self, rate_limits: RateLimits) -> Self {
        Self { info: self.info.with_rate_limits(rate_limits), ..self }
    }

    /// The same place, with another estimate of its writes.
    #[must_use]
    pub fn estimating(self, estimate: WriteEstimate) -> Self {
        Self { estimate, ..self }
    }

    /// The same place, with a warning.
    #[must_use]
    pub fn warning(self, text: &str) -> Self {
        Self { warning: Some(text.to_owned()), ..self }
    }

    /// The same place, whose identity turns out to be `target` when it is prepared.
    #[must_use]
    pub fn resolving_to(self, target: TargetId) -> Self {
        Self { resolved_target: Some(target), ..self }
    }

    /// The same place, with these values beside its own.
    #[must_use]
    pub fn beside(self, nearby: Vec<NearbyValue>) -> Self {
        Self { nearby, ..self }
    }

    /// The same place, with this survey.
    #[must_use]
    pub fn surveying(self, surveyed: Survey) -> Self {
        Self { surveyed, ..self }
    }

    /// The same place, where a write that changes nothing proves the permission.
    #[must_use]
    pub fn provable(self) -> Self {
        Self { is_provable: true, ..self }
    }

    /// The same place, where preparing cannot prove the permission.
    #[must_use]
    pub fn unproven(self) -> Self {
        Self { is_unproven: true, ..self }
    }

    /// The same place, which leads to a destination that the user would not expect.
    #[must_use]
    pub fn outside(self, destination: &str) -> Self {
        self.outside_after(0, destination)
    }

    /// The same place, which leads to such a destination after this many preparations.
    #[must_use]
    pub fn outside_after(self, preparations: usize, destination: &str) -> Self {
        Self { foreign_destination: Some((preparations, destination.to_owned())), ..self }
    }

    fn foreign_destination(&self) -> Option<String> {
        let (preparations, destination) = self.foreign_destination.as_ref()?;
        let calls = self.world.calls();
        let prepared = calls.iter().filter(|called| called.call == Call::Prepare(self.index));
        (prepared.count() > *preparations).then(|| destination.clone())
    }

    /// The same place, with facts changed by `change`.
    #[must_use]
    pub fn with_info(self, change: impl FnOnce(SinkInfo) -> SinkInfo) -> Self {
        Self { info: change(self.info), ..self }
    }

    fn readiness(&self) -> Readiness {
        match self.evidence {
            Evidence::Value | Evidence::Receipt if !self.is_unproven => Readiness::Ready,
            _ => Readiness::Unknown { reason: "only a write can show it".to_owned() },
        }
    }

    /// The response to an inspection of what was held `ago`.
    fn inspected(&self, ago: Duration, last: Option<&Receipt>) -> Content {
        let Some(held) = self.world.held_ago(self.index, ago) else { return Content::Absent };
        let version = self.world.version_ago(self.index, ago).to_string();
        match (self.evidence, last.and_then(|last| last.get("version"))) {
            (Evidence::Value, _) => Content::Value(HeldValue::of(held.expose())),
            (Evidence::Receipt, Some(ours)) if ours == version => Content::UnchangedSinceOurWrite,
            (Evidence::Receipt, Some(_)) => Content::ChangedSinceOurWrite,
            (Evidence::Receipt | Evidence::Nothing, _) => {
                Content::Unknown { reason: "values cannot be read here".to_owned() }
            }
        }
    }

    /// Waits as the script says; `Ok` is how long ago the truth was that may be told now.
    async fn read(&self, call: Call) -> Result<Duration, SinkError> {
        let fate = self.world.called(self.run, call, None);
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

#[async_trait]
impl TokenSink for MemorySink {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    async fn prepare(&self) -> Result<Preparation, SinkError> {
        self.read(Call::Prepare(self.index)).await?;
        let preparation = Preparation::new(Box::new(self.clone()), self.estimate.clone())
            .with_readiness(self.readiness())
            .with_warnings(self.warning.iter().cloned().collect())
            .with_foreign_destination(self.foreign_destination());
        Ok(match &self.resolved_target {
            Some(target) => preparation.with_resolved_target(target.clone()),
            None => preparation,
        })
    }

    async fn inspect(&self, last: Option<&Receipt>) -> Result<Inspection, SinkError> {
        let ago = self.read(Call::Inspect(self.index)).await?;
        Ok(Inspection::from(self.inspected(ago, last)).with_nearby(self.nearby.clone()))
    }

    async fn survey(&self) -> Result<Survey, SinkError> {
        self.read(Call::Survey(self.index)).await?;
        Ok(self.surveyed.clone())
    }
}

#[async_trait]
impl TokenWriter for MemorySink {
    async fn prove(&self) -> Result<Readiness, SinkError> {
        self.read(Call::Prove(self.index)).await?;
        Ok(if self.is_provable { Readiness::Ready } else { self.readiness() })
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
                    SinkError::other("the made-up place is gone").with_source(error)
                })?;
                return Ok(Receipt::default().with("version", version.to_string()));
            }
            Ending::AnswerLost(after)
            | Ending::Hangs(Some(after))
            | Ending::FailedButLands(_, after) => {
                lands(after, land);
            }
            Ending::Hangs(None) | Ending::Failed(_) | Ending::Panics => {}
        }
        Err(failure(fate).await)
    }
}

/// How a call that goes wrong ends.
async fn failure(fate: ScriptedResponse) -> SinkError {
    match fate.ending {
        Ending::Hangs(_) => pending::<()>().await,
        _ => sleep(fate.takes).await,
    }
    let because = "as scripted";
    let fault = match fate.ending {
        Ending::Failed(fault) | Ending::FailedButLands(fault, _) => fault,
        Ending::Panics => std::panic::panic_any(Scripted),
        _ => Fault::Transient,
    };
    match fault {
        Fault::Permanent => SinkError::permission_denied(because),
        Fault::Limited(wait) => SinkError::rate_limited(wait, because),
        Fault::Conflict => SinkError::conflict(because),
        Fault::Transient | Fault::NotSent => SinkError::transient(because),
    }
}

/// The payload of a panic that the script asked for, so that a hook can keep it quiet.
#[derive(Clone, Copy, Debug)]
pub struct Scripted;
