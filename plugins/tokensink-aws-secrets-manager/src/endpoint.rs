//! Where the token is sent to when it is not the region's own endpoint.

use tokensink_core::{BuildContext, Environment, Origin, SinkError};
use tokensink_http::{
    DefaultCredential, HostSetting, Vendor, authorize, is_aws_region, parse_base_url, reqwest::Url,
    shown_host,
};

/// Secrets Manager. Its requests carry the token, signed with keys that do not fit into one variable.
const SECRETS_MANAGER: Vendor =
    Vendor::new("AWS Secrets Manager", is_of_secrets_manager, DefaultCredential::AnyNamedHost)
        .without_token_variables()
        .with_setting_outside("set AWS_ENDPOINT_URL_SECRETS_MANAGER to the same URL");

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
    /// Returns the endpoint that the table names, else the one that a variable names.
    ///
    /// # Errors
    ///
    /// When it is not a URL, or only the project's config file names it.
    pub(crate) fn choose(
        named: Option<&str>,
        context: &BuildContext,
    ) -> Result<Option<Self>, SinkError> {
        let by_variable = by_variable(context.environment());
        let Some(text) = named else { return by_variable.transpose() };
        let url = parse_base_url(text).map_err(|error| {
            SinkError::config(format!("option `endpoint_url`: {error}")).for_option("endpoint_url")
        })?;
        let is_in_variable =
            by_variable.is_some_and(|other| other.is_ok_and(|other| other.url == url));
        let origin =
            if is_in_variable { Origin::Environment } else { context.origin("endpoint_url") };
        authorize(&SECRETS_MANAGER, &HostSetting::new(&url, origin), context.hosts())
            .map_err(|refusal| refusal.into_sink_error("endpoint_url"))?;
        Ok(Some(Self { url, variable: None }))
    }

    /// As the SDK takes it.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// As `HOST`, or as `HOST:PORT` where the port is not the scheme's own.
    pub(crate) fn host(&self) -> String {
        shown_host(&self.url)
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

/// The hosts of Secrets Manager itself (docs.aws.amazon.com/general/latest/gr/asm.html) and of its
/// VPC endpoints. Below the same domains anybody may have an API, a bucket or a load balancer.
fn is_of_secrets_manager(host: &str) -> bool {
    let below = |domain| host.strip_suffix(domain).map(|rest| rest.split('.').collect::<Vec<_>>());
    let is_service = |label: &str| ["secretsmanager", "secretsmanager-fips"].contains(&label);
    let is_place = |labels: &[&str]| matches!(labels, [service, region] if is_service(service) && is_aws_region(region));
    let own = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].into_iter().find_map(below);
    let vpc = [".vpce.amazonaws.com", ".vpce.amazonaws.com.cn"].into_iter().find_map(below);
    own.is_some_and(|labels| is_place(&labels))
        || vpc.is_some_and(|labels| labels.len() == 3 && is_place(&labels[1..]))
}
