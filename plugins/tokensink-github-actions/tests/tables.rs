//! Tests of building sinks from tables. No request is sent.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokensink_core::{BuildContext, HostPolicy, Origin, SinkError, TokenSink};
use tokensink_github_actions as _;

fn build(
    table: Value,
    variables: &[(&str, &str)],
) -> Result<Vec<Box<dyn TokenSink>>, Vec<SinkError>> {
    tokensink_testkit::build("github-actions", table, variables)
}

fn build_with(table: Value, context: &BuildContext) -> Result<(), String> {
    let built = tokensink_testkit::build_in("github-actions", table, context);
    built.map(drop).map_err(|errors| format!("{}: {:?}", errors[0], errors[0].help()))
}

fn context(variables: &[(&str, &str)], hosts: HostPolicy) -> BuildContext {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    BuildContext::new("/", variables.collect()).with_hosts(hosts)
}

fn table_at(url: &str) -> Value {
    json!({"repositories": ["acme/api"], "api_url": url})
}

const PERSONAL: [(&str, &str); 3] =
    [("GH_TOKEN", "a"), ("GITHUB_TOKEN", "b"), ("GH_ENTERPRISE_TOKEN", "c")];

#[test]
fn only_hosts_of_github_get_its_default_token() {
    for own in ["https://api.github.com", "https://api.acme.ghe.com", "https://api.acme-2.ghe.com/"]
    {
        assert_eq!(build_with(table_at(own), &context(&PERSONAL, HostPolicy::default())), Ok(()));
    }
    for other in [
        "https://github.com",
        "https://acme.ghe.com",
        "https://api.ghe.com",
        "https://api.a.b.ghe.com",
        "https://api..ghe.com",
        "https://api.github.com.evil.example",
        "https://api.github.com.",
        "https://api.github.com:8443",
        "https://evil-api.github.com",
        "https://evil.github.io",
        "https://evil.example/api/v3",
        "http://127.0.0.1:4000",
        "http://localhost:4000",
        "http://[::1]:4000",
    ] {
        let refused = build_with(table_at(other), &context(&PERSONAL, HostPolicy::default()));
        let said = refused.unwrap_err();
        assert!(said.contains("is not a host of GitHub"), "{other}: {said}");
        assert!(said.contains("TOKENSINK_ALLOW_HOSTS="), "{other}: {said}");
    }
}

#[test]
fn a_project_file_must_not_name_the_variable_for_another_host() {
    let hosts = HostPolicy::allowing(["git.acme.example", "127.0.0.1"]);
    for url in ["https://git.acme.example/api/v3", "http://127.0.0.1:4000"] {
        for name in ["GH_TOKEN", "UPSTASH_API_KEY", "OPENAI_API_KEY", "HOME", "qstash_token"] {
            let mut stealing = table_at(url);
            stealing["token_env"] = json!(name);
            let said =
                build_with(stealing.clone(), &context(&PERSONAL, hosts.clone())).unwrap_err();
            assert!(said.contains("must not name the variable"), "{said}");
            let origins = BTreeMap::from([("token_env".to_owned(), Origin::Environment)]);
            let by_user = context(&PERSONAL, hosts.clone()).with_origins(origins);
            assert_eq!(build_with(stealing, &by_user), Ok(()));
        }
    }
}

#[test]
fn an_enterprise_server_gets_its_own_token() {
    let table = || table_at("https://git.acme.example/api/v3");
    for gh_host in ["git.acme.example", "git.acme.example:443"] {
        let own = [("GH_HOST", gh_host), ("GH_ENTERPRISE_TOKEN", "c")];
        assert_eq!(build_with(table(), &context(&own, HostPolicy::default())), Ok(()));
        for other in ["https://git.acme.example:8443", "https://x.git.acme.example"] {
            assert!(build_with(table_at(other), &context(&own, HostPolicy::default())).is_err());
        }
    }
    // An allowed host without its own token.
    let hosts = HostPolicy::allowing(["git.acme.example"]);
    let said = build_with(table(), &context(&PERSONAL, hosts.clone())).unwrap_err();
    assert!(said.contains("there is no credential for it"), "{said}");
    assert!(said.contains("TOKENSINK_HOST_TOKENS=git.acme.example=VARIABLE"), "{said}");
    let mut hosts = hosts;
    hosts.token_variables.insert("git.acme.example".to_owned(), "ACME".to_owned());
    assert_eq!(build_with(table(), &context(&[("ACME", "x")], hosts)), Ok(()));
}

#[test]
fn a_host_that_is_not_the_public_one_is_shown() {
    let shown = |url: &str| {
        let hosts = HostPolicy::allowing(["127.0.0.1"]);
        let context = context(&[("GH_TOKEN", "a")], hosts);
        let sinks = tokensink_testkit::build_in("github-actions", table_at(url), &context).unwrap();
        sinks[0].info().host.clone()
    };
    assert_eq!(shown("https://api.github.com"), None);
    assert_eq!(shown("https://api.acme.ghe.com").as_deref(), Some("api.acme.ghe.com"));
    assert_eq!(shown("http://127.0.0.1:4000").as_deref(), Some("127.0.0.1:4000"));
}

#[test]
fn all_errors_of_a_table_are_reported_together() {
    let table = json!({
        "repositories": ["acme", "acme/ok", "../x"],
        "secret": "GITHUB_X",
        "environment": "prod",
        "app": "dependabot",
        "api_url": "http://git.acme.example",
    });
    let errors = build(table, &[]).unwrap_err();
    let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for words in [
        "`acme` is not an owner/name",
        "`../x`",
        "GITHUB_",
        "`environment` is allowed with",
        "in the clear",
    ] {
        assert!(text.contains(words), "{text} should say {words}");
    }
    let errors = build(json!({"repositry": []}), &[]).unwrap_err();
    assert!(errors[0].to_string().contains("`repositry`"));
}

#[test]
fn a_token_given_as_the_variable_name_is_not_shown() {
    for pasted in [
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "github_pat_11ABCDEFG0abcdefghijkl_ABC",
        "ghs_short1",
        "e72e16c7e42f292c6912e7710c838347ae178b4a",
        "not a name",
        "7NAME",
        "A=b",
        "",
    ] {
        let table = json!({"repositories": ["acme/api"], "token_env": pasted});
        let errors = build(table, &[]).unwrap_err();
        let said = format!("{} {:?}", errors[0], errors[0].help());
        assert!(said.contains("`token_env`") && said.contains("name"), "{said}");
        assert!(pasted.is_empty() || !said.contains(pasted), "{said}");
    }
    for name in ["CI_TOKEN", "_x", "ci_token_2", "ACME_GITHUB_TOKEN_FOR_THE_SECRETS_OF_TEAM_2"] {
        let table = json!({"repositories": ["acme/api"], "token_env": name});
        assert!(build(table, &[]).is_ok(), "{name}");
    }
}

#[test]
fn an_empty_environment_is_an_error() {
    let table = json!({"repositories": ["acme/api"], "environment": ""});
    let errors = build(table, &[]).unwrap_err();
    assert!(errors[0].to_string().contains("option `environment` is empty"), "{errors:?}");
}

#[test]
fn the_identity_of_a_secret_ignores_letter_case() {
    let table =
        |repository: &str, secret: &str| json!({"repositories": [repository], "secret": secret});
    let id = |table| build(table, &[]).unwrap()[0].info().target.clone();
    assert_eq!(id(table("Acme/API", "qstash_token")), id(table("acme/api", "QSTASH_TOKEN")));
    assert_ne!(id(table("acme/api", "OTHER")), id(table("acme/api", "QSTASH_TOKEN")));
}
