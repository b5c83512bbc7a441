//! Chooses the endpoint, if it is not the region's own, and checks that a credential may be sent to it.
//!
//! The order is that of the AWS SDK: the table, the service's own variable, the variable of all services,
//! the service's own entry in the profile, the profile's entry for all services. The table and the
//! variables are known when a sink is built, the profile when it is prepared.

use std::fmt;

use aws_config::SdkConfig;
use aws_types::service_config::ServiceConfigKey;
use tokensink_core::{BuildContext, Environment, HostPolicy, Origin, SinkError};
use tokensink_http::{
    DefaultCredential, HostSetting, Vendor, authorize, is_aws_region, parse_base_url, reqwest::Url,
    shown_host,
};

use crate::credentials;

/// The variable for the endpoint of every service without its own variable.
const ALL_SERVICES: &str = "AWS_ENDPOINT_URL";

/// The variable that disables the endpoint variables and the profile's entries.
const IGNORE: &str = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS";

/// The profile that is used by default.
const DEFAULT_PROFILE: &str = "default";

/// A service of AWS.
#[derive(Debug)]
pub(crate) struct Service {
    /// The vendor. Its credential consists of more than one variable.
    vendor: Vendor,
    /// The names in a profile: the documented one
    /// (docs.aws.amazon.com/sdkref/latest/guide/ss-endpoints-table.html), and the one that the SDK
    /// looks for.
    ids: [&'static str; 2],
    /// The variable for the endpoint.
    variable: &'static str,
}

/// Secrets Manager, to which the token is sent.
pub(crate) const SECRETS_MANAGER: Service = Service {
    vendor: Vendor::new(
        "AWS Secrets Manager",
        is_of_secrets_manager,
        DefaultCredential::AnyNamedHost,
    )
    .without_token_variables()
    .with_setting_outside("set AWS_ENDPOINT_URL_SECRETS_MANAGER to the same URL"),
    ids: ["secrets_manager", "Secrets Manager"],
    variable: "AWS_ENDPOINT_URL_SECRETS_MANAGER",
};

/// STS, which returns the account of the credentials.
pub(crate) const STS: Service = Service {
    vendor: Vendor::new("AWS STS", is_of_sts, DefaultCredential::AnyNamedHost)
        .without_token_variables()
        .with_setting_outside("set AWS_ENDPOINT_URL_STS to the same URL"),
    ids: ["sts", "STS"],
    variable: "AWS_ENDPOINT_URL_STS",
};

/// An endpoint that is not the region's own and to which a credential may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    url: Url,
    source: Source,
    /// Whether it is AWS's own, such as a VPC endpoint.
    is_of_aws: bool,
}

/// The setting that an endpoint comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Table,
    Variable(&'static str),
    Profile(String),
}

impl Endpoint {
    /// Returns the endpoint of Secrets Manager in the table, else the one in a variable.
    ///
    /// # Errors
    ///
    /// When it is not a URL, or when only the project's config file names it.
    pub(crate) fn choose(
        named: Option<&str>,
        context: &BuildContext,
    ) -> Result<Option<Self>, SinkError> {
        let by_variable =
            Self::by_variable(&SECRETS_MANAGER, context.environment(), context.hosts());
        let Some(text) = named else { return by_variable };
        let url = parse_base_url(text).map_err(|error| {
            SinkError::config(format!("option `endpoint_url`: {error}")).for_option("endpoint_url")
        })?;
        let is_in_variable =
            by_variable.is_ok_and(|other| other.is_some_and(|other| other.url == url));
        let origin =
            if is_in_variable { Origin::Environment } else { context.origin("endpoint_url") };
        let setting = HostSetting::new(&url, origin);
        let grant = authorize(&SECRETS_MANAGER.vendor, &setting, context.hosts())
            .map_err(|refusal| refusal.into_sink_error("endpoint_url"))?;
        Ok(Some(Self { url, source: Source::Table, is_of_aws: grant.shown_host.is_none() }))
    }

    /// Returns the endpoint of `service` in a variable or the profile. `found` is the SDK's config, and
    /// `profile` is the table's profile.
    ///
    /// # Errors
    ///
    /// When it is not a URL, or when no credential may be sent to it.
    pub(crate) fn resolve(
        service: &Service,
        found: &SdkConfig,
        profile: Option<&str>,
        environment: &Environment,
        hosts: &HostPolicy,
    ) -> Result<Option<Self>, SinkError> {
        if let Some(endpoint) = Self::by_variable(service, environment, hosts)? {
            return Ok(Some(endpoint));
        }
        let is_ignored = environment.setting(IGNORE).map_or_else(
            || {
                in_profile(found, "", "ignore_configured_endpoint_urls")
                    .is_some_and(|on| is_true(&on))
            },
            is_true,
        );
        let of_all = in_profile(found, "", "endpoint_url");
        let of_id = |id: &&str| {
            // Without an entry for the service, the SDK returns the one for all services.
            in_profile(found, id, "endpoint_url").filter(|text| Some(text) != of_all.as_ref())
        };
        let named = service.ids.iter().find_map(of_id).or_else(|| of_all.clone());
        let Some(text) = named.filter(|_| !is_ignored) else { return Ok(None) };
        let profile = profile.or_else(|| credentials::profile(environment));
        let source = Source::Profile(profile.unwrap_or(DEFAULT_PROFILE).to_owned());
        Self::named(service, &text, source, hosts).map(Some)
    }

