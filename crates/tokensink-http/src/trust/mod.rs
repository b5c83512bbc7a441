//! Decides whether a credential may be sent to a host.
//!
//! A project's config file may come from a stranger, so no credential is sent to a host that only this
//! file names. A host that is not the vendor's own must be allowed outside the file. It then receives
//! its own credential instead of the vendor's, unless it is loopback. [`authorize`] is the only function
//! that decides this; the plugins, the issuer and the CLI call it.

mod allowed_host;
mod refusal;
mod variable_name;
mod vendor;

pub use allowed_host::{AllowedHost, AllowedHostError};
pub use refusal::{HostRefusal, RefusalReason};
pub use variable_name::{InvalidVariableName, VariableName};
pub use vendor::{DefaultCredential, Vendor, is_aws_region};

use reqwest::Url;
use tokensink_core::{HostPolicy, Origin};

use crate::is_loopback;

/// A host from a setting, and the origin of the setting.
#[derive(Clone, Copy, Debug)]
pub struct HostSetting<'a> {
    /// The URL that the credential would be sent to.
    pub url: &'a Url,
    /// Where the URL was given.
    pub origin: Origin,
    /// The table's variable for the credential, and where it was given.
    pub token_env: Option<(&'a str, Origin)>,
    /// The variable that the vendor defines for hosts like this one. Set it only if the environment
    /// also names this host: `GH_ENTERPRISE_TOKEN` if `GH_HOST` does.
    pub vendor_variable: Option<&'a str>,
}

impl<'a> HostSetting<'a> {
    /// Creates a setting without variables.
    pub fn new(url: &'a Url, origin: Origin) -> Self {
        Self { url, origin, token_env: None, vendor_variable: None }
    }

    /// Sets [`token_env`](Self::token_env).
    #[must_use]
    pub fn with_token_env(self, token_env: Option<(&'a str, Origin)>) -> Self {
        Self { token_env, ..self }
    }

    /// Sets [`vendor_variable`](Self::vendor_variable).
    #[must_use]
    pub fn with_vendor_variable(self, vendor_variable: Option<&'a str>) -> Self {
        Self { vendor_variable, ..self }
    }
}

/// The permission to send a credential to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostGrant {
    /// The credential that may be sent there.
    pub credential: GrantedCredential,
    /// The host, as `HOST` or `HOST:PORT`, if it is not the vendor's own. It must be shown to the user.
    pub shown_host: Option<String>,
}

/// The credential that may be sent to a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantedCredential {
    /// The credential that the user has set up for the vendor.
    VendorDefault,
    /// Only the credential in this environment variable.
    Variable(String),
}

/// Decides whether a credential of `vendor` may be sent to the URL of `setting`, and which one.
///
/// # Errors
///
/// When the host is not allowed, or when there is no credential for it. The caller must not send
/// anything to the host then.
pub fn authorize(
    vendor: &Vendor,
    setting: &HostSetting<'_>,
    policy: &HostPolicy,
) -> Result<HostGrant, HostRefusal> {
    let url = setting.url;
    let refused = |reason| HostRefusal::new(*vendor, url, reason);
    if vendor.owns(url) {
        let credential = setting.token_env.map_or(GrantedCredential::VendorDefault, |(name, _)| {
            GrantedCredential::Variable(name.to_owned())
        });
        return Ok(HostGrant { credential, shown_host: None });
    }
    let named_outside = setting.origin != Origin::ProjectFile;
    let is_allowed = entries_for(url).any(|entry| policy.allowed.contains(&entry));
    if !named_outside && !is_allowed && setting.vendor_variable.is_none() {
        return Err(refused(RefusalReason::NotAllowed));
    }
    let credential = match setting.token_env {
        Some((_, Origin::ProjectFile)) => {
            return Err(refused(RefusalReason::TokenEnvInProjectFile));
        }
        Some((name, _)) => Some(GrantedCredential::Variable(name.to_owned())),
        None => own_credential(vendor, setting, policy),
    };
    let default_may_go_there = match vendor.default_credential() {
        DefaultCredential::DeliveredToken => true,
        DefaultCredential::AnyNamedHost => named_outside || is_loopback(url),
        DefaultCredential::OwnHostsOnly => is_loopback(url),
    };
    let default = default_may_go_there.then_some(GrantedCredential::VendorDefault);
    match credential.or(default) {
        Some(credential) => Ok(HostGrant { credential, shown_host: Some(shown_host(url)) }),
        None => Err(refused(RefusalReason::NoCredential)),
    }
}

/// Returns the credential for exactly this host, if there is one.
fn own_credential(
    vendor: &Vendor,
    setting: &HostSetting<'_>,
    policy: &HostPolicy,
) -> Option<GrantedCredential> {
    if !vendor.has_one_variable() {
        return None;
    }
    let by_user = entries_for(setting.url).find_map(|entry| policy.token_variables.get(&entry));
    let variable = by_user.map(String::as_str).or(setting.vendor_variable)?;
    Some(GrantedCredential::Variable(variable.to_owned()))
}

/// Returns the entries that match the host of `url`, the most specific first.
fn entries_for(url: &Url) -> impl Iterator<Item = String> {
    let host = url.host_str().filter(|host| !host.is_empty()).map(str::to_owned);
    let with_port =
        host.as_ref().zip(url.port_or_known_default()).map(|(host, port)| format!("{host}:{port}"));
    with_port.into_iter().chain(host)
}

/// Returns the host of `url` as `HOST`, or as `HOST:PORT` if the port is not the scheme's default.
pub fn shown_host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Returns whether both URLs have the same scheme, host and port.
pub fn is_same_server(one: &Url, other: &Url) -> bool {
    one.has_host()
        && one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

#[cfg(test)]
mod tests;
