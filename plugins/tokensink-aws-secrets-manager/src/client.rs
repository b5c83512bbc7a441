//! The SDK's client for one region and one set of credentials. Shared by all sinks that use them.

use std::error::Error;
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::config::{self, SharedHttpClient};
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls;
use tokensink_core::{BuildContext, Environment, Secret, SinkError};
use tokensink_http::{is_loopback, reqwest::Url};
use tokio::sync::OnceCell;

use crate::caller::StsEndpoint;
use crate::credentials::{self, SECRET_ACCESS_KEY, SESSION_TOKEN};
use crate::endpoint::Endpoint;
use crate::failure;

/// A region, an endpoint and credentials, with their client.
pub(crate) struct Account {
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) endpoint: Option<Endpoint>,
    environment: Environment,
    timeout: Duration,
    client: OnceCell<(Client, SdkConfig)>,
    sts: StsEndpoint,
    /// The account of the credentials, or why it is not known. It is requested once.
    caller: OnceCell<Result<String, String>>,
}

impl Account {
    pub(crate) fn new(
        region: Option<String>,
        profile: Option<String>,
        endpoint: Option<Endpoint>,
        context: &BuildContext,
    ) -> Self {
        let environment = context.environment().clone();
        let sts = StsEndpoint::choose(endpoint.as_ref(), &environment);
        let timeout = context.attempt_timeout();
        let (client, caller) = (OnceCell::new(), OnceCell::new());
        Self { region, profile, endpoint, environment, timeout, client, sts, caller }
    }

    /// Returns the client. The first call reads the profiles.
    pub(crate) async fn client(&self) -> &Client {
        &self.client.get_or_init(|| self.connect()).await.0
    }

    /// Returns the AWS account of the credentials, or why it is not known. Only the first call waits, for
    /// at most two seconds.
    pub(crate) async fn caller(&self) -> &Result<String, String> {
        let (_, found) = self.client.get_or_init(|| self.connect()).await;
        self.caller.get_or_init(|| self.sts.account(found)).await
    }

    /// Converts an error of the SDK. The result contains no credentials.
    pub(crate) fn explain<E>(&self, doing: &str, error: &SdkError<E, HttpResponse>) -> SinkError
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let names = [SECRET_ACCESS_KEY, SESSION_TOKEN];
        let secrets: Vec<&Secret> =
            names.iter().filter_map(|name| self.environment.secret(name)).collect();
        failure::explain(doing, &self.place(), error, &secrets)
    }

    /// Returns the name of the endpoint for messages, as far as the table and the environment set it.
    fn place(&self) -> String {
        match (&self.endpoint, &self.region) {
            (Some(endpoint), _) => endpoint.host(),
            (None, Some(region)) => format!("Secrets Manager in {region}"),
            (None, None) => "Secrets Manager".to_owned(),
        }
    }

    async fn connect(&self) -> (Client, SdkConfig) {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.timeout.min(Duration::from_secs(5)))
            .operation_attempt_timeout(self.timeout)
            .operation_timeout(self.timeout)
            .build();
        // The engine retries.
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &self.endpoint {
            loader = loader.endpoint_url(endpoint.url());
        }
        if let Some(profile) = &self.profile {
            // Otherwise the SDK would prefer keys in the environment to the table's profile.
            let provider = ProfileFileCredentialsProvider::builder().profile_name(profile).build();
            loader = loader.profile_name(profile).credentials_provider(provider);
        } else if let Some(credentials) = credentials::keys(&self.environment) {
            loader = loader.credentials_provider(credentials);
        } else if let Some(profile) = credentials::profile(&self.environment) {
            loader = loader.profile_name(profile);
        }
        let found = loader.load().await;
        let config = config::Builder::from(&found);
        // The provider of the credentials has another client, which may use a proxy.
        let is_here = found.endpoint_url().and_then(|url| Url::parse(url).ok());
        if is_here.is_some_and(|url| is_loopback(&url)) {
            return (Client::from_conf(config.http_client(without_proxy()).build()), found);
        }
        (Client::from_conf(config.build()), found)
    }
}

/// Returns the SDK's own client without the proxies of the environment, for the reason given at
/// [`tokensink_http::build_client`].
pub(crate) fn without_proxy() -> SharedHttpClient {
    let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
    aws_smithy_http_client::Builder::new().tls_provider(provider).build_https()
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("region", &self.region)
            .field("profile", &self.profile)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
