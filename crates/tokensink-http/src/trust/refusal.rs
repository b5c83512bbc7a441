//! The error for a host that must not receive a credential.

use std::fmt;

use reqwest::Url;
use tokensink_core::SinkError;

use super::{DefaultCredential, Vendor, shown_host};
use crate::is_loopback;

/// The error for a host that must not receive a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct HostRefusal {
    /// The host, as `HOST` or `HOST:PORT`.
    pub host: String,
    /// The vendor whose API the host would serve.
    pub vendor: &'static str,
    /// The reason.
    pub reason: RefusalReason,
    help: String,
}

/// The reason why a host must not receive a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// Only the project's config file names the host.
    NotAllowed,
    /// The project's config file names the variable whose value would be sent to the host.
    TokenEnvInProjectFile,
    /// The host is allowed, but there is no credential for it.
    NoCredential,
}

impl HostRefusal {
    pub(super) fn new(vendor: Vendor, url: &Url, reason: RefusalReason) -> Self {
        let host = shown_host(url);
        let help = help(vendor, url, &host, reason);
        Self { host, vendor: vendor.name(), reason, help }
    }

    /// Returns the user's next step, as an imperative fragment that names the exact setting.
    pub fn help(&self) -> &str {
        &self.help
    }

    /// Returns the option that the reason is about, if it is not the URL.
    pub fn option(&self) -> Option<&'static str> {
        (self.reason == RefusalReason::TokenEnvInProjectFile).then_some("token_env")
    }

    /// Converts the refusal into the error for a sink's table whose option `url_option` is the URL.
    pub fn into_sink_error(self, url_option: &str) -> SinkError {
        let option = self.option().unwrap_or(url_option);
        SinkError::config(self.to_string()).for_option(option).with_help(self.help)
    }
}

impl fmt::Display for HostRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, vendor, .. } = self;
        match self.reason {
            RefusalReason::NotAllowed => write!(
                f,
                "{host} is not a host of {vendor}, and only the project's config file names it: \
                 neither a credential nor the token is sent to it"
            ),
            RefusalReason::TokenEnvInProjectFile => write!(
                f,
                "{host} is not a host of {vendor}, and a project's config file must not name the \
                 variable that is sent there"
            ),
            RefusalReason::NoCredential => write!(
                f,
                "{host} is not a host of {vendor}, and there is no credential for it: the default \
                 one is not sent to it"
            ),
        }
    }
}

fn help(vendor: Vendor, url: &Url, host: &str, reason: RefusalReason) -> String {
    let outside = vendor.setting_outside();
    let allow = format!("set TOKENSINK_ALLOW_HOSTS={host} or add --allow-host {host}");
    let needs_own =
        !is_loopback(url) && vendor.default_credential() != DefaultCredential::DeliveredToken;
    let own = format!(
        "set TOKENSINK_HOST_TOKENS={host}=VARIABLE, where VARIABLE contains the credential for it"
    );
    let or_outside = |text: String| match outside {
        Some(outside) => format!("{text}; or {outside}"),
        None => text,
    };
    match reason {
        RefusalReason::NotAllowed if needs_own && !vendor.has_one_variable() => {
            let text = outside.map_or_else(|| allow.clone(), str::to_owned);
            format!("if you trust it, {text}")
        }
        RefusalReason::NotAllowed if needs_own => {
            or_outside(format!("if you trust it, {allow}, and {own}"))
        }
        RefusalReason::NotAllowed => format!("if you trust it, {allow}"),
        RefusalReason::TokenEnvInProjectFile => {
            format!("remove `token_env`; if you trust the host, {own}")
        }
        RefusalReason::NoCredential if !vendor.has_one_variable() => {
            outside.unwrap_or("name the host outside the project's config file").to_owned()
        }
        RefusalReason::NoCredential => or_outside(format!(
            "{own}, or write `[hosts.\"{host}\"] token_env = \"VARIABLE\"` into your own config file"
        )),
    }
}
