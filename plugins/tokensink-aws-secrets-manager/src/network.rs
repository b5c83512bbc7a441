//! What requests go through: the proxy and the certificates that the environment names.
//!
//! The SDK goes out directly where it cannot use a proxy setting, and knows no AWS_CA_BUNDLE.

use std::path::PathBuf;

use aws_sdk_secretsmanager::config::SharedHttpClient;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use tokensink_core::{Environment, SinkError};
use tokensink_http::{ClientError, check_network_settings, read_certificates, reqwest::Url};

/// Names the certificates that every AWS tool verifies servers with.
const CA_BUNDLE: &str = "AWS_CA_BUNDLE";

/// Returns a client for requests to `url`. It uses no proxy on the way to this machine.
///
/// # Errors
///
/// When a setting of the proxy or the certificates cannot be used.
pub(crate) async fn http_client(
    url: &Url,
    environment: &Environment,
) -> Result<SharedHttpClient, SinkError> {
    let bundle = environment.setting(CA_BUNDLE).filter(|_| url.scheme() == "https");
    let (url, bundle) = (url.clone(), bundle.map(PathBuf::from));
    // Reads files.
    let read = tokio::task::spawn_blocking(move || {
        let proxy = check_network_settings(&url)?;
        let certificates = bundle.map(|file| read_certificates(CA_BUNDLE, &file)).transpose()?;
        Ok::<_, ClientError>((proxy, certificates))
    });
    let read = read
        .await
        .map_err(|error| SinkError::other("cannot read the network settings").with_source(error))?;
    let (proxy, certificates) = read?;
    let unusable = |what: &str| SinkError::config(format!("cannot use {what} for AWS"));
    let proxy = match &proxy {
        Some(url) => ProxyConfig::all(url.as_str()).map_err(|_| unusable("the proxy"))?,
        None => ProxyConfig::disabled(),
    };
    let trusted = match certificates {
        Some(pem) => TrustStore::empty().with_pem_certificate(pem),
        None => TrustStore::default(),
    };
    let tls = TlsContext::builder().with_trust_store(trusted).build();
    let tls = tls.map_err(|_| unusable("the certificates"))?;
    // As the SDK builds its own, except for the proxy and the certificates.
    Ok(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut connector = Connector::builder()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(tls.clone())
            .proxy_config(proxy.clone());
        connector.set_connector_settings(settings.cloned());
        if let Some(components) = components {
            connector.set_sleep_impl(components.sleep_impl());
        }
        connector.build()
    }))
}
