//! Upstash's own hosts. Whole names are compared, not suffixes: Upstash hosts customer content below
//! its domains, such as `BOX-PORT.preview.box.upstash.com` (upstash.com/docs/box/overall/preview).

use tokensink_http::{DefaultCredential, Vendor, is_aws_region};

/// The Developer API, which receives the account's API key.
pub const DEVELOPER_API: Vendor =
    Vendor::new("Upstash", is_developer_api, DefaultCredential::AnyNamedHost)
        .with_setting_outside("set TOKENSINK_UPSTASH__API_URL to the same URL");

/// QStash itself, which receives the token of a probe.
pub const QSTASH: Vendor = Vendor::new("QStash", is_qstash, DefaultCredential::DeliveredToken);

fn is_developer_api(host: &str) -> bool {
    host == "api.upstash.com"
}

/// Accepts `qstash.upstash.io` and `qstash-REGION.upstash.io`
/// (upstash.com/docs/qstash/howto/multi-region).
fn is_qstash(host: &str) -> bool {
    let region = || host.strip_prefix("qstash-")?.strip_suffix(".upstash.io");
    host == "qstash.upstash.io" || region().is_some_and(is_aws_region)
}
