//! Vendors: their own hosts, and the hosts that may receive their default credential.

use reqwest::Url;

/// A service that a credential belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Vendor {
    name: &'static str,
    is_own_host: fn(&str) -> bool,
    default_credential: DefaultCredential,
    has_one_variable: bool,
    setting_outside: &'static str,
}

/// The hosts besides the vendor's own that may receive the vendor's default credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultCredential {
    /// Hosts that are set outside the project's file, and allowed loopback hosts.
    AnyNamedHost,
    /// Allowed loopback hosts only: a credential for the vendor's public service is not valid
    /// anywhere else.
    OwnHostsOnly,
    /// There is no default credential. The delivered token itself is sent, to every allowed host.
    DeliveredToken,
}

impl Vendor {
    /// Creates a vendor. Its own hosts are those that `is_own_host` accepts. The function must compare
    /// whole names, because vendors host customer content below their domains.
    pub const fn new(
        name: &'static str,
        is_own_host: fn(&str) -> bool,
        default_credential: DefaultCredential,
    ) -> Self {
        Self { name, is_own_host, default_credential, has_one_variable: true, setting_outside: "" }
    }

    /// Sets the help for setting another host outside the project's file with the vendor's own
    /// settings. It is an imperative fragment: `set GH_HOST and GH_ENTERPRISE_TOKEN`.
    #[must_use]
    pub const fn with_setting_outside(self, setting_outside: &'static str) -> Self {
        Self { setting_outside, ..self }
    }

    /// Marks a vendor whose credential consists of more than one environment variable.
    #[must_use]
    pub const fn without_token_variables(self) -> Self {
        Self { has_one_variable: false, ..self }
    }

    /// Returns the vendor's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns whether `url` is one of the vendor's own hosts, with `https` and the default port.
    pub fn owns(&self, url: &Url) -> bool {
        url.scheme() == "https"
            && url.port().is_none()
            && url.host_str().is_some_and(self.is_own_host)
    }

    pub(super) fn default_credential(&self) -> DefaultCredential {
        self.default_credential
    }

    pub(super) fn has_one_variable(&self) -> bool {
        self.has_one_variable
    }

    pub(super) fn setting_outside(&self) -> Option<&'static str> {
        Some(self.setting_outside).filter(|setting| !setting.is_empty())
    }
}

/// Returns whether `label` has the form of an AWS region, such as `us-gov-west-1`. Upstash's regions
/// have the same form. `s3-eu-west-1`, from the host of an old-style bucket, does not have it.
pub fn is_aws_region(label: &str) -> bool {
    let Some((area, number)) = label.rsplit_once('-') else { return false };
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_lowercase());
    area.contains('-')
        && area.split('-').all(is_word)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|c| c.is_ascii_digit())
}
