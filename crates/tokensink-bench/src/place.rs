//! A project directory with many sinks, and the fake servers for them.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;
use tokensink_sandbox::{Encryption, Network, Sandbox};
use tokio::process::Command;

use crate::BenchError;
use crate::usage::{Usage, watched};

/// A combination of kinds of sinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// A third each of `.env` files, GitHub and AWS.
    All,
    Dotenv,
    Aws,
    GitHub,
    /// A third GitHub with its limits, and two thirds AWS.
    LimitedGitHub,
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "dotenv, GitHub, AWS",
            Self::Dotenv => "dotenv",
            Self::Aws => "AWS",
            Self::GitHub => "GitHub",
            Self::LimitedGitHub => "GitHub with limits, AWS",
        })
    }
}

/// The sinks and the fake servers.
pub(crate) struct Place {
    pub(crate) sandbox: Sandbox,
    pub(crate) qstash: String,
    pub(crate) files: Vec<PathBuf>,
    pub(crate) repositories: Vec<String>,
    pub(crate) secrets: Vec<String>,
    directory: TempDir,
}

/// The measurement of a reset.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    /// The time from the reset to the last write, by the servers' clocks.
    pub(crate) outage: Duration,
    /// The program's forecast, by its own clock.
    pub(crate) forecast: Option<Duration>,
    /// The outage in the program's report, by its own clock.
    pub(crate) reported: Option<Duration>,
    pub(crate) usage: Usage,
}