    fn by_variable(
        service: &Service,
        environment: &Environment,
        hosts: &HostPolicy,
    ) -> Result<Option<Self>, SinkError> {
        if environment.setting(IGNORE).is_some_and(is_true) {
            return Ok(None);
        }
        let set = |name| Some((name, environment.setting(name)?));
        match [service.variable, ALL_SERVICES].into_iter().find_map(set) {
            Some((name, text)) => {
                Self::named(service, text, Source::Variable(name), hosts).map(Some)
            }
            None => Ok(None),
        }
    }

    /// Creates an endpoint from a setting outside the project's file.
    fn named(
        service: &Service,
        text: &str,
        source: Source,
        hosts: &HostPolicy,
    ) -> Result<Self, SinkError> {
        let origin = match &source {
            Source::Table => Origin::ProjectFile,
            Source::Variable(_) => Origin::Environment,
            Source::Profile(_) => Origin::CredentialFile,
        };
        let url = parse_base_url(text).map_err(|error| {
            SinkError::config(format!("{source}: {error}"))
                .with_help(format!("correct it, or set {IGNORE}=true"))
        })?;
        let grant = authorize(&service.vendor, &HostSetting::new(&url, origin), hosts).map_err(
            |refusal| SinkError::config(format!("{source}: {refusal}")).with_help(refusal.help()),
        )?;
        Ok(Self { url, source, is_of_aws: grant.shown_host.is_none() })
    }

    /// Where requests go.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// As the SDK takes it.
    pub(crate) fn setting(&self) -> String {
        self.url.as_str().trim_end_matches('/').to_owned()
    }

    /// Returns `HOST`, or `HOST:PORT` if the port is not the scheme's default.
    pub(crate) fn host(&self) -> String {
        shown_host(&self.url)
    }

    /// What a user should know who has forgotten the variable.
    pub(crate) fn warning(&self) -> Option<String> {
        match &self.source {
            Source::Variable(name) => Some(format!("{name} sends it to {}", self.host())),
            Source::Table | Source::Profile(_) => None,
        }
    }

    /// Returns the destination if the endpoint is in the profile, which is not known before the
    /// preparation.
    pub(crate) fn destination(&self) -> Option<String> {
        let is_unexpected = matches!(self.source, Source::Profile(_)) && !self.is_of_aws;
        is_unexpected.then(|| format!("at {}", self.place()))
    }

    /// Returns the host and the setting that it comes from, if it is not AWS's own.
    pub(crate) fn foreign_place(&self) -> Option<String> {
        (!self.is_of_aws).then(|| self.place())
    }

    fn place(&self) -> String {
        format!("{}, set by {}", self.host(), self.source)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table => f.write_str("option `endpoint_url`"),
            Self::Variable(name) => write!(f, "the variable {name}"),
            Self::Profile(name) => write!(f, "the AWS profile `{name}`"),
        }
    }
}

/// Returns an entry of the profile, for the service or for all services.
fn in_profile(found: &SdkConfig, service_id: &str, key: &str) -> Option<String> {
    // No variable has this name, so the SDK looks only into the profile. The C library may find one
    // whose name is empty.
    let key = ServiceConfigKey::builder().service_id(service_id).env("\0").profile(key).build();
    let text = found.service_config()?.load_config(key.ok()?)?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

/// Recognizes the hosts of Secrets Manager itself (docs.aws.amazon.com/general/latest/gr/asm.html) and of its
/// VPC endpoints.
fn is_of_secrets_manager(host: &str) -> bool {
    is_of(host, &["secretsmanager", "secretsmanager-fips"])
}

/// Recognizes the hosts of STS itself (docs.aws.amazon.com/general/latest/gr/sts.html) and of its VPC
/// endpoints.
fn is_of_sts(host: &str) -> bool {
    host == "sts.amazonaws.com" || is_of(host, &["sts", "sts-fips"])
}

/// Returns whether `host` is a host of a service with one of these names. Customers' APIs, buckets and load
/// balancers are below the same domains.
fn is_of(host: &str, services: &[&str]) -> bool {
    let below = |domain| host.strip_suffix(domain).map(|rest| rest.split('.').collect::<Vec<_>>());
    let is_place = |labels: &[&str]| matches!(labels, [service, region] if services.contains(service) && is_aws_region(region));
    let own = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].into_iter().find_map(below);
    let vpc = [".vpce.amazonaws.com", ".vpce.amazonaws.com.cn"].into_iter().find_map(below);
    own.is_some_and(|labels| is_place(&labels))
        || vpc.is_some_and(|labels| labels.len() == 3 && is_place(&labels[1..]))
}

