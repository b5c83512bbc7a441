//! A host that only the project's config file names receives no request and no credential, in any spelling
//! and from any command.

use std::fs;

use serde_json::Value;
use tokio::process::Command;

use crate::support::world::{World, words};

const COMMANDS: [&[&str]; 4] = [&["check"], &["status"], &["sync", "--yes"], &["reset", "--yes"]];

/// An option that names a host, in its table.
struct Setting {
    table: &'static str,
    key: &'static str,
    /// The other options that the table needs.
    others: &'static [(&'static str, &'static str)],
    /// The vendor's own host.
    vendor: &'static str,
}

const SETTINGS: [Setting; 4] = [
    Setting { table: "upstash", key: "api_url", others: &[], vendor: "api.upstash.com" },
    Setting { table: "upstash", key: "qstash_url", others: &[], vendor: "qstash.upstash.io" },
    Setting {
        table: "sinks.ci",
        key: "api_url",
        others: &[("kind", "\"github-actions\""), ("repositories", "[\"acme/api\"]")],
        vendor: "api.github.com",
    },
    Setting {
        table: "sinks.prod",
        key: "endpoint_url",
        others: &[
            ("kind", "\"aws-secrets-manager\""),
            ("secret_id", "\"prod\""),
            ("region", "\"eu-central-1\""),
        ],
        vendor: "secretsmanager.eu-central-1.amazonaws.com",
    },
];

impl Setting {
    /// Returns the lines of the table, `key = value` among them.
    fn lines(&self, key: &str, value: &str) -> Vec<String> {
        let others = self.others.iter().map(|(key, value)| format!("{key} = {value}"));
        others.chain([format!("{key} = {value}")]).collect()
    }

    /// Returns a file for each way to set the option to `url`. A dotenv sink makes each file complete.
    fn spellings(&self, url: &str) -> Vec<String> {
        let (table, key) = (self.table, self.key);
        let text = format!("\"{url}\"");
        let below =
            |header: String, lines: Vec<String>| format!("{header}\n{}\n", lines.join("\n"));
        let quoted = table.split('.').map(|part| format!("\"{part}\"")).collect::<Vec<_>>();
        let literal = table.split('.').map(|part| format!("'{part}'")).collect::<Vec<_>>();
        let keys = [
            key.to_owned(),
            format!("\"{key}\""),
            format!("'{key}'"),
            format!("\"\\u{:04x}{}\"", u32::from(key.as_bytes()[0]), &key[1..]),
            key.to_uppercase(),
        ];
        let values = [
            text.clone(),
            format!("'{url}'"),
            format!("\"\"\"{url}\"\"\""),
            format!("'''{url}'''"),
            format!("\"\"\"\n{url}\"\"\""),
            format!("\"\\u0068{}\"", &url[1..]),
            format!("\"\\U00000068{}\"", &url[1..]),
        ];
        let header = || format!("[{table}]");
        let mut spellings: Vec<String> =
            keys.iter().map(|key| below(header(), self.lines(key, &text))).collect();
        spellings.extend(values.iter().map(|value| below(header(), self.lines(key, value))));
        spellings.extend([
            below(format!("[ {} ]", quoted.join(" . ")), self.lines(key, &text)),
            below(format!("[{}]", literal.join(".")), self.lines(key, &text)),
            format!("{table} = {{ {} }}\n", self.lines(key, &text).join(", ")),
            self.lines(key, &text).iter().map(|line| format!("{table}.{line}\n")).collect(),
            self.lines(key, &text)
                .iter()
                .map(|line| format!("{} . {line}\n", quoted.join(" . ")))
                .collect(),
            format!("\"{table}.{key}\" = {text}\n"),
            format!("'{table}.{key}' = {text}\n"),
        ]);
        let local = "sinks.local.kind = \"dotenv\"\nsinks.local.path = \".env\"\n";
        let whole = |spelling: String| {
            // A table ends the keys at the top; one that defines `sinks` itself must be the only one.
            if spelling.starts_with("[sinks") || spelling.starts_with("[ \"sinks") {
                spelling
            } else if spelling.starts_with('[') {
                format!("{spelling}[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n")
            } else {
                format!("{local}{spelling}")
            }
        };
        spellings.into_iter().map(whole).collect()
    }
}

