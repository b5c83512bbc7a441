//! Tests of the evidence that a secret's time gives.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokensink_core::{Content, Receipt, TokenSink};

use crate::{SECRET, api_sink, github, write};

async fn content(sink: &dyn TokenSink, receipt: &Receipt) -> Content {
    sink.inspect(Some(receipt)).await.unwrap().content
}

fn seconds(receipt: &Receipt, fact: &str) -> i64 {
    receipt.get(fact).unwrap().parse::<Timestamp>().unwrap().as_second()
}

fn is_unknown(content: &Content, words: &str) -> bool {
    matches!(content, Content::Unknown { reason } if reason.contains(words))
}

#[tokio::test]
async fn our_write_is_recognized_after_a_late_response() {
    let github = github().await;
    let sink = api_sink(&github);
    github.delay_write_responses(Duration::from_secs(4));
    let receipt = write(sink.as_ref(), "one").await;
    assert_eq!(content(sink.as_ref(), &receipt).await, Content::UnchangedSinceOurWrite);
    let written = seconds(&receipt, "written_at");
    github.put_externally_at(SECRET, "theirs", written + 2);
    assert_eq!(content(sink.as_ref(), &receipt).await, Content::ChangedSinceOurWrite);
}

#[tokio::test]
async fn a_later_external_write_is_reported() {
    let github = github().await;
    let sink = api_sink(&github);
    assert_eq!(sink.inspect(None).await.unwrap().content, Content::Absent);
    let receipt = write(sink.as_ref(), "one").await;
    github.put_externally(SECRET, "theirs");
    assert_eq!(content(sink.as_ref(), &receipt).await, Content::ChangedSinceOurWrite);
}

#[tokio::test]
async fn a_write_is_ours_within_the_seconds_of_its_request() {
    let github = github().await;
    let sink = api_sink(&github);
    let receipt = write(sink.as_ref(), "one").await;
    let (sent, written) = (seconds(&receipt, "sent_at"), seconds(&receipt, "written_at"));
    for ours in [sent - 1, sent, written, written + 1] {
        github.put_externally_at(SECRET, "theirs", ours);
        let seen = content(sink.as_ref(), &receipt).await;
        assert_eq!(seen, Content::UnchangedSinceOurWrite, "{ours} {receipt}");
    }
    for later in [written + 2, written + 3, written + 3600] {
        github.put_externally_at(SECRET, "theirs", later);
        let seen = content(sink.as_ref(), &receipt).await;
        assert_eq!(seen, Content::ChangedSinceOurWrite, "{later} {receipt}");
    }
    for earlier in [sent - 2, sent - 3, sent - 3600] {
        github.put_externally_at(SECRET, "theirs", earlier);
        let seen = content(sink.as_ref(), &receipt).await;
        assert!(is_unknown(&seen, "before our write"), "{earlier} {receipt} {seen:?}");
    }
}

#[tokio::test]
async fn a_lagging_read_is_unknown_until_it_shows_our_write() {
    let github = github().await;
    let sink = api_sink(&github);
    github.put_externally_at(SECRET, "old", Timestamp::now().as_second() - 60);
    github.freeze_reads();
    let receipt = write(sink.as_ref(), "one").await;
    let seen = content(sink.as_ref(), &receipt).await;
    assert!(is_unknown(&seen, "the state before our write"), "{seen:?}");
    github.thaw_reads();
    assert_eq!(content(sink.as_ref(), &receipt).await, Content::UnchangedSinceOurWrite);
}

#[tokio::test]
async fn a_new_secret_that_reads_do_not_show_yet_is_unknown() {
    let github = github().await;
    let sink = api_sink(&github);
    github.lag_reads(Duration::from_secs(3600));
    let receipt = write(sink.as_ref(), "one").await;
    let seen = content(sink.as_ref(), &receipt).await;
    assert!(is_unknown(&seen, "does not show the new secret yet"), "{seen:?}");
    // After the maximum lag, the secret is reported as absent.
    github.shift_clock(SignedDuration::from_secs(60));
    assert_eq!(content(sink.as_ref(), &receipt).await, Content::Absent);
    github.lag_reads(Duration::ZERO);
    assert_eq!(content(sink.as_ref(), &receipt).await, Content::UnchangedSinceOurWrite);
}

#[tokio::test]
async fn only_githubs_clock_counts() {
    for hours in [-3, 3] {
        let github = github().await;
        github.shift_clock(SignedDuration::from_hours(hours));
        let sink = api_sink(&github);
        let receipt = write(sink.as_ref(), "one").await;
        assert_eq!(content(sink.as_ref(), &receipt).await, Content::UnchangedSinceOurWrite);
        github.put_externally(SECRET, "theirs");
        assert_eq!(content(sink.as_ref(), &receipt).await, Content::ChangedSinceOurWrite);
    }
}