#[cfg(test)]
mod tests {
    use aws_types::service_config::LoadServiceConfig;

    use super::*;

    /// A profile with services, keys and values. A key with an empty service is for all services.
    #[derive(Debug)]
    struct Profile(&'static [(&'static str, &'static str, &'static str)]);

    impl LoadServiceConfig for Profile {
        fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
            let of = |service: &str| {
                let is_it =
                    |entry: &&(&str, &str, &str)| (entry.0, entry.1) == (service, key.profile());
                self.0.iter().find(is_it).map(|entry| entry.2.to_owned())
            };
            of(key.service_id()).or_else(|| of(""))
        }
    }

    type Entries = &'static [(&'static str, &'static str, &'static str)];

    fn resolved(
        service: &Service,
        profile: Entries,
        variables: &[(&str, &str)],
    ) -> Result<Option<String>, String> {
        let found = SdkConfig::builder().service_config(Profile(profile)).build();
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let environment: Environment = variables.collect();
        let hosts = HostPolicy::default();
        let endpoint = Endpoint::resolve(service, &found, Some("dev"), &environment, &hosts);
        endpoint
            .map(|endpoint| endpoint.map(|endpoint| endpoint.place()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn variables_go_before_the_profile_and_the_service_before_all_services() {
        const PROFILE: Entries = &[
            ("", "endpoint_url", "https://all.example"),
            ("sts", "endpoint_url", "https://sts.example"),
        ];
        let place = |text: &str| Ok(Some(text.to_owned()));
        for (service, variables, expected) in [
            (&STS, &[][..], place("sts.example, set by the AWS profile `dev`")),
            (&SECRETS_MANAGER, &[], place("all.example, set by the AWS profile `dev`")),
            (
                &STS,
                &[(ALL_SERVICES, "https://v.example")],
                place("v.example, set by the variable AWS_ENDPOINT_URL"),
            ),
            (
                &STS,
                &[(ALL_SERVICES, "https://v.example"), (STS.variable, "https://w.example:1")],
                place("w.example:1, set by the variable AWS_ENDPOINT_URL_STS"),
            ),
            (&STS, &[(ALL_SERVICES, "https://v.example"), (IGNORE, "true")], Ok(None)),
            (&STS, &[(ALL_SERVICES, " ")], place("sts.example, set by the AWS profile `dev`")),
        ] {
            assert_eq!(resolved(service, PROFILE, variables), expected, "{variables:?}");
        }
    }

    #[test]
    fn the_profile_can_disable_endpoints() {
        const PROFILE: Entries = &[
            ("", "endpoint_url", "https://all.example"),
            ("", "ignore_configured_endpoint_urls", "True"),
        ];
        assert_eq!(resolved(&STS, PROFILE, &[]), Ok(None));
        assert!(resolved(&STS, PROFILE, &[(IGNORE, "false")]).unwrap().is_some());
    }

    #[test]
    fn the_error_for_an_unsafe_endpoint_names_the_profile() {
        for (profile, words) in [
            (&[("", "endpoint_url", "http://10.0.0.1")] as Entries, "in the clear"),
            (&[("", "endpoint_url", "https://me:hunter2@x.example")], "contains credentials"),
            (&[("", "endpoint_url", "localstack")], "is not a URL"),
        ] {
            let error = resolved(&SECRETS_MANAGER, profile, &[]).unwrap_err();
            assert!(
                error.starts_with("the AWS profile `dev`: ") && error.contains(words),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn only_the_exact_hosts_of_sts_are_its_own() {
        for host in [
            "sts.amazonaws.com",
            "sts.eu-central-1.amazonaws.com",
            "sts-fips.us-east-1.amazonaws.com",
            "sts.cn-north-1.amazonaws.com.cn",
            "sts.eu-central-1.api.aws",
            "vpce-1-a.sts.eu-central-1.vpce.amazonaws.com",
        ] {
            assert!(is_of_sts(host), "{host}");
        }
        for host in [
            "sts.s3.amazonaws.com",
            "evil.sts.amazonaws.com",
            "sts.eu-central-1.elb.amazonaws.com",
            "sts.amazonaws.com.evil.example",
            "secretsmanager.eu-central-1.amazonaws.com",
            "sts.eu-central-1.amazonaws.com.",
        ] {
            assert!(!is_of_sts(host), "{host}");
        }
    }
}