impl Place {
    pub(crate) async fn new(
        mix: Mix,
        sinks: usize,
        round_trip: Duration,
    ) -> Result<Self, BenchError> {
        let encryption = Encryption::generate()?;
        let network = Network::default().with_round_trip(round_trip).with_encryption(&encryption);
        let sandbox = Sandbox::start_at(&network).await?;
        sandbox.github.add_organization("acme");
        let qstash = sandbox.upstash.add_user("eu-central-1");
        let token = sandbox.upstash.token(&qstash).unwrap_or_default();
        let directory = tempfile::tempdir()?;
        let mut place = Self {
            sandbox,
            qstash,
            files: Vec::new(),
            repositories: Vec::new(),
            secrets: Vec::new(),
            directory,
        };
        for index in 0..sinks {
            match (mix, index % 3) {
                (Mix::All, 1) | (Mix::Dotenv, _) => place.add_file(index, &token)?,
                (Mix::All, 2) | (Mix::LimitedGitHub, 1 | 2) | (Mix::Aws, _) => {
                    place.add_secret(index, &token);
                }
                _ => place.add_repository(index, &token),
            }
        }
        fs::write(place.path("tokensink.toml"), place.config(mix))?;
        fs::write(place.path("authority.pem"), encryption.authority_pem())?;
        Ok(place)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn live(&self) -> String {
        self.sandbox.upstash.token(&self.qstash).unwrap_or_default()
    }

    fn add_file(&mut self, index: usize, token: &str) -> Result<(), BenchError> {
        let application = self.path(&format!("application-{index}"));
        fs::create_dir(&application)?;
        let file = application.join(".env");
        fs::write(&file, format!("PORT=3000\nQSTASH_TOKEN={token}\n"))?;
        self.files.push(file);
        Ok(())
    }

    fn add_repository(&mut self, index: usize, token: &str) {
        let name = format!("acme/r{index}");
        let _id = self.sandbox.github.add_repository(&name);
        let path = format!("repos/{name}/actions/secrets/QSTASH_TOKEN");
        self.sandbox.github.put_externally(&path, token);
        self.repositories.push(name);
    }

    fn add_secret(&mut self, index: usize, token: &str) {
        let name = format!("s{index}");
        let value = format!("{{\"QSTASH_TOKEN\":\"{token}\",\"pool\":1.50}}");
        self.sandbox.aws.put_externally(&name, &value);
        self.secrets.push(name);
    }

    fn config(&self, mix: Mix) -> String {
        let Sandbox { upstash, github, aws } = &self.sandbox;
        let mut config = format!(
            "[upstash]\napi_url = \"{}\"\nqstash_url = \"{}\"\n",
            upstash.url(),
            upstash.qstash_url()
        );
        if !self.files.is_empty() {
            config += &format!("[sinks.files]\nkind = \"dotenv\"\npaths = {:?}\n", self.files);
        }
        if !self.repositories.is_empty() {
            config += &format!(
                "[sinks.repositories]\nkind = \"github-actions\"\nrepositories = {:?}\napi_url = \"{}\"\n",
                self.repositories,
                github.url()
            );
            if mix == Mix::LimitedGitHub {
                config += "limits = \"github.com\"\n";
            }
        }
        for name in &self.secrets {
            config += &format!(
                "[sinks.{name}]\nkind = \"aws-secrets-manager\"\nsecret_id = \"{name}\"\n\
                 json_key = \"QSTASH_TOKEN\"\nregion = \"eu-central-1\"\nendpoint_url = \"{}\"\n",
                aws.url()
            );
        }
        config
    }

    /// Runs `tokensink reset` in the directory.
    pub(crate) async fn measure(&self, program: &Path) -> Result<Measured, BenchError> {
        let mut command = Command::new(program);
        command
            .args(["reset", "--yes", "--output", "json"])
            .current_dir(self.directory.path())
            .env_clear()
            .env("HOME", self.directory.path())
            .env("SSL_CERT_FILE", self.path("authority.pem"))
            .env("UPSTASH_EMAIL", self.sandbox.upstash.email())
            .env("UPSTASH_API_KEY", self.sandbox.upstash.api_key())
            .env("TOKENSINK_ALLOW_HOSTS", "127.0.0.1")
            .env("GH_TOKEN", self.sandbox.github.token())
            .env("AWS_ACCESS_KEY_ID", self.sandbox.aws.access_key_id())
            .env("AWS_SECRET_ACCESS_KEY", "any")
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let (output, usage) = watched(command).await?;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        if !output.status.success() {
            return Err(format!("the reset ended with {}: {report}", output.status).into());
        }
        let milliseconds = |field: &str| report[field].as_u64().map(Duration::from_millis);
        let (forecast, reported) = (milliseconds("forecast_ms"), milliseconds("outage_ms"));
        Ok(Measured { outage: self.outage()?, forecast, reported, usage })
    }

    /// Returns the time from the reset to the last write, by the clocks of the servers and the file system.
    pub(crate) fn outage(&self) -> Result<Duration, BenchError> {
        let reset = self.reset_at()?;
        let puts = self.sandbox.github.requests().into_iter();
        let puts = puts.filter(|put| put.method == "PUT" && put.status == 204).map(|put| put.at);
        let over_the_network = puts.chain(self.puts_to_aws()).max();
        let mut last = over_the_network.map_or(Duration::ZERO, |last| last - reset);
        for file in &self.files {
            let ago = replaced_at(file)?.elapsed().unwrap_or_default();
            // `Instant` and `SystemTime` have no common origin, so both are compared with the current time.
            last = last.max(Instant::now().saturating_duration_since(reset).saturating_sub(ago));
            if !fs::read_to_string(file)?.contains(&self.live()) {
                return Err(format!("{} is stale", file.display()).into());
            }
        }
        Ok(last)
    }

    pub(crate) fn reset_at(&self) -> Result<Instant, BenchError> {
        let requests = self.sandbox.upstash.requests();
        let reset = requests.iter().find(|request| request.method == "POST");
        Ok(reset.ok_or("there was no reset")?.at)
    }

    pub(crate) fn puts_to_aws(&self) -> impl Iterator<Item = Instant> {
        let requests = self.sandbox.aws.requests().into_iter();
        let puts = requests.filter(|request| {
            request.operation.as_deref().is_some_and(|name| name.ends_with("PutSecretValue"))
        });
        puts.map(|put| put.at)
    }

    /// Returns the median duration of a request on an open connection.
    pub(crate) async fn bare_round_trip(&self) -> Result<Duration, BenchError> {
        let mut command = Command::new("curl");
        command.args(["--silent", "--write-out", "%{time_total}\n"]);
        command.arg("--cacert").arg(self.path("authority.pem"));
        for _ in 0..21 {
            command.args(["--output", "/dev/null"]).arg(self.sandbox.github.url());
        }
        let output = command.stderr(Stdio::inherit()).output().await?;
        let text = String::from_utf8(output.stdout)?;
        let mut seconds = text.lines().skip(1).map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        seconds.sort_by(f64::total_cmp);
        let middle = seconds.get(seconds.len() / 2).ok_or("curl measured nothing")?;
        Ok(Duration::from_secs_f64(*middle))
    }
}

/// Returns the time at which the file was replaced. A rename changes the inode's time, not the content's.
fn replaced_at(file: &Path) -> Result<SystemTime, BenchError> {
    let found = fs::metadata(file)?;
    let (seconds, nanoseconds) = (found.ctime().try_into()?, found.ctime_nsec().try_into()?);
    Ok(SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds))
}