/// Returns URLs that resemble the vendor's own.
fn tricks(vendor: &str) -> Vec<String> {
    let domain = vendor.split_once('.').unwrap().1;
    vec![
        "https://evil.example".to_owned(),
        "HTTPS://EVIL.EXAMPLE".to_owned(),
        format!("https://{vendor}.evil.example"),
        format!("https://{vendor}."),
        format!("https://{vendor}:8443"),
        format!("https://evil.{vendor}"),
        format!("https://{}", vendor.replacen('.', "-", 1)),
        format!("https://8f2-8080.preview.box.{domain}"),
        format!("https://{vendor}@evil.example"),
        format!("https://{vendor}:443@evil.example"),
        format!("https://evil.example/{vendor}"),
        format!("https://evil.example?{vendor}"),
        format!("https://evil.example#@{vendor}"),
        format!("https://evil.example\\\\@{vendor}"),
        format!("https://{vendor}%2eevil.example"),
        format!("https://{vendor}%00.evil.example"),
        format!("https://{vendor}\\t.evil.example"),
        format!("https://{}", vendor.replacen('a', "\u{430}", 1)),
        format!("http://{vendor}"),
        "http://127.0.0.1:9".to_owned(),
        "http://localhost:9".to_owned(),
        "http://127.1:9".to_owned(),
        "http://2130706433:9".to_owned(),
        "http://0x7f.0.0.1:9".to_owned(),
        "http://[::1]:9".to_owned(),
        "http://[::ffff:127.0.0.1]:9".to_owned(),
        "http://0.0.0.0:9".to_owned(),
        "ftp://evil.example".to_owned(),
        "//evil.example".to_owned(),
    ]
}

/// Creates a command in `world`, with no host allowed outside the project's file.
fn command(world: &World, arguments: &[&str]) -> Command {
    let mut command = world.command(&[arguments, &["--output", "json"]].concat());
    command.env_remove("TOKENSINK_ALLOW_HOSTS");
    command
}

async fn finish(world: &World, command: Command) -> (i32, Value) {
    let output = world.finish(command, "").await;
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (output.status.code().unwrap(), report)
}

fn assert_no_request(world: &World, context: &str) {
    assert!(world.sandbox.upstash.requests().is_empty(), "{context}");
    assert!(world.sandbox.github.requests().is_empty(), "{context}");
    assert!(world.sandbox.aws.requests().is_empty(), "{context}");
}

fn host_of(url: &str) -> String {
    url.rsplit('/').find(|part| !part.is_empty() && *part != "v2").unwrap().to_owned()
}

