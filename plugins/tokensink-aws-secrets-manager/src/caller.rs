//! Whose credentials these are: `GetCallerIdentity` of AWS STS, which needs no permission
//! (docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html).

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_sts::{Client, config};
use tokensink_core::Environment;
use tokensink_http::{is_loopback, parse_base_url, reqwest::Url};

use crate::client::without_proxy;
use crate::credentials::setting;
use crate::endpoint::{ALL_SERVICES, Endpoint, IGNORE};

const VARIABLE: &str = "AWS_ENDPOINT_URL_STS";

/// The longest that a preparation waits for the account: it is shown, and prevents nothing.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Where STS is.
#[derive(Clone, Debug)]
pub(crate) enum StsEndpoint {
    /// At AWS, or where the profile says.
    Default,
    /// Where a variable says.
    At(Url),
    /// It must not be asked.
    Unknown {
        /// Why not, as a fragment.
        reason: String,
    },
}

impl StsEndpoint {
    /// Decides by the variables of the AWS tools. `endpoint` is the one of Secrets Manager.
    pub(crate) fn choose(endpoint: Option<&Endpoint>, environment: &Environment) -> Self {
        let ignored =
            setting(environment, IGNORE).is_some_and(|set| set.eq_ignore_ascii_case("true"));
        let set = |variable| Some((variable, setting(environment, variable)?));
        let variable =
            if ignored { None } else { [VARIABLE, ALL_SERVICES].into_iter().find_map(set) };
        match (variable, endpoint) {
            (Some((variable, text)), _) => match parse_base_url(text) {
                Ok(url) => Self::At(url),
                Err(error) => Self::Unknown { reason: format!("the variable {variable}: {error}") },
            },
            // What is at that endpoint may be a fake: AWS itself need not know the credentials.
            (None, Some(_)) => {
                Self::Unknown { reason: "the endpoint is one of Secrets Manager only".to_owned() }
            }
            (None, None) => Self::Default,
        }
    }

    /// Returns the account of the credentials in `found`, or why it is not known.
    pub(crate) async fn account(&self, found: &SdkConfig) -> Result<String, String> {
        let timeouts = TimeoutConfig::builder().operation_timeout(MAX_WAIT).build();
        let config = config::Builder::from(found).timeout_config(timeouts);
        let config = match self {
            Self::Default => config,
            Self::At(url) => {
                let config = config.endpoint_url(url.as_str().trim_end_matches('/'));
                if is_loopback(url) { config.http_client(without_proxy()) } else { config }
            }
            Self::Unknown { reason } => return Err(reason.clone()),
        };
        let asked = Client::from_conf(config.build()).get_caller_identity().send();
        match tokio::time::timeout(MAX_WAIT, asked).await {
            Ok(Ok(identity)) => {
                identity.account.ok_or_else(|| "AWS STS names no account".to_owned())
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
