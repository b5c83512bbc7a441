//! The SDK's client for one region and one set of credentials. Shared by all sinks that use them.

use std::error::Error;
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config;
use aws_sdk_secretsmanager::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use tokensink_core::{BuildContext, Environment, HostPolicy, Secret, SinkError};
use tokensink_http::reqwest::Url;
use tokio::sync::OnceCell;

use crate::caller::StsEndpoint;
use crate::credentials::{self, SECRET_ACCESS_KEY, SESSION_TOKEN};
use crate::endpoint::{Endpoint, SECRETS_MANAGER, STS};
use crate::failure;
use crate::network::http_client;

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
    /// When the profile names an endpoint that no credential may be sent to, or a setting of the proxy
    /// or the certificates cannot be used.
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
        let asked = || connection.sts.account(&connection.found, &self.environment);
        self.caller.get_or_init(asked).await.as_deref().map_err(Clone::clone)
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
        config.set_endpoint_url(endpoint.as_ref().map(Endpoint::setting));
        let url = match &endpoint {
            Some(endpoint) => Some(endpoint.url().clone()),
            None => default_url(&found).await,
        };
        // Credentials may come through another proxy: from elsewhere.
        if let Some(url) = url {
            config = config.http_client(http_client(&url, &self.environment).await?);
        }
        Ok(Connection { client: Client::from_conf(config.build()), endpoint, sts, found })
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

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("region", &self.region)
            .field("profile", &self.profile)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
