//! What must not be overwritten unnoticed: files of encryption tools, and values that are not tokens.

use tokensink_core::{SinkError, StoredValue};
use zeroize::Zeroizing;

use crate::dialect::OURS;
use crate::scan::{Assignment, all_assignments_in, assignments};

/// How a file begins that a tool encrypted as a whole.
const FILE_PREFIXES: [(&[u8], &str); 6] = [
    (b"\0GITCRYPT\0", "git-crypt"),
    (b"age-encryption.org/v1", "age"),
    (b"-----BEGIN AGE ENCRYPTED FILE", "age"),
    (b"$ANSIBLE_VAULT;", "ansible-vault"),
    (b"-----BEGIN PGP MESSAGE", "PGP"),
    // Base64 of `Salted__`, which OpenSSL writes.
    (b"U2FsdGVkX1", "transcrypt or OpenSSL"),
];

/// Variables that a tool adds to a file whose values it encrypts.
const MARKER_VARIABLES: [(&str, &str); 3] =
    [("sops_version", "sops"), ("sops_mac", "sops"), ("DOTENV_PUBLIC_KEY", "dotenvx")];

/// Refuses a file that an encryption tool manages.
pub(crate) fn refuse_managed_file(bytes: &[u8]) -> Result<(), SinkError> {
    let by_prefix = FILE_PREFIXES.iter().find(|(prefix, _)| bytes.starts_with(prefix));
    let tool = by_prefix.map(|(_, tool)| *tool).or_else(|| {
        let found = all_assignments_in(&OURS, bytes);
        let marker = |one: &&(&str, &str)| found.iter().any(|found| found.key.starts_with(one.0));
        MARKER_VARIABLES.iter().find(marker).map(|(_, tool)| *tool)
    });
    let Some(tool) = tool else { return Ok(()) };
    Err(SinkError::rejected(format!("is managed by {tool}, and the token would be in plain text"))
        .with_help(format!("write the token with {tool} after the reset, and remove this sink")))
}

/// Refuses a value that is recognized as something other than a token.
pub(crate) fn refuse_other_values(bytes: &[u8], keys: &[String]) -> Result<(), SinkError> {
    for one in assignments(bytes, keys) {
        if let Some(what) = stored_value(bytes, &one).obstacle() {
            let problem = format!("{} in line {} holds {what}", one.key, one.line);
            return Err(SinkError::rejected(problem).with_help(
                "replace the value at the place that it comes from, or set `replace = \"anything\"`",
            ));
        }
    }
    Ok(())
}

fn stored_value(bytes: &[u8], one: &Assignment<'_>) -> StoredValue {
    let value = String::from_utf8_lossy(&bytes[one.value.clone()]);
    // A shell runs the text in backticks; only some readers treat them as quotes.
    if bytes.get(one.span.start) == Some(&b'`') && value.trim().contains([' ', '/']) {
        return StoredValue::Command;
    }
    let quote = one.span.start.checked_sub(1).and_then(|before| bytes.get(before));
    if !one.is_bare && quote == Some(&b'"') {
        return StoredValue::of(&unescaped(&value));
    }
    StoredValue::of(&value)
}

/// What most readers make of a value in double quotes.
fn unescaped(value: &str) -> Zeroizing<String> {
    let mut unescaped = Zeroizing::new(String::with_capacity(value.len()));
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        let next = if c == '\\' { rest.next() } else { None };
        unescaped.push(match next {
            Some('n') => '\n',
            Some('r') => '\r',
            Some(escaped) => escaped,
            None => c,
        });
    }
    unescaped
}

/// The host of the region that applications use without a `QSTASH_URL`, in both of its names
/// (<https://upstash.com/docs/qstash/howto/multi-region>).
const DEFAULT_HOSTS: [&str; 2] = ["qstash.upstash.io", "qstash-eu-central-1.upstash.io"];

/// Warns about a QStash URL in the same file where a token of this account may not be valid: one of
/// another host, or of another region than the default one where it belongs to one of `keys`.
pub(crate) fn url_warnings(bytes: &[u8], keys: &[String]) -> Vec<String> {
    let found = all_assignments_in(&OURS, bytes);
    let urls = found.iter().filter_map(|one| {
        let is_url = one.key == "QSTASH_URL" || one.key.ends_with("_QSTASH_URL");
        let value = String::from_utf8_lossy(&bytes[one.value.clone()]);
        let host = host(&value).filter(|_| is_url)?;
        Some((one, host))
    });
    urls.filter_map(|(Assignment { key, line, .. }, host)| {
        if DEFAULT_HOSTS.contains(&&*host) {
            return None;
        }
        let Some(region) = region(&host) else {
            return Some(format!(
                "{key} in line {line} does not point to Upstash: the new token may not be valid there"
            ));
        };
        // `US_EAST_1_QSTASH_URL` is used together with `US_EAST_1_QSTASH_TOKEN` alone.
        let is_of_key = *key == "QSTASH_URL"
            || keys.iter().any(|token| token.strip_suffix("TOKEN") == key.strip_suffix("URL"));
        is_of_key.then(|| {
            format!(
                "{key} in line {line} is for {region}: the token of another region is not accepted there"
            )
        })
    })
    .collect()
}

/// The host that a URL names, in lower case; `None` where it is computed or missing.
fn host(url: &str) -> Option<String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let name = host.strip_suffix(":443").unwrap_or(host).trim_end_matches('.');
    (!name.is_empty() && !url.contains('$')).then(|| name.to_ascii_lowercase())
}

/// `REGION` of `qstash-REGION.upstash.io`.
fn region(host: &str) -> Option<&str> {
    let region = host.strip_prefix("qstash-")?.strip_suffix(".upstash.io")?;
    (!region.is_empty() && !region.contains('.')).then_some(region)
}
