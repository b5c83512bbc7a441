//! Tests of refused credentials and of the help for them.

use std::collections::BTreeMap;

use serde_json::json;
use tokensink_core::{BuildContext, HostPolicy, Origin, SinkErrorKind};
use tokensink_sandbox::GitHub;

use crate::{api_sink, github, refusal, sink};

#[tokio::test]
async fn a_saml_challenge_shows_where_to_authorize_the_token() {
    let github = github().await;
    github.add_organization("acme");
    github.require_sso("acme");
    let url = "https://github.com/orgs/acme/sso?authorization_request=AZSCKL3EWQ";
    for table in [json!({"repositories": ["acme/api"]}), json!({"organization": "acme"})] {
        let (kind, words) = refusal(sink(&github, table).as_ref()).await;
        assert_eq!(kind, SinkErrorKind::PermissionDenied, "{words}");
        let expected = format!("authorize the GitHub token for the organization at {url}");
        assert!(words.contains(&expected), "{words}");
    }
}

#[tokio::test]
async fn the_error_for_an_unwritable_repository_has_its_reason() {
    let github = github().await;
    let absent = sink(&github, json!({"repositories": ["acme/absent"]}));
    let (kind, words) = refusal(absent.as_ref()).await;
    assert!(
        kind == SinkErrorKind::NotFound && words.contains("GitHub token may read it"),
        "{words}"
    );
    github.make_read_only("acme/api");
    let (kind, words) = refusal(api_sink(&github).as_ref()).await;
    assert!(kind == SinkErrorKind::PermissionDenied && words.contains("may only read"), "{words}");
    github.archive("acme/api");
    let (kind, words) = refusal(api_sink(&github).as_ref()).await;
    assert!(kind == SinkErrorKind::Rejected && words.contains("archived"), "{words}");
}

#[tokio::test]
async fn the_error_for_a_wrong_token_names_its_variable() {
    let github = github().await;
    // The project's file may not name it for another host.
    let origins = BTreeMap::from([("token_env".to_owned(), Origin::Environment)]);
    let with = |variable: (&str, &str)| {
        let environment = [(variable.0.to_owned(), variable.1.to_owned())].into_iter().collect();
        let context = BuildContext::new("/", environment)
            .with_hosts(HostPolicy::allowing(["127.0.0.1"]))
            .with_origins(origins.clone());
        let table =
            json!({"repositories": ["acme/api"], "api_url": github.url(), "token_env": "CI_TOKEN"});
        tokensink_testkit::build_in("github-actions", table, &context).unwrap().remove(0)
    };
    let unset = with(("GH_TOKEN", github.token()));
    let (kind, words) = refusal(unset.as_ref()).await;
    assert!(
        kind == SinkErrorKind::PermissionDenied && words.contains("CI_TOKEN is not set"),
        "{words}"
    );
    assert!(github.requests().is_empty());
    let wrong = with(("CI_TOKEN", "ghp_wrong_0123456789"));
    let (kind, words) = refusal(wrong.as_ref()).await;
    assert!(kind == SinkErrorKind::PermissionDenied && words.contains("401"), "{words}");
    assert!(!format!("{words}{wrong:?}").contains("ghp_wrong"), "{words}");
}

#[tokio::test]
async fn codespaces_secrets_need_an_admin() {
    let github = github().await;
    github.make_push_only("acme/api");
    for app in ["actions", "dependabot"] {
        let table = json!({"repositories": ["acme/api"], "app": app});
        crate::write(sink(&github, table).as_ref(), "one").await;
    }
    let table = json!({"repositories": ["acme/api"], "app": "codespaces"});
    let (kind, words) = refusal(sink(&github, table.clone()).as_ref()).await;
    assert!(kind == SinkErrorKind::PermissionDenied && words.contains("admin"), "{words}");
    let github = GitHub::start().await.unwrap();
    github.add_repository("acme/api");
    crate::write(sink(&github, table).as_ref(), "one").await;
    let path = "repos/acme/api/codespaces/secrets/QSTASH_TOKEN";
    assert_eq!(github.secret(path).as_deref(), Some("one"));
}
