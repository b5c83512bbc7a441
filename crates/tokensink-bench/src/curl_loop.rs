//! What people do today, at its fairest: one `curl` after the other, with the public keys fetched
//! and the JSON of every secret read before the reset.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::Failure;
use crate::place::{Measured, Place};
use crate::usage::watched;

/// Seals the token for every repository at once, which is kinder than one Python each.
const SEAL: &str = "\
import base64, json, sys
from nacl.public import PublicKey, SealedBox
key = json.load(open(sys.argv[1]))
token = sys.stdin.read().strip().encode()
sealed = SealedBox(PublicKey(base64.b64decode(key['key']))).encrypt(token)
print(json.dumps({'encrypted_value': base64.b64encode(sealed).decode(), 'key_id': key['key_id']}))
";

/// Runs the loop in `place`.
pub(crate) async fn measure(place: &Place, python: &Path) -> Result<Measured, Failure> {
    fs::write(place.path("seal.py"), SEAL)?;
    fs::write(place.path("loop.sh"), script(place, python)?)?;
    let mut command = Command::new("bash");
    command
        .arg("loop.sh")
        .current_dir(place.folder())
        .env("CURL_CA_BUNDLE", place.path("authority.pem"))
        .stdout(Stdio::null());
    let (output, usage) = watched(command).await?;
    if !output.status.success() {
        return Err(format!("the loop of curl calls ended with {}", output.status).into());
    }
    check(place)?;
    Ok(Measured { outage: place.outage()?, forecast: None, reported: None, usage })
}

fn script(place: &Place, python: &Path) -> Result<String, Failure> {
    let sandbox = &place.sandbox;
    let curl = "curl --silent --show-error --fail";
    let github = format!(
        "{curl} -H 'Authorization: Bearer {}' -H 'User-Agent: loop'",
        sandbox.github.token()
    );
    let mut script = "set -euo pipefail\n".to_owned();
    for (index, repository) in place.repositories.iter().enumerate() {
        let url = format!("{}/repos/{repository}/actions/secrets/public-key", sandbox.github.url());
        writeln!(script, "{github} {url} > key-{index}.json")?;
    }
    writeln!(
        script,
        "token=$({curl} -u '{}:{}' -X POST {}/qstash/rotate-token/{} | sed 's/.*\"token\":\"\\([^\"]*\\)\".*/\\1/')",
        sandbox.upstash.email(),
        sandbox.upstash.api_key(),
        sandbox.upstash.url(),
        place.qstash
    )?;
    for file in &place.files {
        writeln!(
            script,
            "sed -i \"s|^QSTASH_TOKEN=.*|QSTASH_TOKEN=$token|\" '{}'",
            file.display()
        )?;
    }
    for (index, repository) in place.repositories.iter().enumerate() {
        let url =
            format!("{}/repos/{repository}/actions/secrets/QSTASH_TOKEN", sandbox.github.url());
        writeln!(
            script,
            "printf %s \"$token\" | '{}' seal.py key-{index}.json | {github} -X PUT -d @- {url}",
            python.display()
        )?;
    }
    for name in &place.secrets {
        let body = format!(
            "{{\\\"SecretId\\\":\\\"{name}\\\",\\\"ClientRequestToken\\\":\\\"$(cat /proc/sys/kernel/random/uuid)\\\",\
             \\\"SecretString\\\":\\\"{{\\\\\\\"QSTASH_TOKEN\\\\\\\":\\\\\\\"$token\\\\\\\",\\\\\\\"pool\\\\\\\":1.50}}\\\"}}"
        );
        writeln!(
            script,
            "{curl} --aws-sigv4 aws:amz:eu-central-1:secretsmanager --user '{}:any' \
             -H 'X-Amz-Target: secretsmanager.PutSecretValue' -H 'Content-Type: application/x-amz-json-1.1' \
             -d \"{body}\" {}/",
            sandbox.aws.access_key_id(),
            sandbox.aws.url()
        )?;
    }
    Ok(script)
}

/// It must have done the whole job, or the comparison says nothing.
fn check(place: &Place) -> Result<(), Failure> {
    let live = place.live();
    for repository in &place.repositories {
        let path = format!("repos/{repository}/actions/secrets/QSTASH_TOKEN");
        if place.sandbox.github.secret(&path).as_deref() != Some(live.as_str()) {
            return Err(format!("the loop left {repository} stale").into());
        }
    }
    for name in &place.secrets {
        let value = place.sandbox.aws.value(name).unwrap_or_default();
        let value: Value = serde_json::from_str(&value)?;
        if value["QSTASH_TOKEN"] != live.as_str() {
            return Err(format!("the loop left {name} stale").into());
        }
    }
    Ok(())
}
