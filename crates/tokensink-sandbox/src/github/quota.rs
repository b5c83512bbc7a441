//! The hourly quota. Every request counts, and every response shows the remaining number
//! (docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api).

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::message;
use crate::server::locked;

const HOUR: Duration = Duration::from_secs(3600);
const REQUESTS: u32 = 5000;

/// The remaining requests of the hour.
#[derive(Debug)]
pub(super) struct HourlyQuota {
    is_counted: bool,
    remaining: u32,
    renewed_at: SystemTime,
}

impl HourlyQuota {
    pub(super) fn new() -> Self {
        Self { is_counted: true, remaining: REQUESTS, renewed_at: SystemTime::now() + HOUR }
    }

    pub(super) fn remaining(&self) -> u32 {
        self.remaining
    }

    pub(super) fn leave(&mut self, remaining: u32) {
        self.remaining = remaining;
    }

    pub(super) fn stop_counting(&mut self) {
        self.is_counted = false;
    }

    /// Counts one request. Returns whether one was left.
    fn take(&mut self) -> bool {
        if self.renewed_at <= SystemTime::now() {
            *self = Self::new();
        }
        let left = self.remaining.checked_sub(1);
        self.remaining = left.unwrap_or_default();
        left.is_some()
    }

    fn renewed_at(&self) -> u64 {
        self.renewed_at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }
}

/// Accepts requests until the quota is used up, and adds the quota's headers to the response.
pub(super) async fn count(
    State(quota): State<Arc<Mutex<HourlyQuota>>>,
    request: Request,
    next: Next,
) -> Response {
    if !locked(&quota).is_counted {
        return next.run(request).await;
    }
    let is_accepted = locked(&quota).take();
    let mut response = if is_accepted {
        next.run(request).await
    } else {
        message(StatusCode::FORBIDDEN, "API rate limit exceeded for user ID 1.")
    };
    let (remaining, renewed_at) = {
        let quota = locked(&quota);
        (u64::from(quota.remaining()), quota.renewed_at())
    };
    let headers = response.headers_mut();
    headers.insert("x-ratelimit-limit", HeaderValue::from(REQUESTS));
    headers.insert("x-ratelimit-remaining", HeaderValue::from(remaining));
    headers.insert("x-ratelimit-reset", HeaderValue::from(renewed_at));
    headers.insert("x-ratelimit-resource", HeaderValue::from_static("core"));
    response
}
