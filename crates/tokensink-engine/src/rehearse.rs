//! The rehearsal: writes the current token to prove the permissions that only a write can prove.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokensink_core::{Readiness, TargetId};
use tokio::sync::watch;

use crate::Event;
use crate::abort::Abort;
use crate::fan_out::write_all;
use crate::faults::{Fault, is_planted};
use crate::inspection::Finding;
use crate::plan::{Plan, Prepared, RecentWrite, plan_after};
use crate::retry::OldToken;
use crate::session::Session;
use crate::write::{WriteJob, WriteResult};

/// Writes the current token to every sink that is not known to contain another value, and makes the plan
/// again.
///
/// # Errors
///
/// When a required sink can be neither proven nor rehearsed, when its write failed, or when the token was
/// replaced in the meantime.
pub(crate) async fn rehearse(session: &Session, plan: &mut Plan) -> Result<(), Abort> {
    let chosen: Vec<usize> =
        (0..plan.prepared.len()).filter(|index| may_rehearse(plan, *index)).collect();
    ensure_all_covered(plan, &chosen)?;
    session.show(&Event::Rehearsing { total: chosen.len() });
    let jobs: Vec<WriteJob> = chosen
        .iter()
        .map(|index| WriteJob::of(&plan.prepared[*index], OldToken::Accepted))
        .collect();
    let newest = watch::Sender::new(Arc::new(plan.token().clone()));
    let (results, problems) = write_all(session, jobs, &newest, 0).await;
    for problem in problems {
        tracing::warn!(problem);
    }
    let mut recent: BTreeMap<TargetId, RecentWrite> = BTreeMap::new();
    let mut refused = Vec::new();
    for (index, result) in chosen.iter().zip(&results) {
        let prepared = &mut plan.prepared[*index];
        prepared.rehearsal_attempts += result.attempts;
        prepared.is_rehearsed = result.outcome.is_ok();
        prepared.unacknowledged |= result.unacknowledged;
        if let (Some(last_write), Ok(acknowledged)) = (result.last_write(), &result.outcome) {
            let acknowledged_at = acknowledged.at;
            let target = prepared.sink.info.target.clone();
            recent.insert(target, RecentWrite { last_write, acknowledged_at });
        }
        if let Some(problem) = problem_of(result).filter(|_| prepared.sink.required) {
            refused.push(format!("the rehearsal failed: {}: {problem}", prepared.sink));
        }
    }
    let mut again = plan_after(session, &recent).await?;
    if again.token() != plan.token() && !is_planted(Fault::IgnoreReplacementInRehearsal) {
        return Err(Abort::TokenReplaced);
    }
    for (new, old) in again.prepared.iter_mut().zip(&mut plan.prepared) {
        new.proof = old.proof.take();
        new.rehearsal_attempts = old.rehearsal_attempts;
        new.is_rehearsed = old.is_rehearsed;
        new.unacknowledged = old.unacknowledged;
    }
    again.surveyed = plan.surveyed.take();
    *plan = again;
    if refused.is_empty() { Ok(()) } else { Err(Abort::RehearsalFailed(refused)) }
}

/// Returns whether a write of the current token would overwrite no other value, as far as known.
fn may_rehearse(plan: &Plan, index: usize) -> bool {
    let prepared = &plan.prepared[index];
    let is_harmless = match prepared.finding(plan.token()) {
        Ok(Finding::OtherValue) => is_planted(Fault::RehearseForeignValues),
        Ok(_) => true,
        Err(_) => false,
    };
    prepared.preparation.is_ok() && is_harmless
}

/// Checks that every required sink is proven writable or will be rehearsed.
fn ensure_all_covered(plan: &Plan, chosen: &[usize]) -> Result<(), Abort> {
    let is_proven = |prepared: &Prepared| matches!(prepared.proof, Some(Ok(Readiness::Ready)));
    let uncovered: Vec<String> = plan
        .prepared
        .iter()
        .enumerate()
        .filter(|(index, one)| one.sink.required && !is_proven(one) && !chosen.contains(index))
        .map(|(_, one)| {
            let reason = match &one.inspected {
                Ok(_) => "it holds something other than the current token".to_owned(),
                Err(failure) => format!("it could not be inspected: {failure}"),
            };
            one.named(&format!(
                "cannot be rehearsed: {reason}; and only a write can prove that it may be written"
            ))
        })
        .collect();
    if uncovered.is_empty() { Ok(()) } else { Err(Abort::NotRehearsable(uncovered)) }
}

/// Returns why a reset must not follow. An unacknowledged write is a problem also if its retry was
/// acknowledged, because it could overwrite the new token.
fn problem_of(result: &WriteResult) -> Option<String> {
    match &result.outcome {
        Err(failure) => Some(failure.to_string()),
        Ok(_) if result.unacknowledged => Some(
            "a write was not acknowledged, and could undo a later one; try again in a minute"
                .to_owned(),
        ),
        Ok(_) => None,
    }
}
