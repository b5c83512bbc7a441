//! Prepares the write of a sink. Changes nothing.

use std::sync::Arc;

use tokensink_core::Preparation;
use tokio::time::Instant;

use crate::rate_limiter::RateLimiter;
use crate::retry::Retry;
use crate::{Sink, SinkFailure};

/// The result of a sink's preparation, and its time.
#[derive(Debug)]
pub(crate) struct PrepareResult {
    pub(crate) preparation: Result<Arc<Preparation>, SinkFailure>,
    pub(crate) at: Instant,
}

/// Rejects a preparation with an unexpected destination that was not shown to the user. `agreed` is the
/// destination that was shown.
pub(crate) fn ensure_agreed(
    preparation: Result<Arc<Preparation>, SinkFailure>,
    agreed: Option<&str>,
) -> Result<Arc<Preparation>, SinkFailure> {
    let preparation = preparation?;
    match preparation.foreign_destination.as_deref() {
        Some(found) if Some(found) != agreed => Err(SinkFailure::destination_changed(found)),
        _ => Ok(preparation),
    }
}

impl From<Result<Preparation, SinkFailure>> for PrepareResult {
    fn from(preparation: Result<Preparation, SinkFailure>) -> Self {
        Self { preparation: preparation.map(Arc::new), at: Instant::now() }
    }
}

/// Prepares one sink, with retries until its deadline.
pub(crate) async fn prepare(
    sink: Arc<Sink>,
    rate_limiter: Option<Arc<RateLimiter>>,
) -> PrepareResult {
    let mut retry = Retry::new(sink.deadline, rate_limiter);
    loop {
        match retry.read(sink.plugin.prepare()).await {
            Ok(preparation) => return PrepareResult::from(Ok(preparation)),
            Err(failure) => {
                if !retry.goes_on_after(&failure).await {
                    return PrepareResult::from(Err(failure));
                }
            }
        }
    }
}
