//! An HTTP API with a bearer token: its address, its credential and its client.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Url};
use tokensink_core::{BuildContext, Secret, SinkError};

use crate::trust::{GrantedCredential, HostSetting, Vendor, authorize};
use crate::{bearer, build_client, parse_base_url};

/// An API at one address with one bearer token, shared by all sinks that use both.
#[derive(Debug)]
pub struct BearerApi {
    base: Url,
    shown_host: Option<String>,
    token: Secret,
    authorization: HeaderValue,
    timeout: Duration,
    client: OnceLock<Client>,
}

impl BearerApi {
    /// Returns the API of `vendor` at `url`, the value of a table's option `api_url`, else at
    /// `default_url`. Its token is in `variable`, or in the variable that the user chose for that host.
    /// Touches nothing outside the process.
    ///
    /// # Errors
    ///
    /// When the URL cannot be used or no token may be sent there, or when there is no token. Each of
    /// kind [`Config`](tokensink_core::SinkErrorKind::Config).
    pub fn new(
        vendor: &Vendor,
        default_url: &str,
        variable: &str,
        url: Option<&str>,
        context: &BuildContext,
    ) -> Result<Arc<Self>, SinkError> {
        let base = parse_base_url(url.unwrap_or(default_url)).map_err(|error| {
            SinkError::config(format!("option `api_url`: {error}")).for_option("api_url")
        })?;
        let setting = HostSetting::new(&base, context.origin("api_url"));
        let grant = authorize(vendor, &setting, context.hosts())
            .map_err(|refusal| refusal.into_sink_error("api_url"))?;
        let variable = match &grant.credential {
            GrantedCredential::VendorDefault => variable,
            GrantedCredential::Variable(name) => name,
        };
        let token = context.environment().secret(variable).cloned().ok_or_else(|| {
            SinkError::config(format!("the variable {variable} is not set"))
                .with_help(format!("set {variable} to a token of {}", vendor.name()))
        })?;
        let authorization = bearer(token.expose()).map_err(|_| {
            SinkError::config(format!(
                "the variable {variable}: its value contains a line break or a control character"
            ))
            .with_help(format!("set {variable} again, without it"))
        })?;
        let (timeout, shown_host) = (context.attempt_timeout(), grant.shown_host);
        let key = format!("bearer {} {base} {variable} {timeout:?}", vendor.name());
        let client = OnceLock::new();
        Ok(context.shared(&key, || Self {
            base,
            shown_host,
            token,
            authorization,
            timeout,
            client,
        }))
    }

    /// Returns the API's address, with a slash at its end.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Returns the host if it is not the vendor's own, for
    /// [`SinkInfo::host`](tokensink_core::SinkInfo::host).
    pub fn shown_host(&self) -> Option<&str> {
        self.shown_host.as_deref()
    }

    /// Returns the token, which [`send`](crate::send) removes from the server's messages.
    pub fn token(&self) -> &Secret {
        &self.token
    }

    /// Builds an authorized request to `path`, which is relative to the address and already encoded.
    ///
    /// # Errors
    ///
    /// When a proxy or certificate setting of the environment is not usable.
    pub fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, SinkError> {
        let client = match self.client.get() {
            Some(client) => client,
            None => {
                let built = build_client(&self.base, self.timeout)?;
                self.client.get_or_init(|| built)
            }
        };
        let url = format!("{}{path}", self.base);
        Ok(client.request(method, url).header(AUTHORIZATION, self.authorization.clone()))
    }
}
