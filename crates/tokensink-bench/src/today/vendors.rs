//! The usual way: sequential calls of `upstash qstash rotate-token`, `sed`, the steps of `gh secret set`
//! (fetch the key, encrypt, put), and `aws secretsmanager`.

use std::fmt::Write as _;

use crate::BenchError;
use crate::place::Place;

use super::Tools;

pub(super) fn script(place: &Place, tools: &Tools) -> Result<String, BenchError> {
    let sandbox = &place.sandbox;
    let mut script = "set -euo pipefail\n".to_owned();
    writeln!(
        script,
        r#"token=$(node '{}' qstash rotate-token --qstash-id {} | sed -n 's/.*"token": *"\([^"]*\)".*/\1/p')"#,
        tools.upstash.display(),
        place.qstash
    )?;
    for file in &place.files {
        writeln!(
            script,
            "sed -i \"s|^QSTASH_TOKEN=.*|QSTASH_TOKEN=$token|\" '{}'",
            file.display()
        )?;
    }
    let curl = format!(
        "curl --silent --show-error --fail -H 'Authorization: Bearer {}' -H 'User-Agent: script'",
        sandbox.github.token()
    );
    for repository in &place.repositories {
        let secrets = format!("{}/repos/{repository}/actions/secrets", sandbox.github.url());
        writeln!(script, "{curl} {secrets}/public-key > key.json")?;
        writeln!(
            script,
            "printf %s \"$token\" | '{}' seal.py key.json | {curl} -X PUT -d @- {secrets}/QSTASH_TOKEN",
            tools.python.display()
        )?;
    }
    let aws =
        format!("'{}' secretsmanager --endpoint-url {}", tools.aws.display(), sandbox.aws.url());
    for name in &place.secrets {
        writeln!(
            script,
            r#"value=$({aws} get-secret-value --secret-id {name} --query SecretString --output text \
               | sed "s|\"QSTASH_TOKEN\":\"[^\"]*|\"QSTASH_TOKEN\":\"$token|")"#
        )?;
        writeln!(script, "{aws} put-secret-value --secret-id {name} --secret-string \"$value\"")?;
    }
    Ok(script)
}
