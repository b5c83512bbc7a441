//! Finds the account of the credentials with `GetCallerIdentity` of AWS STS, which needs no permission
//! (docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html).

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sts::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use aws_sdk_sts::{Client, config};
use tokensink_core::{Environment, SinkError};
use tokensink_http::reqwest::Url;

use crate::endpoint::Endpoint;
use crate::network::http_client;

/// The time limit for the account in a preparation. The account is only shown, so a missing one does not
/// prevent the write.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// The endpoint of STS.
#[derive(Clone, Debug)]
pub(crate) enum StsEndpoint {
    /// AWS's own endpoint.
    Default,
    /// The endpoint in a variable or the profile.
    At(Endpoint),
    /// No request is sent.
    Unknown {
        /// The reason, as a fragment.
        reason: String,
    },
}

impl StsEndpoint {
    /// Chooses the endpoint. `named` is the endpoint of STS in a variable or the profile.
    pub(crate) fn choose(
        named: Result<Option<Endpoint>, SinkError>,
        secrets_manager: Option<&Endpoint>,
    ) -> Self {
        match (named, secrets_manager) {
            (Ok(Some(endpoint)), _) => Self::At(endpoint),
            (Err(error), _) => Self::Unknown { reason: error.to_string() },
            // The endpoint may be a fake, with credentials that are not valid at AWS.
            (Ok(None), Some(_)) => {
                Self::Unknown { reason: "the endpoint is for Secrets Manager only".to_owned() }
            }
            (Ok(None), None) => Self::Default,
        }
    }

    /// Returns the endpoint, if it is not AWS's own and requests are sent to it.
    pub(crate) fn endpoint(&self) -> Option<&Endpoint> {
        match self {
            Self::At(endpoint) => Some(endpoint),
            Self::Default | Self::Unknown { .. } => None,
        }
    }

    /// Returns the account of the credentials in `found`, or why it is not known.
    pub(crate) async fn account(
        &self,
        found: &SdkConfig,
        environment: &Environment,
    ) -> Result<String, String> {
        if let Self::Unknown { reason } = self {
            return Err(reason.clone());
        }
        let timeouts = TimeoutConfig::builder().operation_timeout(MAX_WAIT).build();
        let mut config = config::Builder::from(found).timeout_config(timeouts);
        config.set_endpoint_url(self.endpoint().map(Endpoint::setting));
        let url = match self.endpoint() {
            Some(endpoint) => Some(endpoint.url().clone()),
            None => default_url(found).await,
        };
        if let Some(url) = url {
            let client = http_client(&url, environment).await.map_err(|error| error.to_string())?;
            config = config.http_client(client);
        }
        let request = Client::from_conf(config.build()).get_caller_identity().send();
        match tokio::time::timeout(MAX_WAIT, request).await {
            Ok(Ok(identity)) => {
                identity.account.ok_or_else(|| "AWS STS returned no account".to_owned())
            }
            Ok(Err(aws_sdk_sts::error::SdkError::TimeoutError(_))) | Err(_) => {
                Err("AWS STS sent no response in time".to_owned())
            }
            // The text of the response may contain a part of the credentials.
            Ok(Err(error)) => {
                match error.as_service_error().and_then(|error| error.meta().code()) {
                    Some(code) => Err(format!("AWS STS responded {code}")),
                    None => Err("AWS STS could not be reached".to_owned()),
                }
            }
        }
    }
}

/// Returns the endpoint of the region, as the SDK finds it; `None` where that is a request's error.
async fn default_url(found: &SdkConfig) -> Option<Url> {
    let params = Params::builder()
        .set_region(found.region().map(ToString::to_string))
        .set_use_fips(found.use_fips())
        .set_use_dual_stack(found.use_dual_stack())
        .build();
    let endpoint = DefaultResolver::new().resolve_endpoint(&params.ok()?).await;
    Url::parse(endpoint.ok()?.url()).ok()
}
