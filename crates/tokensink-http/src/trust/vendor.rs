//! What is known about a vendor: its own hosts, and where its default credential may go.

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

/// Where a vendor's default credential may go besides the vendor's own hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultCredential {
    /// To a host that is named outside the project's file, and to an allowed host of this machine.
    AnyNamedHost,
    /// To an allowed host of this machine only: what people set up for the vendor's public service
    /// is of no use anywhere else.
    OwnHostsOnly,
    /// There is none: what is sent is the delivered token itself, to every host that is allowed.
    DeliveredToken,
}

impl Vendor {
    /// A vendor whose own hosts are those that `is_own_host` accepts. The predicate must compare
    /// whole names: vendors host their customers' content below their domains.
    pub const fn new(
        name: &'static str,
        is_own_host: fn(&str) -> bool,
        default_credential: DefaultCredential,
    ) -> Self {
        Self { name, is_own_host, default_credential, has_one_variable: true, setting_outside: "" }
    }

    /// Sets what a user does, as an imperative fragment, to name another host outside the project's
    /// file with the vendor's own means: `set GH_HOST and GH_ENTERPRISE_TOKEN`.
    #[must_use]
    pub const fn with_setting_outside(self, setting_outside: &'static str) -> Self {
        Self { setting_outside, ..self }
    }

    /// Marks a vendor whose credential does not fit into one environment variable.
    #[must_use]
    pub const fn without_token_variables(self) -> Self {
        Self { has_one_variable: false, ..self }
    }

    /// The vendor's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Whether `url` leads to the vendor itself: `https`, the usual port, one of its own hosts.
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

/// Whether `label` has the form of an AWS region, such as `us-gov-west-1`. Upstash names its regions
/// alike. A bucket of the old style is below `s3-eu-west-1`, which is not one.
pub fn is_aws_region(label: &str) -> bool {
    let Some((area, number)) = label.rsplit_once('-') else { return false };
    let is_word = |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_lowercase());
    area.contains('-')
        && area.split('-').all(is_word)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|c| c.is_ascii_digit())
}
