//! Measures other ways to reset a token, with the same sinks and the same clocks.

mod curl;
mod vendors;

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::BenchError;
use crate::place::{Measured, Place};
use crate::usage::watched;

/// Seals the token for one repository.
const SEAL: &str = "\
import base64, json, sys
from nacl.public import PublicKey, SealedBox
key = json.load(open(sys.argv[1]))
token = sys.stdin.read().strip().encode()
sealed = SealedBox(PublicKey(base64.b64decode(key['key']))).encrypt(token)
print(json.dumps({'encrypted_value': base64.b64encode(sealed).decode(), 'key_id': key['key_id']}))
";

/// The paths of the other programs.
#[derive(Debug)]
pub(crate) struct Tools {
    /// A Python with PyNaCl.
    pub(crate) python: PathBuf,
    /// The AWS CLI.
    pub(crate) aws: PathBuf,
    /// The Upstash CLI.
    pub(crate) upstash: PathBuf,
    /// The module that redirects the requests of the Upstash CLI to the fake server.
    pub(crate) redirect: PathBuf,
}

/// Measures a loop of `curl` calls.
pub(crate) async fn curl_loop(place: &Place, tools: &Tools) -> Result<Measured, BenchError> {
    measure(place, tools, &curl::script(place, tools)?).await
}

/// Measures the vendors' own CLIs and `sed`.
pub(crate) async fn vendors_tools(place: &Place, tools: &Tools) -> Result<Measured, BenchError> {
    measure(place, tools, &vendors::script(place, tools)?).await
}

async fn measure(place: &Place, tools: &Tools, script: &str) -> Result<Measured, BenchError> {
    fs::write(place.path("seal.py"), SEAL)?;
    fs::write(place.path("today.sh"), script)?;
    let (sandbox, authority) = (&place.sandbox, place.path("authority.pem"));
    let mut command = Command::new("bash");
    command
        .arg("today.sh")
        .current_dir(place.directory())
        .env("CURL_CA_BUNDLE", &authority)
        .env("AWS_CA_BUNDLE", &authority)
        .env("NODE_EXTRA_CA_CERTS", &authority)
        .env("NODE_OPTIONS", format!("--import={}", tools.redirect.display()))
        .env("UPSTASH_FAKE", sandbox.upstash.url())
        .env("UPSTASH_EMAIL", sandbox.upstash.email())
        .env("UPSTASH_API_KEY", sandbox.upstash.api_key())
        .env("AWS_ACCESS_KEY_ID", sandbox.aws.access_key_id())
        .env("AWS_SECRET_ACCESS_KEY", "any")
        .env("AWS_DEFAULT_REGION", "eu-central-1")
        .stdout(Stdio::null());
    let (output, usage) = watched(command).await?;
    if !output.status.success() {
        return Err(format!("the script ended with {}", output.status).into());
    }
    check(place)?;
    Ok(Measured { outage: place.outage()?, forecast: None, reported: None, usage })
}

/// Checks that the script has written all sinks, because the comparison would be wrong otherwise.
fn check(place: &Place) -> Result<(), BenchError> {
    let live = place.live();
    for repository in &place.repositories {
        let path = format!("repos/{repository}/actions/secrets/QSTASH_TOKEN");
        if place.sandbox.github.secret(&path).as_deref() != Some(live.as_str()) {
            return Err(format!("the script left {repository} stale").into());
        }
    }
    for name in &place.secrets {
        let value = place.sandbox.aws.value(name).unwrap_or_default();
        let value: Value = serde_json::from_str(&value)?;
        if value["QSTASH_TOKEN"] != live.as_str() {
            return Err(format!("the script left {name} stale").into());
        }
    }
    Ok(())
}
