//! What an answer that is no success means.

use std::time::Duration;

use reqwest::StatusCode;
use tokensink_core::{Secret, SinkError};
use tokensink_http::{Response, TransportError, retry_after, server_time};

/// The pause after a secondary limit that names none
/// (docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api).
const UNNAMED_PAUSE: Duration = Duration::from_secs(60);

/// The quota is counted by the hour: a later end of it than that is a mistake of the server.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// There was no whole answer.
pub(crate) fn unanswered(doing: &str, host: &str, failure: TransportError) -> SinkError {
    SinkError::transient(format!("could not {doing} at {host}"))
        .with_source(failure)
        .with_help("see the network, a proxy if there is one, and `api_url`")
}

/// There was one, and it is not what GitHub says when all is well.
pub(crate) fn refused(doing: &str, answer: &Response, secrets: &[&Secret]) -> SinkError {
    let said = answer.error_message(secrets);
    let problem = format!("could not {doing}: {said}");
    match answer.status {
        StatusCode::UNAUTHORIZED => SinkError::permission_denied(problem)
            .with_help("the GitHub token is wrong or has expired: make a new one"),
        StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => limited_or_denied(problem, answer),
        StatusCode::NOT_FOUND => SinkError::not_found(problem)
            .with_help("GitHub also answers 404 for what the token may not see"),
        StatusCode::UNPROCESSABLE_ENTITY => SinkError::rejected(problem),
        // A gateway's own word: what GitHub did is not known.
        status if status.is_success() => SinkError::transient(problem)
            .with_help("see what stands between here and GitHub: this is no answer of its own"),
        status if status.is_redirection() => {
            SinkError::conflict(problem).with_help("the repository has moved")
        }
        status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            SinkError::transient(problem)
        }
        _ => SinkError::other(problem),
    }
}

fn limited_or_denied(problem: String, answer: &Response) -> SinkError {
    let spoken = problem.to_lowercase();
    if let Some(pause) = retry_after(&answer.headers) {
        return SinkError::rate_limited(pause, problem);
    }
    if header(answer, "x-ratelimit-remaining") == Some("0") {
        return SinkError::rate_limited(until_renewal(answer).unwrap_or(UNNAMED_PAUSE), problem);
    }
    if answer.status == StatusCode::TOO_MANY_REQUESTS || spoken.contains("rate limit") {
        return SinkError::rate_limited(UNNAMED_PAUSE, problem);
    }
    let needed =
        header(answer, "x-accepted-github-permissions").unwrap_or("write access to secrets");
    SinkError::permission_denied(problem).with_help(format!("the GitHub token needs: {needed}"))
}

/// From the answer's own clock to the end of the hour that is counted, and a second more.
pub(crate) fn until_renewal(answer: &Response) -> Option<Duration> {
    let reset: u64 = header(answer, "x-ratelimit-reset")?.parse().ok()?;
    let now = server_time(&answer.headers)?.duration_since(std::time::UNIX_EPOCH).ok()?;
    let renewed = Duration::from_secs(reset.saturating_add(1));
    Some(renewed.saturating_sub(now).min(LONGEST_PAUSE))
}

pub(crate) fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    answer.headers.get(name)?.to_str().ok()
}
