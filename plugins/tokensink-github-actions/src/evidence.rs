//! Evidence of a write by time: GitHub shows no value, only when a secret was last written.

use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use tokensink_core::{Content, Receipt};
use tokensink_http::{Response, server_time};

const SENT_AT: &str = "sent_at";
const WRITTEN_AT: &str = "written_at";

/// `updated_at` has whole seconds, and it is not documented that they are rounded down; nor do all
/// of GitHub's machines have the same time. So an external write within one second after ours
/// cannot be distinguished from it.
const TOLERANCE: i64 = 1;

/// GitHub's reads may be this far behind its writes
/// (github.com/integrations/terraform-provider-github, issues 3502 and 3069: 0.3 to 4 s).
const MAX_LAG: i64 = 10;

/// The time of a write by GitHub's clock, in seconds since 1970: between the request and the
/// response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriteTime {
    sent: i64,
    responded: i64,
}

impl WriteTime {
    /// Of the write that `response` acknowledges; `None` without a `Date`. The local clock may be
    /// wrong, so the request's time is the response's minus the round trip.
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
                // Later than the year 9999: not a time that proves anything.
                Err(_) => receipt,
            }
        })
    }

    /// What a secret that was last written at `updated_at` contains.
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

    /// What a place contains where `response` shows no secret.
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