fn users_file(world: &World, text: &str) {
    let directory = world.directory.path().join("home/.config/tokensink");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("config.toml"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_in_a_project_file_is_refused_in_every_spelling() {
    let world = World::new().await;
    for users in [false, true] {
        for setting in &SETTINGS {
            if users {
                let own = "[upstash]\napi_url = \"https://own.example\"\n\
                           qstash_url = \"https://own.example\"\n";
                users_file(&world, own);
            }
            for spelling in setting.spellings("https://evil.example") {
                world.file("tokensink.toml", &spelling);
                let (code, report) = finish(&world, command(&world, &["check"])).await;
                assert_eq!(code, 2, "{spelling}{report}");
                assert!(!words(&report).contains("is not TOML"), "{spelling}{report}");
            }
        }
    }
    assert_no_request(&world, "spellings");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_that_resembles_the_vendors_is_refused() {
    let world = World::new().await;
    for setting in &SETTINGS {
        for trick in tricks(setting.vendor) {
            let text = format!("\"{trick}\"");
            let table = setting.lines(setting.key, &text).join("\n");
            let local = "[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n";
            world.file("tokensink.toml", &format!("{local}[{}]\n{table}\n", setting.table));
            let (code, report) = finish(&world, command(&world, &["check"])).await;
            assert_eq!(code, 2, "{}.{} = {text}: {report}", setting.table, setting.key);
            assert!(words(&report).contains(setting.table), "{trick}: {report}");
        }
    }
    assert_no_request(&world, "tricks");
}

/// On a shared machine every user can listen on loopback.
#[tokio::test(flavor = "multi_thread")]
async fn loopback_in_a_project_file_is_refused_by_every_command() {
    let world = World::new().await;
    let sandbox = &world.sandbox;
    let urls = [
        sandbox.upstash.url(),
        sandbox.upstash.qstash_url(),
        sandbox.github.url(),
        sandbox.aws.url(),
    ];
    let hosts: Vec<String> = urls.iter().map(|url| host_of(url)).collect();
    for refused in &hosts {
        let others: Vec<&str> =
            hosts.iter().filter(|host| *host != refused).map(String::as_str).collect();
        for arguments in COMMANDS {
            let mut command = command(&world, arguments);
            command.env("TOKENSINK_ALLOW_HOSTS", others.join(","));
            let (code, report) = finish(&world, command).await;
            assert_eq!(code, 2, "{arguments:?} {refused}: {report}");
            let said = words(&report);
            assert!(said.contains(&format!("{refused} is not a host of ")), "{said}");
            assert!(said.contains("only the project's config file names it"), "{said}");
            assert!(said.contains(&format!("--allow-host {refused}")), "{said}");
            assert_no_request(&world, refused);
        }
    }
    // Neither another port nor another name of this machine allows the host.
    for allowed in ["127.0.0.1:1", "localhost", "[::1]"] {
        let (code, report) =
            finish(&world, command(&world, &["reset", "--yes", "--allow-host", allowed])).await;
        assert_eq!(code, 2, "{allowed}: {report}");
    }
    assert_no_request(&world, "other names");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_file_cannot_send_a_variable_to_a_host() {
    let world = World::new().await;
    let evil = &world.sandbox.github.url();
    for variable in ["OPENAI_API_KEY", "HOME", "GH_TOKEN", "UPSTASH_API_KEY"] {
        world.config(&format!(
            "[sinks.ci]\nkind = \"github-actions\"\nrepositories = [\"acme/api\"]\n\
             api_url = \"{evil}\"\ntoken_env = \"{variable}\"\n"
        ));
        for allowed in ["", "127.0.0.1"] {
            for arguments in COMMANDS {
                let mut command = command(&world, arguments);
                command.env("OPENAI_API_KEY", "sk-foreign").env("TOKENSINK_ALLOW_HOSTS", allowed);
                let (code, report) = finish(&world, command).await;
                assert_eq!(code, 2, "{variable} {arguments:?}: {report}");
                assert!(words(&report).contains(&host_of(evil)), "{report}");
                assert_no_request(&world, variable);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customers_host_below_the_vendors_domain_is_refused_by_every_command() {
    let world = World::new().await;
    for host in
        ["8f2-8080.preview.box.upstash.com", "usw1-merry-cat-32748.upstash.io", "upstash.com"]
    {
        for key in ["api_url", "qstash_url"] {
            world.file(
                "tokensink.toml",
                &format!("[upstash]\n{key} = \"https://{host}\"\n{}", world.sinks()),
            );
            for arguments in COMMANDS {
                let mut command = command(&world, arguments);
                command.env("TOKENSINK_ALLOW_HOSTS", "127.0.0.1");
                let (code, report) = finish(&world, command).await;
                assert_eq!(code, 2, "{report}");
                assert!(words(&report).contains(&format!("{host} is not a host of ")), "{report}");
            }
        }
    }
    assert_no_request(&world, "customers' hosts");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_host_without_its_own_credential_receives_none() {
    let world = World::new().await;
    for (setting, help) in SETTINGS.iter().zip([
        "TOKENSINK_HOST_TOKENS=git.acme.example=VARIABLE",
        "",
        "TOKENSINK_HOST_TOKENS=git.acme.example=VARIABLE",
        "set AWS_ENDPOINT_URL_SECRETS_MANAGER",
    ]) {
        // The only credential for QStash is the token itself, which an allowed host may receive.
        if setting.key == "qstash_url" {
            continue;
        }
        let table = setting.lines(setting.key, "\"https://git.acme.example\"").join("\n");
        let local = "[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n";
        world.file("tokensink.toml", &format!("{local}[{}]\n{table}\n", setting.table));
        let allowed = ["check", "--allow-host", "git.acme.example"];
        let (code, report) = finish(&world, command(&world, &allowed)).await;
        assert_eq!(code, 2, "{}: {report}", setting.table);
        let said = words(&report);
        assert!(said.contains("there is no credential for it") && said.contains(help), "{said}");
    }
    assert_no_request(&world, "without a credential");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_allowed_by_a_flag_a_variable_or_the_users_own_file() {
    for way in ["flag", "variable", "file"] {
        let world = World::new().await;
        let mut command = match way {
            "flag" => command(&world, &["reset", "--yes", "--allow-host", "127.0.0.1"]),
            _ => command(&world, &["reset", "--yes"]),
        };
        match way {
            "variable" => drop(command.env("TOKENSINK_ALLOW_HOSTS", " a.example , 127.0.0.1")),
            "file" => users_file(&world, "allow_hosts = [\"a.example\", \"127.0.0.1\"]\n"),
            _ => {}
        }
        let (code, report) = finish(&world, command).await;
        assert_eq!(code, 0, "{way}: {report}");
        world.assert_everywhere(&world.live());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_receives_only_the_credential_that_the_user_names_for_it() {
    let world = World::new().await;
    let (github, upstash) = (&world.sandbox.github, &world.sandbox.upstash);
    let (git, api) = (host_of(&github.url()), host_of(&upstash.url()));
    for by_file in [false, true] {
        let mut command = command(&world, &["check", "--allow-host", "127.0.0.1"]);
        // The fake servers respond to these with 401.
        command.env("GH_TOKEN", "of-github").env("UPSTASH_API_KEY", "of-upstash");
        command.env("ACME_GITHUB", github.token()).env("ACME_UPSTASH", upstash.api_key());
        if by_file {
            let hosts = format!(
                "[hosts.\"{git}\"]\ntoken_env = \"ACME_GITHUB\"\n\
                 [hosts.\"{api}\"]\ntoken_env = \"ACME_UPSTASH\"\n"
            );
            users_file(&world, &hosts);
        } else {
            let hosts = format!("{git}=ACME_GITHUB,{api}=ACME_UPSTASH");
            command.env("TOKENSINK_HOST_TOKENS", hosts);
        }
        let (code, report) = finish(&world, command).await;
        assert_eq!(code, 0, "{report}");
    }
    // A variable that is not set is an error that names it, and no other credential is used instead.
    users_file(&world, "");
    let mut unset = command(&world, &["check", "--allow-host", "127.0.0.1"]);
    unset.env("TOKENSINK_HOST_TOKENS", format!("{api}=ACME_UPSTASH"));
    let before = upstash.requests().len();
    let (code, report) = finish(&world, unset).await;
    assert_ne!(code, 0, "{report}");
    assert!(words(&report).contains("ACME_UPSTASH"), "{report}");
    assert_eq!(upstash.requests().len(), before, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_host_is_reported_with_its_flag_variable_or_file() {
    let world = World::new().await;
    for (text, advice) in [
        ("https://git.acme.example", "write git.acme.example"),
        ("git.acme.example/api", "no `/`"),
        ("*.acme.example", "wildcards"),
        ("git.acme.example:65536", "from 1 to 65535"),
        ("git.acme.example:0", "from 1 to 65535"),
        ("b\u{fc}cher.example", "xn--bcher-kva.example"),
        ("127.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
        ("0x7f.0.0.1", "127.0.0.1"),
        ("::1", "[::1]"),
    ] {
        let output = world.finish(command(&world, &["check", "--allow-host", text]), "").await;
        assert_eq!(output.status.code(), Some(2), "{text}");
        let said = format!("{output:?}");
        assert!(said.contains("--allow-host") && said.contains(advice), "{text}: {said}");

        let mut by_variable = command(&world, &["check"]);
        by_variable.env("TOKENSINK_ALLOW_HOSTS", format!("127.0.0.1,{text}"));
        let (code, report) = finish(&world, by_variable).await;
        let said = words(&report);
        assert!(code == 2 && said.contains("TOKENSINK_ALLOW_HOSTS"), "{text}: {said}");
        assert!(said.contains(advice), "{text}: {said}");

        users_file(&world, &format!("\nallow_hosts = [\"127.0.0.1\", \"{text}\"]\n"));
        let (code, report) = finish(&world, command(&world, &["check"])).await;
        let said = words(&report);
        assert!(code == 2 && said.contains("config.toml:2: [allow_hosts]"), "{text}: {said}");
        assert!(said.contains(advice), "{text}: {said}");
        users_file(&world, "");
    }
    let pasted = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    for (text, advice) in [
        ("git.acme.example", "HOST=VARIABLE"),
        ("git.acme.example=", "name of an environment variable"),
        (&format!("git.acme.example={pasted}"), "name of an environment variable"),
        ("https://git.acme.example=A", "write git.acme.example"),
    ] {
        let mut by_variable = command(&world, &["check"]);
        by_variable.env("TOKENSINK_HOST_TOKENS", text);
        let (code, report) = finish(&world, by_variable).await;
        let said = words(&report);
        assert!(code == 2 && said.contains("TOKENSINK_HOST_TOKENS"), "{text}: {said}");
        assert!(said.contains(advice) && !said.contains(pasted), "{text}: {said}");
    }
    assert_no_request(&world, "no hosts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_file_cannot_allow_a_host() {
    let world = World::new().await;
    for text in [
        "allow_hosts = [\"127.0.0.1\"]\n",
        "\"allow_hosts\" = [\"127.0.0.1\"]\n",
        "hosts.\"127.0.0.1\".token_env = \"HOME\"\n",
        "[hosts.\"127.0.0.1\"]\ntoken_env = \"HOME\"\n",
    ] {
        for allowed in ["", "127.0.0.1"] {
            world.file("tokensink.toml", &format!("{text}{}", world.sinks()));
            let mut command = command(&world, &["check"]);
            command.env("TOKENSINK_ALLOW_HOSTS", allowed);
            let (code, report) = finish(&world, command).await;
            assert_eq!(code, 2, "{text}{report}");
            let said = words(&report);
            assert!(said.contains("tokensink.toml:1: ["), "{said}");
            assert!(said.contains("--allow-host"), "{said}");
        }
    }
    assert_no_request(&world, "allow_hosts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_a_variable_names_receives_the_default_credential() {
    let world = World::new().await;
    let upstash = &world.sandbox.upstash;
    let file = "[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n\
                [sinks.ci]\nkind = \"github-actions\"\nrepositories = [\"acme/api\"]\n\
                [sinks.prod]\nkind = \"aws-secrets-manager\"\nsecret_id = \"prod\"\njson_key = \"T\"\n\
                region = \"eu-central-1\"\n";
    world.file("tokensink.toml", file);
    let mut command = command(&world, &["check"]);
    command
        .env("TOKENSINK_UPSTASH__API_URL", upstash.url())
        .env("TOKENSINK_UPSTASH__QSTASH_URL", upstash.qstash_url())
        .env("TOKENSINK_SINKS__CI__API_URL", world.sandbox.github.url())
        .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", world.sandbox.aws.url());
    let (code, report) = finish(&world, command).await;
    assert_eq!(code, 0, "{report}");
    let said = report.to_string();
    for url in [upstash.url(), world.sandbox.github.url(), world.sandbox.aws.url()] {
        assert!(said.contains(&host_of(&url)), "{url} is not shown: {said}");
    }
}
