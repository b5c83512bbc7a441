//! Where the token is sent to when it is not the region's own endpoint.

use tokensink_core::{Environment, SinkError};
use tokensink_http::{is_loopback, parse_base_url, reqwest::Url};

/// The variables that every AWS tool takes an endpoint from, the most particular first.
const VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_SECRETS_MANAGER", ALL_SERVICES];

/// Names the endpoint of every service that has no variable of its own.
pub(crate) const ALL_SERVICES: &str = "AWS_ENDPOINT_URL";

/// Says that those variables count for nothing.
pub(crate) const IGNORE: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";

/// An endpoint that is not the region's own.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    url: Url,
    /// The variable that names it, where the table does not.
    variable: Option<&'static str>,
}

impl Endpoint {
    /// What the table names, else what a variable does.
    ///
    /// The token goes there, so a config file alone must not choose just any.
    pub(crate) fn choose(
        named: Option<&str>,
        environment: &Environment,
    ) -> Result<Option<Self>, SinkError> {
        let by_variable = by_variable(environment);
        let Some(text) = named else { return by_variable.transpose() };
        let url = parse_base_url(text)
            .map_err(|error| SinkError::config(format!("option `endpoint_url`: {error}")))?;
        let is_meant = |other: Result<Self, SinkError>| other.is_ok_and(|other| other.url == url);
        if is_trusted(&url) || by_variable.is_some_and(is_meant) {
            return Ok(Some(Self { url, variable: None }));
        }
        let problem = format!(
            "option `endpoint_url`: {} is not of Secrets Manager, and a config file alone must not send the token there",
            url.host_str().unwrap_or_default()
        );
        Err(SinkError::config(problem)
            .with_help("if you trust it, set AWS_ENDPOINT_URL_SECRETS_MANAGER to the same URL"))
    }

    /// As the SDK takes it.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// What a person should know who has forgotten the variable.
    pub(crate) fn warning(&self) -> Option<String> {
        Some(format!("{} sends it to {}", self.variable?, self.host()))
    }
}

fn by_variable(environment: &Environment) -> Option<Result<Endpoint, SinkError>> {
    if environment.setting(IGNORE).is_some_and(|set| set.trim().eq_ignore_ascii_case("true")) {
        return None;
    }
    let set = |name| Some((name, environment.setting(name)?));
    let (name, text) = VARIABLES.into_iter().find_map(set)?;
    let url = parse_base_url(text).map_err(|error| {
        SinkError::config(format!("the variable {name}: {error}"))
            .with_help(format!("unset it, or set {IGNORE}=true"))
    });
    Some(url.map(|url| Endpoint { url, variable: Some(name) }))
}

fn is_trusted(url: &Url) -> bool {
    is_loopback(url) || url.host_str().is_some_and(is_of_secrets_manager)
}

/// The hosts of Secrets Manager itself (docs.aws.amazon.com/general/latest/gr/asm.html) and of its
/// VPC endpoints. Below the same domains anybody may have an API, a bucket or a load balancer.
fn is_of_secrets_manager(host: &str) -> bool {
    let below = |domain| host.strip_suffix(domain).map(|rest| rest.split('.').collect::<Vec<_>>());
    let is_service = |label: &str| ["secretsmanager", "secretsmanager-fips"].contains(&label);
    let is_place = |labels: &[&str]| matches!(labels, [service, region] if is_service(service) && is_region(region));
    let own = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].into_iter().find_map(below);
    let vpc = [".vpce.amazonaws.com", ".vpce.amazonaws.com.cn"].into_iter().find_map(below);
    own.is_some_and(|labels| is_place(&labels))
        || vpc.is_some_and(|labels| labels.len() == 3 && is_place(&labels[1..]))
}

/// Such as `us-gov-west-1`. A bucket of the old style is below `s3-eu-west-1`.
fn is_region(label: &str) -> bool {
    let Some((area, number)) = label.rsplit_once('-') else { return false };
    let is_word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase());
    area.contains('-')
        && area.split('-').all(is_word)
        && !number.is_empty()
        && number.chars().all(|c| c.is_ascii_digit())
}
