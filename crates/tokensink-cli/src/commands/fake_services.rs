//! The fake servers of `demo` and `sandbox`, with a token in several places, and a config for them.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;
use tokensink_core::Environment;
use tokensink_engine::{Command, Outcome, Report};
use tokensink_http::reqwest::Url;
use tokensink_http::shown_host;
use tokensink_sandbox::Sandbox;

const ORGANIZATION_SECRET: &str = "orgs/acme/dependabot/secrets/QSTASH_TOKEN";

const PLAIN_SECRET: &str = "prod/worker/qstash-token";
const JSON_SECRET: &str = "prod/api";

/// Running fake servers. Dropping it stops them and removes their files.
#[derive(Debug)]
pub(super) struct FakeServices {
    pub(super) sandbox: Sandbox,
    pub(super) qstash: String,
    directory: TempDir,
    variables: Vec<(String, String)>,
}

impl FakeServices {
    /// Starts the fake servers.
    ///
    /// # Errors
    ///
    /// The report that ends `command`.
    pub(super) async fn start(command: Command) -> Result<Self, Report> {
        Self::try_start().await.map_err(|error| {
            let error = format!("cannot start the fake servers: {error}");
            let mut report = Report::refused(command, Outcome::Unchanged, vec![error]);
            report.next.push(
                "allow connections on loopback, and set TMPDIR to a directory that can be written"
                    .to_owned(),
            );
            report
        })
    }

    async fn try_start() -> io::Result<Self> {
        let sandbox = Sandbox::start().await?;
        let qstash = sandbox.upstash.add_user("eu-central-1");
        let token = sandbox.upstash.token(&qstash).unwrap_or_default();
        let directory = tempfile::Builder::new().prefix("tokensink-").tempdir()?;
        let env = directory.path().join(".env");
        let text =
            format!("# the application's settings\nPORT=3000\nQSTASH_TOKEN=\"{token}\"  # live\n");
        std::fs::write(&env, text)?;
        std::fs::set_permissions(&env, Permissions::from_mode(0o600))?;
        for repository in ["acme/api", "acme/web"] {
            let _id = sandbox.github.add_repository(repository);
            sandbox.github.put_externally(&repository_secret(repository), &token);
        }
        sandbox.github.add_organization("acme");
        sandbox.github.add_selected_secret(ORGANIZATION_SECRET, vec![1000, 1001]);
        sandbox.github.put_externally(ORGANIZATION_SECRET, &token);
        sandbox.aws.put_externally(PLAIN_SECRET, &token);
        let json = format!(
            "{{ \"pool_size\": 1.50e1, \"QSTASH_TOKEN\": \"{token}\", \"region\": \"eu\" }}"
        );
        sandbox.aws.put_externally(JSON_SECRET, &json);
        let hosts = [
            sandbox.upstash.url(),
            sandbox.upstash.qstash_url(),
            sandbox.github.url(),
            sandbox.aws.url(),
        ];
        let hosts = hosts.iter().filter_map(|url| Url::parse(url).ok());
        let hosts: Vec<String> = hosts.map(|url| shown_host(&url)).collect();
        let variables = [
            ("AWS_ACCESS_KEY_ID", sandbox.aws.access_key_id().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "any".to_owned()),
            ("AWS_REGION", sandbox.aws.region().to_owned()),
            ("GH_TOKEN", sandbox.github.token().to_owned()),
            ("TOKENSINK_ALLOW_HOSTS", hosts.join(",")),
            ("UPSTASH_EMAIL", sandbox.upstash.email().to_owned()),
            ("UPSTASH_API_KEY", sandbox.upstash.api_key()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let services = Self { sandbox, qstash, directory, variables };
        std::fs::write(services.config_file(), services.config())?;
        Ok(services)
    }

    /// Returns the variables that the config needs. The credentials are not secrets: only the fake servers
    /// accept them.
    pub(super) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    pub(super) fn environment(&self) -> Environment {
        self.variables.iter().cloned().collect()
    }

    pub(super) fn config_file(&self) -> PathBuf {
        self.directory.path().join("tokensink.toml")
    }

    pub(super) fn state_directory(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    pub(super) fn config(&self) -> String {
        format!(
            "[upstash]\napi_url = \"{}\"\nqstash_url = \"{}\"\n\n[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n\n\
             [sinks.ci]\nkind = \"github-actions\"\nrepositories = [\"acme/api\", \"acme/web\"]\n\
             api_url = \"{github}\"\n\n\
             [sinks.bots]\nkind = \"github-actions\"\norganization = \"acme\"\napp = \"dependabot\"\n\
             api_url = \"{github}\"\n\n\
             [sinks.worker]\nkind = \"aws-secrets-manager\"\nsecret_id = \"{PLAIN_SECRET}\"\n\
             endpoint_url = \"{aws}\"\n\n\
             [sinks.api]\nkind = \"aws-secrets-manager\"\nsecret_id = \"{JSON_SECRET}\"\n\
             json_key = \"QSTASH_TOKEN\"\nendpoint_url = \"{aws}\"\n",
            self.sandbox.upstash.url(),
            self.sandbox.upstash.qstash_url(),
            github = self.sandbox.github.url(),
            aws = self.sandbox.aws.url(),
        )
    }

    /// Returns every place that applications read, with the token in it.
    pub(super) fn places(&self) -> Vec<(String, String)> {
        let env = std::fs::read_to_string(self.directory.path().join(".env")).unwrap_or_default();
        let held = env.lines().find_map(|line| line.strip_prefix("QSTASH_TOKEN=\""));
        let held = held.and_then(|rest| rest.split('"').next()).unwrap_or_default();
        let mut places = vec![(".env".to_owned(), held.to_owned())];
        for path in
            [&repository_secret("acme/api"), &repository_secret("acme/web"), ORGANIZATION_SECRET]
        {
            places.push((path.to_owned(), self.sandbox.github.secret(path).unwrap_or_default()));
        }
        let aws = &self.sandbox.aws;
        places.push((PLAIN_SECRET.to_owned(), aws.value(PLAIN_SECRET).unwrap_or_default()));
        let json: Option<serde_json::Value> =
            aws.value(JSON_SECRET).and_then(|value| serde_json::from_str(&value).ok());
        let held = json.and_then(|json| json["QSTASH_TOKEN"].as_str().map(str::to_owned));
        places.push((format!("{JSON_SECRET} QSTASH_TOKEN"), held.unwrap_or_default()));
        places
    }
}

fn repository_secret(repository: &str) -> String {
    format!("repos/{repository}/actions/secrets/QSTASH_TOKEN")
}
