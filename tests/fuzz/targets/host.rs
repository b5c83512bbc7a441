//! No project's config file can send anything to a host that is neither a vendor's own nor allowed
//! outside the file.

#![no_main]

const ALLOWED: &str = "127.0.0.1:4000";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    for host in tokensink_cli::hosts_of_project(bytes, ALLOWED) {
        assert!(host == ALLOWED || is_of_vendor(&host), "{host}");
    }
});

/// Whether a vendor itself is at `host`. Written without the code under test.
fn is_of_vendor(host: &str) -> bool {
    let labels: Vec<&str> = host.split('.').collect();
    let is_label = |text: &str| text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    let is_secrets_manager = |label: &str| matches!(label, "secretsmanager" | "secretsmanager-fips");
    labels.iter().all(|label| !label.is_empty() && is_label(label))
        && match labels.as_slice() {
            ["api", "upstash", "com"] | ["api", "github", "com"] | ["qstash", "upstash", "io"] => {
                true
            }
            [region, "upstash", "io"] => region.starts_with("qstash-"),
            ["api", _, "ghe", "com"] => true,
            [service, _, "amazonaws", "com"]
            | [service, _, "amazonaws", "com", "cn"]
            | [service, _, "api", "aws"] => is_secrets_manager(service),
            [_, service, _, "vpce", "amazonaws", "com"]
            | [_, service, _, "vpce", "amazonaws", "com", "cn"] => is_secrets_manager(service),
            _ => false,
        }
}
