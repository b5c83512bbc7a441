//! What must not be overwritten unseen: files of encryption tools, and values that are not tokens.

use tokensink_core::{SinkError, StoredValue};

use crate::dialect::OURS;
use crate::scan::{all_assignments_in, assignments};

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
        let value = String::from_utf8_lossy(&bytes[one.value.clone()]);
        // Few readers take backticks for quotes; a shell runs what is in them.
        let is_command = bytes.get(one.span.start) == Some(&b'`') && value.trim().contains(' ');
        let found = if is_command { StoredValue::Command } else { StoredValue::of(&value) };
        if let Some(what) = found.obstacle() {
            let problem = format!("{} in line {} holds {what}", one.key, one.line);
            return Err(SinkError::rejected(problem).with_help(
                "replace the value at the place that it comes from, or set `replace = \"anything\"`",
            ));
        }
    }
    Ok(())
}

/// Warns about a `QSTASH_URL` in the same file that does not point to Upstash.
pub(crate) fn url_warnings(bytes: &[u8]) -> Vec<String> {
    let found = all_assignments_in(&OURS, bytes);
    let urls =
        found.iter().filter(|one| one.key == "QSTASH_URL" || one.key.ends_with("_QSTASH_URL"));
    urls.filter_map(|one| {
        let value = String::from_utf8_lossy(&bytes[one.value.clone()]);
        let rest = value.split_once("://").map_or(&*value, |(_, rest)| rest);
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        let name = host.strip_suffix(":443").unwrap_or(host);
        let region = name.strip_suffix(".upstash.io").unwrap_or_default();
        let is_upstash = region == "qstash"
            || region.strip_prefix("qstash-").is_some_and(|region| !region.contains('.'));
        let is_plain = !host.is_empty() && !value.contains('$');
        (is_plain && !is_upstash).then(|| {
            format!(
                "{} in line {} does not point to Upstash: the new token may not be valid there",
                one.key, one.line
            )
        })
    })
    .collect()
}
