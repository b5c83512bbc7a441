//! A project directory, the fake servers that its config names, and the program to run in it.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokensink_sandbox::{Network, Sandbox};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

pub(crate) const REPOSITORY_SECRET: &str = "repos/acme/api/actions/secrets/QSTASH_TOKEN";

pub(crate) const AWS_SECRET: &str = "aws-secret-access-key";

/// A sink table for the file `.env`.
pub(crate) const DOTENV: &str = "[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n";

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tokensink-with-file-sink");

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) qstash: String,
    pub(crate) directory: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::at(&Network::default()).await
    }

    /// Creates a world whose fake servers are reached over `network`.
    pub(crate) async fn at(network: &Network) -> Self {
        let sandbox = Sandbox::start_at(network).await.unwrap();
        let qstash = sandbox.upstash.add_user("eu-central-1");
        let token = sandbox.upstash.token(&qstash).unwrap();
        sandbox.github.add_repository("acme/api");
        sandbox.github.put_externally(REPOSITORY_SECRET, &token);
        sandbox.aws.put_externally("prod", &format!("{{\"T\":\"{token}\",\"n\":1.0}}"));
        let world = Self { sandbox, qstash, directory: tempfile::tempdir().unwrap() };
        fs::create_dir_all(world.directory.path().join("home/tmp")).unwrap();
        world.file(".env", &format!("A=1\nQSTASH_TOKEN={token}\n"));
        world.file("token", &token);
        world.config(&world.sinks());
        world
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory.path().join(name)).unwrap()
    }

    pub(crate) fn config(&self, sinks: &str) {
        let upstash = &self.sandbox.upstash;
        self.file(
            "tokensink.toml",
            &format!(
                "[upstash]\napi_url = \"{}\"\nqstash_url = \"{}\"\nsettle = \"2s\"\n{sinks}",
                upstash.url(),
                upstash.qstash_url()
            ),
        );
    }

    pub(crate) fn sinks(&self) -> String {
        format!(
            "[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n\
             [sinks.own]\nkind = \"file\"\npath = \"token\"\n\
             [sinks.ci]\nkind = \"github-actions\"\nrepositories = [\"acme/api\"]\napi_url = \"{}\"\n\
             [sinks.prod]\nkind = \"aws-secrets-manager\"\nsecret_id = \"prod\"\njson_key = \"T\"\n\
             region = \"eu-central-1\"\nendpoint_url = \"{}\"\n",
            self.sandbox.github.url(),
            self.sandbox.aws.url()
        )
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(arguments);
        self.place(command)
    }

    /// Creates a command that runs `preparation` in a shell, and then the program.
    pub(crate) fn command_after(&self, preparation: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("bash");
        command.args(["-c", &format!("{preparation}; exec \"$@\""), "bash", PROGRAM]);
        command.args(arguments);
        self.place(command)
    }

    /// Sets the project's directory and the user's environment.
    pub(crate) fn place(&self, mut command: Command) -> Command {
        command
            .current_dir(self.directory.path())
            .env_clear()
            .env("HOME", self.directory.path().join("home"))
            .env("TMPDIR", self.directory.path().join("home/tmp"))
            .env("RUST_LOG", "trace")
            .env("UPSTASH_EMAIL", self.sandbox.upstash.email())
            .env("UPSTASH_API_KEY", self.sandbox.upstash.api_key())
            .env("GH_TOKEN", self.sandbox.github.token())
            .env("TOKENSINK_ALLOW_HOSTS", "127.0.0.1")
            .env("AWS_ACCESS_KEY_ID", self.sandbox.aws.access_key_id())
            .env("AWS_SECRET_ACCESS_KEY", AWS_SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Runs a command to its end. Asserts that its output and its files contain no secret, old or new.
    pub(crate) async fn finish(&self, command: Command, input: impl AsRef<[u8]>) -> Output {
        let mut secrets = vec![self.live(), self.sandbox.upstash.api_key()];
        let (output, left) = self.collect(command, input).await;
        secrets.extend([self.live(), self.sandbox.github.token().to_owned()]);
        secrets.push(AWS_SECRET.to_owned());
        assert_without(&left, &secrets);
        output
    }

    /// Runs a command to its end. Returns its output, and the text of everything it printed or stored.
    pub(crate) async fn collect(
        &self,
        mut command: Command,
        input: impl AsRef<[u8]>,
    ) -> (Output, String) {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_ref()).await.unwrap();
        let output = tokio::time::timeout(Duration::from_secs(60), child.wait_with_output());
        let output = output.await.unwrap().unwrap();
        let mut left = output.stdout.clone();
        left.extend(&output.stderr);
        collect(&self.directory.path().join("home"), &mut left);
        (output, String::from_utf8_lossy(&left).into_owned())
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> (i32, Value) {
        // Other tests are about the question of `sync`.
        let agreed: &[&str] = if arguments.first() == Some(&"sync") { &["--yes"] } else { &[] };
        let arguments = [arguments, agreed, &["--output", "json"]].concat();
        let output = self.finish(self.command(&arguments), "").await;
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {output:?}");
        });
        (output.status.code().unwrap(), report)
    }

    pub(crate) fn live(&self) -> String {
        self.sandbox.upstash.token(&self.qstash).unwrap()
    }

    pub(crate) fn posts(&self) -> usize {
        let requests = self.sandbox.upstash.requests();
        requests.iter().filter(|request| request.method == "POST").count()
    }

    pub(crate) fn assert_everywhere(&self, token: &str) {
        assert_eq!(self.read(".env"), format!("A=1\nQSTASH_TOKEN={token}\n"));
        assert_eq!(self.read("token"), token);
        assert_eq!(self.sandbox.github.secret(REPOSITORY_SECRET).as_deref(), Some(token));
        assert_eq!(
            self.sandbox.aws.value("prod").unwrap(),
            format!("{{\"T\":\"{token}\",\"n\":1.0}}")
        );
    }
}

pub(crate) fn assert_without(text: &str, secrets: &[String]) {
    for secret in secrets {
        assert!(!carries(text, secret), "a secret was shown:\n{text}");
    }
}

/// Returns whether `text` contains `secret`: plain, escaped in a URL, or as base64, alone or after an email
/// address in a Basic authorization.
pub(crate) fn carries(text: &str, secret: &str) -> bool {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    let escaped: String = secret.bytes().map(escape).collect();
    // With 0, 1 or 2 bytes in front of it, the secret starts at each position in base64's groups of three.
    let encoded = (0..3).map(|neighbours| {
        let text = format!("{}{secret}", "x".repeat(neighbours));
        let encoded = STANDARD.encode(text);
        let whole_groups = 4..encoded.len() / 4 * 4 - 4;
        encoded[whole_groups].to_owned()
    });
    [secret.to_owned(), escaped].into_iter().chain(encoded).any(|form| text.contains(&form))
}

fn collect(directory: &Path, into: &mut Vec<u8>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, into);
        } else {
            into.extend(fs::read(&path).unwrap());
        }
    }
}

pub(crate) fn words(report: &Value) -> String {
    format!("{} {}", report["errors"], report["next"])
}

/// Asserts that each error is a single line, and that it contains help or is followed by a next step.
pub(crate) fn assert_clear(report: &Value) {
    let errors = report["errors"].as_array().unwrap();
    assert!(!errors.is_empty(), "{report}");
    for error in errors.iter().map(|error| error.as_str().unwrap()) {
        assert!(error.len() > 20 && !error.contains('\n'), "{report}");
        let has_advice = error.ends_with(')') && error.contains(" (");
        assert!(has_advice || !report["next"].as_array().unwrap().is_empty(), "{report}");
    }
}
