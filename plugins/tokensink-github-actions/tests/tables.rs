//! Tables that are wrong, and what they build: no request is made.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use serde_json::{Value, json};
use tokensink_core::{SinkError, TokenSink};
use tokensink_github_actions as _;

fn build(
    table: Value,
    variables: &[(&str, &str)],
) -> Result<Vec<Box<dyn TokenSink>>, Vec<SinkError>> {
    tokensink_testkit::build("github-actions", table, variables)
}

#[test]
fn a_default_credential_goes_to_no_other_host() {
    let table = |host: &str| json!({"repositories": ["acme/api"], "api_url": format!("https://{host}/api/v3")});
    let personal = [("GH_TOKEN", "a"), ("GITHUB_TOKEN", "b"), ("GH_ENTERPRISE_TOKEN", "c")];
    let errors = build(table("evil.example"), &personal).unwrap_err();
    assert!(errors[0].to_string().contains("no GitHub token belongs to evil.example"));
    let own = [("GH_HOST", "git.acme.example"), ("GH_ENTERPRISE_TOKEN", "c")];
    assert!(build(table("git.acme.example"), &own).is_ok());
    for name in [
        "GH_TOKEN",
        "UPSTASH_API_KEY",
        "aws_secret_access_key",
        "GITHUB_TOKEN",
        "QSTASH_TOKEN",
        "EU_CENTRAL_1_QSTASH_TOKEN",
        "us_east_1_qstash_token",
        "VERCEL_TOKEN",
        "FLY_API_TOKEN",
    ] {
        let mut stealing = table("evil.example");
        stealing["token_env"] = json!(name);
        let errors = build(stealing, &personal).unwrap_err();
        assert!(errors[0].to_string().contains("does not belong to evil.example"), "{name}");
    }
    assert!(build(table("evil.example"), &own).is_err());
    let mut own = table("git.acme.example");
    own["token_env"] = json!("ACME_GITHUB_TOKEN");
    assert!(build(own, &personal).is_ok());
}

#[test]
fn all_mistakes_of_a_table_are_told_together() {
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
        "`environment` goes with",
        "in the clear",
    ] {
        assert!(text.contains(words), "{text} should say {words}");
    }
    let errors = build(json!({"repositry": []}), &[]).unwrap_err();
    assert!(errors[0].to_string().contains("`repositry`"));
}

#[test]
fn a_token_in_the_place_of_its_variable_is_not_repeated() {
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
fn an_empty_environment_is_a_mistake() {
    let table = json!({"repositories": ["acme/api"], "environment": ""});
    let errors = build(table, &[]).unwrap_err();
    assert!(errors[0].to_string().contains("option `environment` is empty"), "{errors:?}");
}

#[test]
fn one_secret_has_one_identity() {
    let table =
        |repository: &str, secret: &str| json!({"repositories": [repository], "secret": secret});
    let id = |table| build(table, &[]).unwrap()[0].info().target.clone();
    assert_eq!(id(table("Acme/API", "qstash_token")), id(table("acme/api", "QSTASH_TOKEN")));
    assert_ne!(id(table("acme/api", "OTHER")), id(table("acme/api", "QSTASH_TOKEN")));
}
