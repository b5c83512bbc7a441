//! Proves, after the user's consent and before the reset, that writes are permitted, with writes that
//! change nothing.

use std::sync::Arc;

use tokensink_core::{Preparation, Readiness};

use crate::abort::Abort;
use crate::plan::Plan;
use crate::rate_limiter::RateLimiter;
use crate::retry::Retry;
use crate::run_concurrently::run_concurrently;
use crate::session::Session;
use crate::{Event, Sink, SinkFailure};

/// Proves the write of every sink that was not yet proven or rehearsed in this run.
///
/// # Errors
///
/// When the proof of a required sink failed.
pub(crate) async fn prove(session: &Session, plan: &mut Plan) -> Result<(), Abort> {
    let mut jobs = Vec::new();
    for (index, prepared) in plan.prepared.iter().enumerate() {
        if let (Ok(preparation), None, false) =
            (&prepared.preparation, &prepared.proof, prepared.is_rehearsed)
        {
            let (sink, limiter) = (Arc::clone(&prepared.sink), prepared.rate_limiter.clone());
            jobs.push((index, sink, Arc::clone(preparation), limiter));
        }
    }
    let indices: Vec<usize> = jobs.iter().map(|(index, ..)| *index).collect();
    session.show(&Event::Proving { total: indices.len() });
    let proving = run_concurrently(
        jobs,
        |(_, sink, preparation, limiter)| prove_one(sink, preparation, limiter),
        |_, _| {},
        std::future::pending(),
    );
    let ended = session.interruptible(proving).await?;
    let mut problems = Vec::new();
    for (index, ended) in indices.into_iter().zip(ended) {
        let proof = ended.or(|| Err(SinkFailure::panicked()), || Err(SinkFailure::panicked()));
        let prepared = &mut plan.prepared[index];
        if let Err(failure) = &proof
            && prepared.sink.required
        {
            problems.push(format!("not writable: {}: {failure}", prepared.sink));
        }
        prepared.proof = Some(proof);
    }
    if problems.is_empty() { Ok(()) } else { Err(Abort::ProofFailed(problems)) }
}

async fn prove_one(
    sink: Arc<Sink>,
    preparation: Arc<Preparation>,
    rate_limiter: Option<Arc<RateLimiter>>,
) -> Result<Readiness, SinkFailure> {
    let mut retry = Retry::new(sink.deadline, rate_limiter);
    loop {
        match retry.probe(preparation.writer.prove()).await {
            Ok(readiness) => return Ok(readiness),
            Err(failure) => {
                if !retry.goes_on_after(&failure).await {
                    return Err(failure);
                }
            }
        }
    }
}
