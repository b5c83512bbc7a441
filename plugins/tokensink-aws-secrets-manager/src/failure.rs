//! Maps errors of the SDK to error kinds.
//!
//! The mapping uses the error code, because servers send different statuses for the same error. The
//! status is used only if there is no code (as in a 403 of a proxy or an emulator whose body is not
//! JSON) or if the code is unknown.

use std::error::Error;
use std::time::Duration;

use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use tokensink_core::{Secret, SinkError, SinkErrorKind};
use tokensink_http::excerpt;

/// The rate limits are per second
/// (docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html).
const THROTTLED: Duration = Duration::from_secs(1);

/// The help for a request without a response.
const CHECK_NETWORK: &str = "check the network, a proxy if there is one, and `endpoint_url`";

/// Returns the error for a failed request. `secrets` are removed from the server's message.
pub(crate) fn explain<E>(
    doing: &str,
    place: &str,
    error: &SdkError<E, HttpResponse>,
    secrets: &[&Secret],
) -> SinkError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let problem = format!("could not {doing}");
    match error {
        SdkError::TimeoutError(_) => {
            SinkError::transient(format!("{problem} at {place}: no response in time"))
                .with_help(CHECK_NETWORK)
        }
        SdkError::ServiceError(service) => {
            let message = service.err().message().unwrap_or_default();
            let status = service.raw().status().as_u16();
            match service.err().code() {
                Some(code) => {
                    let message = shown(&format!("{code}: {message}"), secrets);
                    by_code(&format!("{problem}{message}"), code, status, doing)
                }
                None => unreadable(&problem, status),
            }
        }
        SdkError::ResponseError(response) => unreadable(&problem, response.raw().status().as_u16()),
        SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => {
            undispatched(&problem, place, error, secrets)
        }
        _ => SinkError::other(problem),
    }
}

/// Returns whether the credentials do not have the permission.
pub(crate) fn is_denied(error: &SinkError) -> bool {
    error.kind() == SinkErrorKind::PermissionDenied
}

fn by_code(problem: &str, code: &str, status: u16, doing: &str) -> SinkError {
    match code {
        "ExpiredTokenException" | "ExpiredToken" => SinkError::permission_denied(problem)
            .with_help("sign in again, for example with `aws sso login`"),
        "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => SinkError::permission_denied(problem).with_help(
            "the AWS credentials are wrong: run `aws sts get-caller-identity` to check them",
        ),
        "AccessDeniedException" | "AccessDenied" => SinkError::permission_denied(problem)
            .with_help(format!("allow it to {doing}: run `tokensink sinks aws-secrets-manager`")),
        "DecryptionFailure" | "EncryptionFailure" => SinkError::permission_denied(problem)
            .with_help("the secret's KMS key must be enabled, and usable by these credentials"),
        "ResourceNotFoundException" => SinkError::not_found(problem)
            .with_help("check `secret_id`, `region` and the account, or set `create = true`"),
        "ResourceExistsException" => SinkError::conflict(problem),
        "ThrottlingException"
        | "Throttling"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "SlowDown" => SinkError::rate_limited(THROTTLED, problem),
        "LimitExceededException" => {
            SinkError::rejected(problem).with_help("the secret has too many versions: wait a day")
        }
        "InvalidRequestException" | "InvalidParameterException" => SinkError::rejected(problem),
        "InternalServiceError"
        | "InternalFailure"
        | "ServiceUnavailable"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "RequestAbortedException" => SinkError::transient(problem),
        _ => by_status(problem, status),
    }
}

fn unreadable(problem: &str, status: u16) -> SinkError {
    by_status(&format!("{problem}: HTTP status {status}, and no readable response"), status)
}

fn by_status(problem: &str, status: u16) -> SinkError {
    match status {
        401 | 403 => SinkError::permission_denied(problem)
            .with_help("see the AWS credentials and their permissions"),
        409 => SinkError::conflict(problem),
        404 => SinkError::not_found(problem).with_help("check `endpoint_url`"),
        429 => SinkError::rate_limited(THROTTLED, problem),
        // A write may have taken effect, and it may be repeated.
        200..=299 | 408 | 500.. => SinkError::transient(problem),
        _ => SinkError::other(problem),
    }
}

/// Returns the error for a request that was not sent: there is no connection or no credential.
fn undispatched(
    problem: &str,
    place: &str,
    error: &(dyn Error + 'static),
    secrets: &[&Secret],
) -> SinkError {
    let mut words = String::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        words = inner.to_string();
        if words.contains("credential") || words.contains("profile") {
            return SinkError::permission_denied(format!("{problem}: there are no AWS credentials{}", shown(&words, secrets)))
                .with_help("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or `profile`, or run `aws sso login`");
        }
        if words.contains("header value") {
            let problem = format!(
                "{problem}: the AWS credentials contain a line break or a control character"
            );
            return SinkError::permission_denied(problem)
                .with_help("correct the credentials in the profile, or what its command prints");
        }
        if words.to_lowercase().contains("region") {
            return SinkError::permission_denied(format!(
                "{problem}: there is no usable AWS region"
            ))
            .with_help("set `region`");
        }
        cause = inner.source();
    }
    SinkError::transient(format!("{problem} at {place}{}", shown(&words, secrets)))
        .with_help(CHECK_NETWORK)
}

fn shown(text: &str, secrets: &[&Secret]) -> String {
    let clean =
        secrets.iter().fold(text.to_owned(), |text, secret| secret.redact(&text).into_owned());
    let line = excerpt(clean.trim_end_matches([':', ' ']));
    if line.is_empty() { line } else { format!(": {line}") }
}
