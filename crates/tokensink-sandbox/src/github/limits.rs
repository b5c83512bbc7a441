//! GitHub's secondary limits, as documented
//! (docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api): concurrent
//! requests, points per minute and endpoint, and writes per minute.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::message;

const WINDOW: Duration = Duration::from_secs(60);
const CONCURRENT: usize = 100;
const POINTS: u32 = 900;
const POINTS_OF_A_WRITE: u32 = 5;
const WRITES: usize = 80;

/// The duration of a request while limits are enforced, so that requests can be concurrent.
pub(super) const SERVICE_TIME: Duration = Duration::from_millis(10);

/// The requests and points that the client has used.
#[derive(Debug, Default)]
pub(super) struct SecondaryLimits {
    /// Cloned for each concurrent request.
    concurrent: Arc<()>,
    points: BTreeMap<String, VecDeque<(Instant, u32)>>,
    writes: VecDeque<Instant>,
    refusals: usize,
}

impl SecondaryLimits {
    /// Accepts a request, which counts as concurrent until the result is dropped, or refuses it.
    pub(super) fn enter(&mut self, method: &Method, path: &str) -> Result<Arc<()>, Response> {
        let now = Instant::now();
        let is_write = method == Method::PUT;
        let cost = if is_write { POINTS_OF_A_WRITE } else { 1 };
        let points = self.points.entry(endpoint(method, path)).or_default();
        points.retain(|(at, _)| now - *at < WINDOW);
        self.writes.retain(|at| now - *at < WINDOW);
        let used: u32 = points.iter().map(|(_, cost)| cost).sum();
        let opens = if Arc::strong_count(&self.concurrent) > CONCURRENT {
            Some(now)
        } else if used + cost > POINTS {
            points.front().map(|(at, _)| *at + WINDOW)
        } else if is_write && self.writes.len() >= WRITES {
            self.writes.front().map(|at| *at + WINDOW)
        } else {
            None
        };
        if let Some(opens) = opens {
            self.refusals += 1;
            return Err(refusal(self.refusals, opens - now));
        }
        points.push_back((now, cost));
        if is_write {
            self.writes.push_back(now);
        }
        Ok(Arc::clone(&self.concurrent))
    }
}

/// Returns the endpoint of a request. All repositories share one.
fn endpoint(method: &Method, path: &str) -> String {
    let segments: Vec<&str> = path.split('/').collect();
    let place = if segments.len() > 3 { segments[3..].join("/") } else { "repository".to_owned() };
    format!("{method} {place}")
}

/// Returns one of GitHub's three refusals, of which one has no `Retry-After`.
fn refusal(number: usize, opens_in: Duration) -> Response {
    let status =
        if number % 3 == 2 { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::FORBIDDEN };
    let response = message(status, "You have exceeded a secondary rate limit. Please wait.");
    if number.is_multiple_of(3) {
        return response;
    }
    let seconds = opens_in.as_secs() + 1;
    ([("retry-after", seconds.to_string())], response).into_response()
}
