//! Tests of the hourly quota and of the pauses that GitHub requests.

use std::time::{Duration, SystemTime};

use serde_json::json;
use tokensink_core::{SinkErrorKind, Token};
use tokensink_sandbox::GitHub;

use crate::{SECRET, api_sink, build, github, refusal};

#[tokio::test]
async fn a_preparation_fails_if_the_hourly_quota_does_not_suffice() {
    let github = github().await;
    github.leave(5);
    let (kind, words) = refusal(api_sink(&github).as_ref()).await;
    assert!(
        kind == SinkErrorKind::PermissionDenied && words.contains("has 3 requests left"),
        "{words}"
    );
    assert!(words.contains("4 may be needed"), "{words}");
    github.leave(6);
    let sink = api_sink(&github);
    sink.prepare().await.unwrap();
    sink.inspect(None).await.unwrap();
    // The key is known by now, and another program used the token meanwhile.
    github.leave(3);
    let (kind, words) = refusal(sink.as_ref()).await;
    assert!(
        kind == SinkErrorKind::PermissionDenied && words.contains("3 may be needed"),
        "{words}"
    );
    github.leave(0);
    let sink = api_sink(&github);
    let before = github.requests().len();
    for _ in 0..2 {
        let (kind, _) = refusal(sink.as_ref()).await;
        let SinkErrorKind::RateLimited { retry_after } = kind else { panic!("{kind:?}") };
        assert!((3500..=3601).contains(&retry_after.as_secs()), "{retry_after:?}");
    }
    // The second preparation knows this and sends nothing.
    assert_eq!(github.requests().len(), before + 1);
}

#[tokio::test]
async fn sinks_that_were_dropped_are_not_counted() {
    let github = GitHub::start().await.unwrap();
    github.add_organization("acme");
    let names: Vec<String> = (0..31).map(|one| format!("acme/r{one:02}")).collect();
    for name in &names {
        github.add_repository(name);
    }
    // One sink needs two requests now and four later.
    github.leave(6);
    let table = json!({"repositories": names, "api_url": github.url()});
    let mut sinks = build(table, &[("GH_TOKEN", github.token())]).unwrap();
    sinks.truncate(1);
    sinks[0].prepare().await.unwrap();
    let asked: Vec<String> = github.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(asked, ["/repos/acme/r00", "/repos/acme/r00/actions/secrets/public-key",]);
}

#[tokio::test]
async fn the_pause_after_a_rate_limit_is_the_requested_one() {
    let github = github().await;
    let prepared = api_sink(&github).prepare().await.unwrap();
    let later = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(17));
    for (status, said, seconds) in [
        (403, Some("17"), 17..=17),
        (429, Some("17"), 17..=17),
        (429, Some(later.as_str()), 15..=18),
        (403, None, 60..=60),
        (429, None, 60..=60),
    ] {
        github.limit_next_writes(status, 1, said);
        let error = prepared.writer.write(&Token::new("one")).await.unwrap_err();
        let SinkErrorKind::RateLimited { retry_after } = error.kind() else {
            panic!("{status}: {error}")
        };
        assert!(seconds.contains(&retry_after.as_secs()), "{status} {said:?}: {retry_after:?}");
    }
    prepared.writer.write(&Token::new("one")).await.unwrap();
    assert_eq!(github.secret(SECRET).as_deref(), Some("one"));
}
