//! Evidence of a write. GitHub does not show a secret's value but the time of its last write.

use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use tokensink_core::{Content, Receipt};
use tokensink_http::{Response, server_time};

const SENT_AT: &str = "sent_at";
const WRITTEN_AT: &str = "written_at";

/// `updated_at` has whole seconds, and it is not documented that they are rounded down. The clocks of
/// GitHub's machines may also differ. An external write within one second after ours can therefore not
/// be distinguished from ours.
const TOLERANCE: i64 = 1;

/// GitHub's reads may be this far behind its writes
/// (github.com/integrations/terraform-provider-github, issues 3502 and 3069: 0.3 to 4 s).
const MAX_LAG: i64 = 10;

/// The interval from the request to the response of a write, by GitHub's clock, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteTime {
    sent: i64,
    responded: i64,
}

impl WriteTime {
    /// Returns the interval of the write that `response` acknowledges, or `None` without a `Date`. The
    /// local clock may be wrong, so the request's time is the response's minus the round trip.
    pub(crate) fn of(response: &Response) -> Option<Self> {
        let date = date(response)?;
        let sent = date.saturating_sub(response.round_trip).as_secs();
        Some(Self {
            sent: i64::try_from(sent).ok()?,
            responded: i64::try_from(date.as_secs()).ok()?,
        })
    }

    pub(crate) fn recorded(receipt: &Receipt) -> Option<Self> {
        let seconds = |fact| Some(receipt.get(fact)?.parse::<Timestamp>().ok()?.as_second());
        Some(Self { sent: seconds(SENT_AT)?, responded: seconds(WRITTEN_AT)? })
    }

    pub(crate) fn record(self, receipt: Receipt) -> Receipt {
        let facts = [(SENT_AT, self.sent), (WRITTEN_AT, self.responded)];
        facts.into_iter().fold(receipt, |receipt, (fact, seconds)| {
            match Timestamp::from_second(seconds) {
                Ok(time) => receipt.with(fact, time.to_string()),
                // A time after the year 9999 proves nothing.
                Err(_) => receipt,
            }
        })
    }

    /// Returns the content of a secret that was last written at `updated_at`.
    pub(crate) fn content_at(self, updated_at: Timestamp) -> Content {
        let updated_at = updated_at.as_second();
        if updated_at > self.responded.saturating_add(TOLERANCE) {
            Content::ChangedSinceOurWrite
        } else if updated_at < self.sent.saturating_sub(TOLERANCE) {
            let reason = "GitHub still shows the state before our write".to_owned();
            Content::Unknown { reason }
        } else {
            Content::UnchangedSinceOurWrite
        }
    }

    /// Returns the content if `response` shows no secret.
    pub(crate) fn content_without_secret(self, response: &Response) -> Content {
        let now = date(response).and_then(|date| i64::try_from(date.as_secs()).ok());
        if now.is_some_and(|now| now > self.responded.saturating_add(MAX_LAG)) {
            return Content::Absent;
        }
        Content::Unknown { reason: "GitHub does not show the new secret yet".to_owned() }
    }
}

fn date(response: &Response) -> Option<Duration> {
    server_time(&response.headers)?.duration_since(UNIX_EPOCH).ok()
}
