//! The complete program with moto behind a proxy that spoils responses: the exit code, the secret, and
//! the `sync` that repairs it.

use std::process::Stdio;

use futures::StreamExt as _;
use futures::stream;
use serde_json::{Value, json};
use tokensink_sandbox::Upstash;
use tokio::process::Command;

use crate::aws::Account;
use crate::fault_proxy::{Fault, Proxy, Spoiled};

/// The call that is spoiled: one of the preparation, or one after the reset.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Prepare,
    Write,
    Verify,
}

impl Phase {
    fn spoiled(self, fault: Fault, upstash: &Upstash) -> Spoiled {
        let was_reset = upstash.was_reset();
        let (pattern, is_due): (_, Box<dyn Fn() -> bool + Send + Sync>) = match self {
            Self::Prepare => ("secretsmanager.DescribeSecret", Box::new(|| true)),
            Self::Write => ("secretsmanager.PutSecretValue", Box::new(was_reset)),
            Self::Verify => ("secretsmanager.GetSecretValue", Box::new(was_reset)),
        };
        Spoiled { pattern, is_due, fault }
    }

    fn expected_code(self, fault: Fault) -> i32 {
        match self {
            _ if fault.is_harmless() => 0,
            Self::Prepare => 1,
            // Only the response is lost: an inspection finds the value.
            Self::Write if !fault.loses_the_request() => 0,
            Self::Write | Self::Verify => 3,
        }
    }
}

/// A secret behind a proxy, and an Upstash account.
struct Place<'a> {
    account: &'a Account,
    upstash: Upstash,
    qstash: String,
    secret: String,
    proxy: Proxy,
    directory: tempfile::TempDir,
}

impl<'a> Place<'a> {
    async fn new(account: &'a Account, phase: Phase, fault: Fault) -> Self {
        let upstash = Upstash::start().await.unwrap();
        let qstash = upstash.add_user("eu-central-1");
        let token = upstash.token(&qstash).unwrap();
        let secret = format!("{phase:?}-{fault:?}");
        account.create(&secret, &format!("{{ \"T\": \"{token}\", \"n\": 1.50 }}"));
        let proxy = Proxy::before(&account.url(), phase.spoiled(fault, &upstash)).await;
        let directory = tempfile::tempdir().unwrap();
        let config = format!(
            "[upstash]\napi_url = \"{}\"\nqstash_url = \"{}\"\nsettle = \"1s\"\ntimeout = \"1s\"\n\
             [sinks.prod]\nkind = \"aws-secrets-manager\"\nsecret_id = \"{secret}\"\njson_key = \"T\"\n\
             region = \"eu-central-1\"\nendpoint_url = \"{}\"\ntimeout = \"4s\"\n",
            upstash.url(),
            upstash.qstash_url(),
            proxy.url()
        );
        std::fs::write(directory.path().join("tokensink.toml"), config).unwrap();
        Self { account, upstash, qstash, secret, proxy, directory }
    }

    async fn run(&self, arguments: &[&str]) -> (i32, Value) {
        let administrator = &self.account.administrator;
        let output = Command::new(env!("CARGO_BIN_EXE_tokensink-with-file-sink"))
            .args(arguments)
            .args(["--output", "json"])
            .current_dir(self.directory.path())
            .env_clear()
            .env("HOME", self.directory.path())
            .env("TOKENSINK_ALLOW_HOSTS", "127.0.0.1")
            .env("UPSTASH_EMAIL", self.upstash.email())
            .env("UPSTASH_API_KEY", self.upstash.api_key())
            .env("AWS_ACCESS_KEY_ID", &administrator.id)
            .env("AWS_SECRET_ACCESS_KEY", &administrator.secret)
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {output:?}");
        });
        (output.status.code().unwrap(), report)
    }

    fn live(&self) -> String {
        self.upstash.token(&self.qstash).unwrap()
    }

    fn value(&self) -> String {
        self.account.value(&self.secret)
    }
}

async fn holds(account: &Account, phase: Phase, fault: Fault) {
    let place = Place::new(account, phase, fault).await;
    let before = place.live();
    let (code, report) = place.run(&["reset", "--yes"]).await;
    assert_eq!(code, phase.expected_code(fault), "{phase:?} {fault:?}: {report}");
    assert_eq!(place.upstash.resets(&place.qstash), usize::from(code != 1), "{phase:?} {fault:?}");
    assert_eq!(place.live() == before, code == 1);
    if report["sinks"][0]["state"] == json!("current") {
        assert!(place.value().contains(&place.live()), "{phase:?} {fault:?}: {report}");
    }
    place.proxy.heal().await;
    let (code, report) = place.run(&["sync", "--yes"]).await;
    assert_eq!(code, 0, "{phase:?} {fault:?}: {report}");
    assert_eq!(report["sinks"][0]["state"], json!("current"), "{report}");
    let whole = format!("{{ \"T\": \"{}\", \"n\": 1.50 }}", place.live());
    assert_eq!(place.value(), whole, "{phase:?} {fault:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_before_at_and_after_the_write_to_moto() {
    let account = Account::at_moto();
    let phases = [Phase::Prepare, Phase::Write, Phase::Verify];
    let cells = phases.into_iter().flat_map(|phase| Fault::ALL.map(|fault| (phase, fault)));
    let account = &account;
    stream::iter(cells).for_each_concurrent(6, |(phase, fault)| holds(account, phase, fault)).await;
}
