//! Chooses the endpoint, if it is not the region's own.

use tokensink_core::{BuildContext, Environment, Origin, SinkError};
use tokensink_http::{
    DefaultCredential, HostSetting, Vendor, authorize, is_aws_region, parse_base_url, reqwest::Url,
    shown_host,
};

/// Secrets Manager. Its requests are signed with keys that are in more than one variable.
const SECRETS_MANAGER: Vendor =
    Vendor::new("AWS Secrets Manager", is_of_secrets_manager, DefaultCredential::AnyNamedHost)
        .without_token_variables()
        .with_setting_outside("set AWS_ENDPOINT_URL_SECRETS_MANAGER to the same URL");

/// The variables in which AWS tools look for an endpoint, the most specific first.
const VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_SECRETS_MANAGER", ALL_SERVICES];

/// The variable for the endpoint of every service without its own variable.
pub(crate) const ALL_SERVICES: &str = "AWS_ENDPOINT_URL";

/// The variable that disables the endpoint variables.
pub(crate) const IGNORE: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";

/// An endpoint that is not the region's own.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    url: Url,
    /// The variable that sets it, if the table does not.
    variable: Option<&'static str>,
}

impl Endpoint {
    /// Returns the endpoint in the table, else the one in a variable.
    ///
    /// # Errors
    ///
    /// When it is not a URL, or when only the project's config file names it.
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

    /// Returns the URL in the form that the SDK expects.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    /// Returns `HOST`, or `HOST:PORT` if the port is not the scheme's default.
    pub(crate) fn host(&self) -> String {
        shown_host(&self.url)
    }

    /// Returns a warning if a variable sets the endpoint, which the user may have forgotten.
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

/// Recognizes the hosts of Secrets Manager itself (docs.aws.amazon.com/general/latest/gr/asm.html) and of
/// its VPC endpoints. Customers' APIs, buckets and load balancers are below the same domains.
fn is_of_secrets_manager(host: &str) -> bool {
    let below = |domain| host.strip_suffix(domain).map(|rest| rest.split('.').collect::<Vec<_>>());
    let is_service = |label: &str| ["secretsmanager", "secretsmanager-fips"].contains(&label);
    let is_place = |labels: &[&str]| matches!(labels, [service, region] if is_service(service) && is_aws_region(region));
    let own = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].into_iter().find_map(below);
    let vpc = [".vpce.amazonaws.com", ".vpce.amazonaws.com.cn"].into_iter().find_map(below);
    own.is_some_and(|labels| is_place(&labels))
        || vpc.is_some_and(|labels| labels.len() == 3 && is_place(&labels[1..]))
}
