//! The layers of a config: a cloned project's file must not send credentials to other hosts, and an error
//! names the file or variable that causes it.

use std::fs;

use serde_json::Value;
use tokio::process::Command;

use crate::support::world::{World, words};

const EVIL: &str = "https://evil.example";

/// Writes the user's own config file.
fn users_file(world: &World, text: &str) {
    let directory = world.directory.path().join("home/.config/tokensink");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("config.toml"), text).unwrap();
}

fn with_variables(world: &World, variables: &[(&str, &str)]) -> Command {
    let mut command = world.command(&["check", "--output", "json"]);
    command.envs(variables.iter().copied());
    command
}

async fn check(world: &World, variables: &[(&str, &str)]) -> (i32, Value) {
    let output = world.finish(with_variables(world, variables), "").await;
    let report = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), report)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_project_file_sends_credentials_elsewhere() {
    let world = World::new().await;
    let upstash = &world.sandbox.upstash;
    let own = format!(
        "[upstash]\napi_url = \"{}\"\nqstash_url = \"{}\"\n",
        upstash.url(),
        upstash.qstash_url()
    );
    for users in [None, Some(own.as_str())] {
        if let Some(own) = users {
            users_file(&world, own);
        }
        for key in ["api_url", "qstash_url"] {
            for spelling in [
                format!("[upstash]\n{key} = \"{EVIL}\"\n"),
                format!("upstash = {{ {key} = \"{EVIL}\" }}\n"),
                format!("upstash.{key} = \"{EVIL}\"\n"),
                format!("[ \"upstash\" ]\n\"{key}\" = \"{EVIL}\"\n"),
                format!("\"upstash.{key}\" = \"{EVIL}\"\n"),
                format!("'upstash.{key}' = '{EVIL}'\n"),
            ] {
                world.file("tokensink.toml", &format!("{spelling}{}", world.sinks()));
                let (code, report) = world.run(&["check"]).await;
                assert_eq!(code, 2, "{spelling}: {report}");
                let words = words(&report);
                let allowed_by = "TOKENSINK_ALLOW_HOSTS=evil.example";
                assert!(words.contains(allowed_by) || words.contains("in quotes"), "{words}");
            }
        }
    }
    assert!(upstash.requests().is_empty());

    // The user's own file is trusted, and the user's variables override the project's file.
    world.file("tokensink.toml", &world.sinks());
    assert_eq!(world.run(&["check"]).await.0, 0);
    world.file("tokensink.toml", &format!("upstash.api_url = \"{EVIL}\"\n{}", world.sinks()));
    let url = upstash.url();
    let (code, report) = check(&world, &[("TOKENSINK_UPSTASH__API_URL", &url)]).await;
    assert_eq!(code, 0, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_users_file_names_that_file() {
    let world = World::new().await;
    users_file(&world, "\n[upstash]\ntimeout = \"soon\"\n");
    let (code, report) = world.run(&["check"]).await;
    assert!(code == 2 && words(&report).contains("config.toml:3: [upstash.timeout]"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_a_variable_names_the_variable() {
    let world = World::new().await;
    for (variable, value, place) in [
        ("TOKENSINK_UPSTASH__TIMEOUT", "soon", "[upstash.timeout]"),
        ("TOKENSINK_UPSTASH__REGOIN", "x", "[upstash.regoin]"),
        ("TOKENSINK_UPSTASH__REGION", "eu/../x", "[upstash.region]"),
        ("TOKENSINK_SINKS__LOCAL__PRIORITY", "high", "[sinks.local.priority]"),
        ("TOKENSINK_SINKS__LOCAL__KIND", "dotenw", "[sinks.local.kind]"),
        ("TOKENSINK_SINKS__CI__SECRET", "1 2", "[sinks.ci]"),
        ("TOKENSINK_SINKS__CI__REPOSITORIES", "acme/api", "[sinks.ci]"),
        ("TOKENSINK_SINKS__TYPO__PATH", "x", "[sinks.typo]"),
        ("TOKENSINK_LINKS__A", "x", "[links]"),
        ("TOKENSINK_SINKS__A[9999999999]", "x", "the name of a key cannot contain a bracket"),
    ] {
        let (code, report) = check(&world, &[(variable, value)]).await;
        assert_eq!(code, 2, "{variable}: {report}");
        assert!(words(&report).contains(&format!("\"{variable}: {place}")), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_set_keys_of_every_scalar_type() {
    let world = World::new().await;
    world.sandbox.aws.put_externally("123", &world.live());
    world.file("fresh.env", "A=1\n");
    world.config(&format!(
        "[sinks.local]\nkind = \"dotenv\"\npath = \"none\"\n\
         [sinks.prod]\nkind = \"aws-secrets-manager\"\nsecret_id = \"none\"\n\
         region = \"eu-central-1\"\nendpoint_url = \"{}\"\n",
        world.sandbox.aws.url()
    ));
    let mut command = world.command(&["sync", "--yes", "--output", "json"]);
    command.envs([
        ("TOKENSINK_UPSTASH__TIMEOUT", "10"),
        ("TOKENSINK_UPSTASH__SETTLE", "0.5"),
        ("TOKENSINK_SINKS__LOCAL__PATH", "fresh.env"),
        ("TOKENSINK_SINKS__LOCAL__CREATE", "true"),
        ("TOKENSINK_SINKS__LOCAL__PRIORITY", "-1"),
        ("TOKENSINK_SINKS__LOCAL__REQUIRED", "FALSE"),
        ("TOKENSINK_SINKS__LOCAL__TAKES_EFFECT", "on-deploy"),
        // The option is a string, so digits are not a number.
        ("TOKENSINK_SINKS__PROD__SECRET_ID", "123"),
        ("TOKENSINK_SINKS__PROD__TIMEOUT", "30"),
    ]);
    let output = world.finish(command, "").await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(world.read("fresh.env"), format!("A=1\nQSTASH_TOKEN={}\n", world.live()));
    let (first, last) = (&report["sinks"][0], &report["sinks"][1]);
    assert_eq!([&first["name"], &first["state"]], ["prod", "current"], "{report}");
    assert_eq!([&last["name"], &last["takes_effect"]], ["local", "on-deploy"], "{report}");
    assert_eq!(last["required"], false, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_string_in_a_file_is_not_a_boolean() {
    let world = World::new().await;
    world.config("[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\nrequired = \"true\"\n");
    let (code, report) = world.run(&["check"]).await;
    assert!(code == 2 && words(&report).contains("expected true or false"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_error_does_not_cause_others_about_hosts_that_variables_allow() {
    let world = World::new().await;
    world.config(
        "regoin = \"x\"\n[sinks.prod]\nkind = \"aws-secrets-manager\"\nsecret_id = \"prod\"\n\
         endpoint_url = \"https://aws.example\"\n[sinks.ci]\nkind = \"github-actions\"\n\
         repositories = [\"acme/api\"]\napi_url = \"https://github.example\"\n",
    );
    let variables = [
        ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "https://aws.example"),
        ("GH_HOST", "github.example"),
        ("GH_ENTERPRISE_TOKEN", "x"),
    ];
    let (code, report) = check(&world, &variables).await;
    let errors = report["errors"].as_array().unwrap();
    assert_eq!((code, errors.len()), (2, 1), "{report}");
    assert!(words(&report).contains("did you mean `region`?"), "{report}");
}
