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
use tokensink_core::{BuildContext, Environment, HostPolicy, Secret, SinkError};
use tokio::sync::OnceCell;

use crate::caller::StsEndpoint;
use crate::credentials::{self, SECRET_ACCESS_KEY, SESSION_TOKEN};
use crate::endpoint::{Endpoint, SECRETS_MANAGER, STS};
use crate::failure;

/// A region, an endpoint and credentials, with their client.
pub(crate) struct Account {
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    /// The endpoint in the table or a variable.
    pub(crate) endpoint: Option<Endpoint>,
    environment: Environment,
    hosts: HostPolicy,
    timeout: Duration,
    connection: OnceCell<Connection>,
    /// The account of the credentials, or why it is not known. It is requested once.
    caller: OnceCell<Result<String, String>>,
}

/// A client and its endpoints.
pub(crate) struct Connection {
    pub(crate) client: Client,
    /// The endpoint of Secrets Manager, if it is not the region's own.
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) sts: StsEndpoint,
    found: SdkConfig,
}

impl Account {
    pub(crate) fn new(
        region: Option<String>,
        profile: Option<String>,
        endpoint: Option<Endpoint>,
        context: &BuildContext,
    ) -> Self {
        Self {
            region,
            profile,
            endpoint,
            environment: context.environment().clone(),
            hosts: context.hosts().clone(),
            timeout: context.attempt_timeout(),
            connection: OnceCell::new(),
            caller: OnceCell::new(),
        }
    }

    /// Returns the connection. The first call reads the profiles and chooses the endpoints. It sends no
    /// request.
    ///
    /// # Errors
    ///
    /// When no credential may be sent to the profile's endpoint.
    pub(crate) async fn connection(&self) -> Result<&Connection, SinkError> {
        self.connection.get_or_try_init(|| self.connect()).await
    }

    /// Returns the client of the [`connection`](Self::connection).
    pub(crate) async fn client(&self) -> Result<&Client, SinkError> {
        Ok(&self.connection().await?.client)
    }

    /// Returns the AWS account of the credentials, or why it is not known. Only the first call waits, for
    /// at most two seconds.
    pub(crate) async fn caller(&self) -> Result<&str, String> {
        let connection = self.connection().await.map_err(|error| error.to_string())?;
        let request = || connection.sts.account(&connection.found);
        self.caller.get_or_init(request).await.as_deref().map_err(Clone::clone)
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

    /// Returns the name of the endpoint for messages.
    fn place(&self) -> String {
        let connected = self.connection.get().and_then(|connection| connection.endpoint.as_ref());
        match (connected.or(self.endpoint.as_ref()), &self.region) {
            (Some(endpoint), _) => endpoint.host(),
            (None, Some(region)) => format!("Secrets Manager in {region}"),
            (None, None) => "Secrets Manager".to_owned(),
        }
    }

    async fn connect(&self) -> Result<Connection, SinkError> {
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
        let named = |service| {
            let (profile, environment) = (self.profile.as_deref(), &self.environment);
            Endpoint::resolve(service, &found, profile, environment, &self.hosts)
        };
        let endpoint = match &self.endpoint {
            Some(endpoint) => Some(endpoint.clone()),
            None => named(&SECRETS_MANAGER)?,
        };
        let sts = StsEndpoint::choose(named(&STS), endpoint.as_ref());
        let mut config = config::Builder::from(&found);
        config.set_endpoint_url(endpoint.as_ref().map(|endpoint| endpoint.url().to_owned()));
        // The provider of the credentials has another client, which may use a proxy.
        if endpoint.as_ref().is_some_and(Endpoint::is_loopback) {
            config = config.http_client(without_proxy());
        }
        Ok(Connection { client: Client::from_conf(config.build()), endpoint, sts, found })
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
