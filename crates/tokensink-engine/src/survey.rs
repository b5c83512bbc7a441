//! Surveys the sinks before a reset, to warn of copies of the token that are not sinks and of values that
//! take precedence. It has a time limit and does not prevent a reset.

use std::sync::Arc;

use tokensink_core::{Fingerprint, NearbyValue, SinkError, Survey, TargetId, Token};
use tokio::time::sleep;

use crate::plan::Prepared;
use crate::rate_limiter::RateLimiter;
use crate::run_concurrently::{TaskOutcome, run_concurrently};
use crate::session::Session;
use crate::{Sink, error_chain};

/// The results of all surveys, and of inspections of values near the sinks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surveyed {
    pub(crate) warnings: Vec<String>,
}

/// Surveys all sinks concurrently, for at most `Timing::survey`.
pub(crate) async fn survey(session: &Session, prepared: &[Prepared], token: &Token) -> Surveyed {
    let ended = run_concurrently(
        prepared.iter().map(|one| (Arc::clone(&one.sink), one.rate_limiter.clone())),
        |(sink, rate_limiter)| survey_one(sink, rate_limiter),
        |_, _| {},
        sleep(session.timing.survey),
    )
    .await;
    let known = KnownPlaces::new(session, prepared, token);
    let mut surveyed = Surveyed::default();
    let mut failed: Vec<(&Sink, String)> = Vec::new();
    for (one, ended) in prepared.iter().zip(ended) {
        let nearby = one.inspected.iter().flat_map(|inspected| &inspected.nearby);
        surveyed.warnings.extend(nearby.filter_map(|value| known.describe(&one.sink, value)));
        let survey = match ended {
            TaskOutcome::Returned(Ok(survey)) => survey,
            TaskOutcome::Returned(Err(error)) => {
                failed.push((&one.sink, error_chain(&error)));
                continue;
            }
            TaskOutcome::Panicked => {
                failed.push((&one.sink, "the plugin panicked".to_owned()));
                continue;
            }
            TaskOutcome::Abandoned => {
                failed
                    .push((&one.sink, format!("it took longer than {:?}", session.timing.survey)));
                continue;
            }
        };
        let nearby = survey.nearby.iter().filter_map(|value| known.describe(&one.sink, value));
        surveyed.warnings.extend(nearby);
        surveyed.warnings.extend(survey.warnings.iter().map(|text| one.named(text)));
    }
    surveyed.warnings.extend(describe_failures(&failed));
    let mut seen = std::collections::HashSet::new();
    surveyed.warnings.retain(|warning| seen.insert(warning.clone()));
    surveyed
}

async fn survey_one(
    sink: Arc<Sink>,
    rate_limiter: Option<Arc<RateLimiter>>,
) -> Result<Survey, SinkError> {
    let _permit = match &rate_limiter {
        Some(limiter) => Some(limiter.admit_read().await),
        None => None,
    };
    sink.plugin.survey().await
}

fn describe_failures(failed: &[(&Sink, String)]) -> Option<String> {
    let (sink, reason) = failed.first()?;
    let others = match failed.len() {
        1 => String::new(),
        many => format!(", and {} more", many - 1),
    };
    Some(format!("could not look for copies of the token near {sink}{others}: {reason}"))
}

/// The tokens and the places that this run knows.
struct KnownPlaces {
    current: Fingerprint,
    earlier: Vec<Fingerprint>,
    sinks: Vec<TargetId>,
}

impl KnownPlaces {
    fn new(session: &Session, prepared: &[Prepared], token: &Token) -> Self {
        let own = prepared.iter().map(|one| one.sink.info.target.clone());
        let resolved = prepared.iter().filter_map(|one| {
            one.preparation.as_ref().ok().and_then(|one| one.resolved_target.clone())
        });
        let others = session.context.other_targets.iter().cloned();
        Self {
            current: token.fingerprint(),
            earlier: session.known_tokens(),
            sinks: own.chain(resolved).chain(others).collect(),
        }
    }

    /// Returns a warning about `value`, which is near `sink`, if it is a copy of a token or takes precedence.
    fn describe(&self, sink: &Sink, value: &NearbyValue) -> Option<String> {
        if value.target.as_ref().is_some_and(|target| self.sinks.contains(target)) {
            return None;
        }
        let place = &value.place;
        let copy = value.fingerprint.as_ref().and_then(|held| {
            if *held == self.current {
                Some("the current token")
            } else if self.earlier.contains(held) {
                Some("an earlier token")
            } else {
                None
            }
        });
        match (copy, value.takes_precedence) {
            (Some(token), false) => {
                Some(format!("{sink}: {place} holds a copy of {token} and is not a sink"))
            }
            (Some(token), true) => Some(format!(
                "{sink}: {place} holds a copy of {token}, takes precedence and is not a sink"
            )),
            (None, true) => {
                Some(format!("{sink}: {place} takes precedence over it and is not a sink"))
            }
            (None, false) => None,
        }
    }
}
