//! The fastest alternative: sequential `curl` calls, with the public keys and the JSON of every secret read
//! before the reset.

use std::fmt::Write as _;

use crate::BenchError;
use crate::place::Place;

use super::Tools;

pub(super) fn script(place: &Place, tools: &Tools) -> Result<String, BenchError> {
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
            tools.python.display()
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
