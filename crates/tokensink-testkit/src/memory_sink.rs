//! A sink in memory whose behavior is scripted.

use std::future::pending;
use std::time::Duration;

use tokensink_core::{
    Content, HeldValue, Inspection, NearbyValue, Preparation, RateLimits, Readiness, Receipt,
    SinkError, SinkInfo, Survey, TakesEffect, TargetId, Token, TokenSink, TokenWriter,
    WriteEstimate, async_trait,
};
use tokio::time::sleep;

use crate::Evidence;
use crate::script::{Call, Ending, ScriptedError, ScriptedResponse};
use crate::world::{Author, World, take_effect_after};

/// A sink of a [`World`].
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
    /// The destination, and the number of preparations before it is shown.
    foreign_destination: Option<(usize, String)>,
}

impl World {
    /// Returns the sink with this index for the newest run. Its inspections give `evidence`.
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
    /// Sets the rate limits.
    #[must_use]
    pub fn within(self, rate_limits: RateLimits) -> Self {
        Self { info: self.info.with_rate_limits(rate_limits), ..self }
    }

    /// Sets the estimate of a write.
    #[must_use]
    pub fn estimating(self, estimate: WriteEstimate) -> Self {
        Self { estimate, ..self }
    }

    /// Sets a warning of the preparation.
    #[must_use]
    pub fn warning(self, text: &str) -> Self {
        Self { warning: Some(text.to_owned()), ..self }
    }

    /// Sets the target's identity that the preparation reports.
    #[must_use]
    pub fn resolving_to(self, target: TargetId) -> Self {
        Self { resolved_target: Some(target), ..self }
    }

    /// Sets the nearby values that an inspection reports.
    #[must_use]
    pub fn beside(self, nearby: Vec<NearbyValue>) -> Self {
        Self { nearby, ..self }
    }

    /// Sets the result of the survey.
    #[must_use]
    pub fn surveying(self, surveyed: Survey) -> Self {
        Self { surveyed, ..self }
    }

    /// Makes `prove` prove the permission.
    #[must_use]
    pub fn provable(self) -> Self {
        Self { is_provable: true, ..self }
    }

    /// Makes the preparation unable to prove the permission.
    #[must_use]
    pub fn unproven(self) -> Self {
        Self { is_unproven: true, ..self }
    }

    /// Sets an unexpected destination that the preparation reports.
    #[must_use]
    pub fn outside(self, destination: &str) -> Self {
        self.outside_after(0, destination)
    }

    /// Sets an unexpected destination that is reported only after this many preparations.
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

    /// Changes the facts about the sink.
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

    /// Returns the content as it was `ago`.
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

    /// Waits as scripted. Returns the age of the state that a successful response contains.
    async fn read(&self, call: Call) -> Result<Duration, SinkError> {
        let response = self.world.called(self.run, call, None);
        match response.ending {
            Ending::Succeeded => {
                sleep(response.takes).await;
                Ok(response.takes / 2)
            }
            Ending::SucceededWithStaleValue(lag) => {
                sleep(response.takes).await;
                Ok(response.takes / 2 + lag)
            }
            _ => Err(failure(response).await),
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
        let response = self.world.called(self.run, Call::Write(self.index), Some(token));
        let (world, by) = (self.world.clone(), Author::Run(self.run));
        let (index, value) = (self.index, Some(token.clone()));
        let store = move || world.store(index, value, by);
        match response.ending {
            Ending::Succeeded | Ending::SucceededWithStaleValue(_) => {
                let effect = take_effect_after(response.takes / 2, store);
                sleep(response.takes).await;
                let version = effect.await.map_err(|error| {
                    SinkError::other("the task of the write is gone").with_source(error)
                })?;
                return Ok(Receipt::default().with("version", version.to_string()));
            }
            Ending::ResponseLost(after)
            | Ending::Hangs(Some(after))
            | Ending::FailedWithEffect(_, after) => {
                take_effect_after(after, store);
            }
            Ending::Hangs(None) | Ending::Failed(_) | Ending::Panics => {}
        }
        Err(failure(response).await)
    }
}

/// Waits as scripted and returns the scripted error.
async fn failure(response: ScriptedResponse) -> SinkError {
    match response.ending {
        Ending::Hangs(_) => pending::<()>().await,
        _ => sleep(response.takes).await,
    }
    let message = "as scripted";
    let error = match response.ending {
        Ending::Failed(error) | Ending::FailedWithEffect(error, _) => error,
        Ending::Panics => std::panic::panic_any(Scripted),
        _ => ScriptedError::Transient,
    };
    match error {
        ScriptedError::Permanent => SinkError::permission_denied(message),
        ScriptedError::RateLimited(wait) => SinkError::rate_limited(wait, message),
        ScriptedError::Conflict => SinkError::conflict(message),
        ScriptedError::Transient | ScriptedError::NotSent => SinkError::transient(message),
    }
}

/// The payload of a scripted panic. A panic hook can recognize it and print nothing.
#[derive(Clone, Copy, Debug)]
pub struct Scripted;
