//! Tests of building sinks from tables. No request is sent.

#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokensink_aws_secrets_manager as _;
use tokensink_core::{BuildContext, HostPolicy, Origin, SinkError, SinkErrorKind, TokenSink};

fn build(
    table: Value,
    variables: &[(&str, &str)],
) -> Result<Vec<Box<dyn TokenSink>>, Vec<SinkError>> {
    tokensink_testkit::build("aws-secrets-manager", table, variables)
}

/// Builds a table with this `endpoint_url`. Only `hosts` are allowed.
fn build_at(
    url: &str,
    variables: &[(&str, &str)],
    hosts: &[&str],
    origins: &[(&str, Origin)],
) -> Result<Option<String>, String> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let origins: BTreeMap<_, _> =
        origins.iter().map(|(option, origin)| ((*option).to_owned(), *origin)).collect();
    let context = BuildContext::new("/", variables.collect())
        .with_hosts(HostPolicy::allowing(hosts.iter().copied()))
        .with_origins(origins);
    let table = json!({"secret_id": "a", "endpoint_url": url});
    let built = tokensink_testkit::build_in("aws-secrets-manager", table, &context);
    let shown = built.map(|sinks| sinks[0].info().host.clone());
    shown.map_err(|errors| format!("{}: {:?}", errors[0], errors[0].help()))
}

#[test]
fn only_hosts_of_secrets_manager_need_no_permission() {
    let built = |url: &str| build_at(url, &[], &[], &[]);
    for host in [
        "secretsmanager.eu-central-1.amazonaws.com",
        "secretsmanager-fips.us-gov-west-1.amazonaws.com",
        "secretsmanager.cn-north-1.amazonaws.com.cn",
        "secretsmanager.eu-central-1.api.aws",
        "secretsmanager-fips.us-east-1.api.aws",
        "vpce-1-a.secretsmanager.eu-central-1.vpce.amazonaws.com",
        "vpce-1-a-eu-central-1b.secretsmanager-fips.us-east-1.vpce.amazonaws.com",
    ] {
        assert!(built(&format!("https://{host}")).is_ok(), "{host}");
    }
    // Each of these can belong to a customer: an API, a bucket, a load balancer, an endpoint service.
    for host in [
        "a1b2c3.execute-api.eu-central-1.amazonaws.com",
        "a1b2c3.execute-api.eu-central-1.api.aws",
        "secretsmanager.s3.amazonaws.com",
        "secretsmanager.s3-eu-west-1.amazonaws.com",
        "secretsmanager.s3.eu-central-1.amazonaws.com",
        "secretsmanager.eu-central-1.elb.amazonaws.com",
        "vpce-1.vpce-svc-1.eu-central-1.vpce.amazonaws.com",
        "a.secretsmanager.eu-central-1.amazonaws.com",
        "sts.eu-central-1.amazonaws.com",
        "secretsmanager.amazonaws.com",
        "secretsmanager.eu-central-1.amazonaws.com.",
        "evil.amazonaws.com",
        "evilamazonaws.com",
    ] {
        let error = built(&format!("https://{host}")).unwrap_err();
        assert!(error.starts_with(&format!("{host} is not a host of AWS")), "{host}: {error}");
    }
    for url in [
        "https://secretsmanager.eu-central-1.amazonaws.com:8443",
        "http://127.0.0.1:4566",
        "http://localhost:4566",
        "http://[::1]:4566",
        "http://2130706433:4566",
    ] {
        let error = built(url).unwrap_err();
        assert!(error.contains("is not a host of AWS Secrets Manager"), "{url}: {error}");
    }
}

#[test]
fn another_endpoint_is_accepted_from_outside_the_project_only() {
    let other = "https://localstack.acme.example";
    let shown = Ok(Some("localstack.acme.example".to_owned()));
    assert!(build_at(other, &[], &[], &[]).is_err());
    // The AWS keys are not sent to a host that is only allowed.
    let error = build_at(other, &[], &["localstack.acme.example"], &[]).unwrap_err();
    assert!(error.contains("there is no credential for it"), "{error}");
    for variable in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"] {
        assert_eq!(build_at(other, &[(variable, other)], &[], &[]), shown);
        let ignored = [(variable, other), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")];
        assert!(build_at(other, &ignored, &[], &[]).is_err());
        for elsewhere in ["https://evil.example", "https://localstack.acme.example:8443"] {
            assert!(build_at(elsewhere, &[(variable, other)], &[], &[]).is_err(), "{elsewhere}");
        }
    }
    for origin in [Origin::Environment, Origin::UserFile] {
        assert_eq!(build_at(other, &[], &[], &[("endpoint_url", origin)]), shown);
    }
    let here = "http://127.0.0.1:4566";
    let shown = Ok(Some("127.0.0.1:4566".to_owned()));
    assert_eq!(build_at(here, &[], &["127.0.0.1"], &[]), shown);
    assert_eq!(build_at(here, &[], &["127.0.0.1:4566"], &[]), shown);
    assert!(build_at(here, &[], &["127.0.0.1:4567", "localhost"], &[]).is_err());
}

#[test]
fn empty_and_repeated_keys_are_errors() {
    for (table, words) in [
        (json!({"secret_id": "a", "json_key": ""}), "`json_key` is empty"),
        (json!({"secret_id": "a", "json_keys": ["A", ""]}), "`json_keys`: a key is empty"),
        (json!({"secret_id": "a", "json_keys": ["A", "B", "A"]}), "`A` is in it twice"),
        (json!({"secret_id": "a", "json_keys": []}), "`json_keys` is empty"),
    ] {
        let errors = build(table, &[]).unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].kind(), SinkErrorKind::Config);
        assert!(errors[0].to_string().contains(words), "{errors:?}");
    }
    assert!(build(json!({"secret_id": "a", "json_keys": ["A", "a"]}), &[]).is_ok());
}

const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/qstash-AbCdEf";

#[test]
fn an_invalid_region_is_an_error() {
    let message = |table: Value, variables: &[(&str, &str)]| {
        let errors = build(table, variables).unwrap_err();
        assert_eq!((errors.len(), errors[0].kind()), (1, SinkErrorKind::Config), "{errors:?}");
        errors[0].to_string()
    };
    for region in ["", " ", "eu-central-1/x", "eu-central-1.evil.example", "EU"] {
        let error = message(json!({"secret_id": "a", "region": region}), &[]);
        assert_eq!(error, "option `region`: expected a region, such as eu-central-1");
    }
    let error = message(json!({"secret_id": "a"}), &[("AWS_REGION", "a/b")]);
    assert!(error.contains("variable AWS_REGION: expected a region"), "{error}");
    let error = message(json!({"secret_id": ARN.replace("eu-central-1", "")}), &[]);
    assert!(error.contains("ARN in `secret_id`: expected a region"), "{error}");
    for region in ["eu-central-1", "us-gov-west-1", "us-iso-east-1"] {
        assert!(build(json!({"secret_id": "a", "region": region}), &[]).is_ok(), "{region}");
    }
}

#[test]
fn a_region_that_contradicts_the_arn_is_an_error() {
    let errors = build(json!({"secret_id": ARN, "region": "us-east-1"}), &[]).unwrap_err();
    let error = errors[0].to_string();
    assert_eq!(error, "option `region`: the ARN is of eu-central-1, not of us-east-1");
    assert!(build(json!({"secret_id": ARN, "region": "eu-central-1"}), &[]).is_ok());
    // The region of the environment applies only without another one.
    assert!(build(json!({"secret_id": ARN}), &[("AWS_REGION", "us-east-1")]).is_ok());
}

fn target(table: Value) -> String {
    build(table, &[]).unwrap()[0].info().target.to_string()
}

#[test]
fn secrets_of_two_accounts_or_regions_are_different_places() {
    let of_arn = |arn: &str| target(json!({"secret_id": arn}));
    let others = [
        ARN.replace("123456789012", "210987654321"),
        ARN.replace("eu-central-1", "us-east-1"),
        ARN.replace("prod/qstash-AbCdEf", "prod/qstash-XyZ123"),
        // A partial ARN of a secret whose name ends like the complete ARN of another.
        ARN.replace("qstash-AbCdEf", "qstash"),
    ];
    for other in &others {
        assert_ne!(of_arn(ARN), of_arn(other), "{other}");
        assert!(of_arn(other).contains(other.split(':').nth(4).unwrap()));
    }
    let worker = ARN.replace("qstash-AbCdEf", "qs-worker");
    assert_ne!(of_arn(&worker), of_arn(&ARN.replace("qstash-AbCdEf", "qs")));
}

#[test]
fn names_are_identified_by_profile_region_and_name() {
    let table = |name: &str, region: &str, profile: Option<&str>| {
        target(json!({"secret_id": name, "region": region, "profile": profile}))
    };
    let one = table("prod/qs-worker", "eu-central-1", None);
    assert_ne!(one, table("prod/qs", "eu-central-1", None));
    assert_ne!(one, table("prod/qs-worker", "us-east-1", None));
    assert_ne!(one, table("prod/qs-worker", "eu-central-1", Some("staging")));
    assert_eq!(
        one,
        target(json!({"secret_id": "prod/qs-worker", "region": "eu-central-1", "json_key": "T"}))
    );
}

#[test]
fn an_arn_with_a_json_key_points_to_json_key() {
    for (suffix, key) in [
        (":QSTASH_TOKEN::", Some("QSTASH_TOKEN")),
        (":QSTASH_TOKEN", Some("QSTASH_TOKEN")),
        (":QSTASH_TOKEN:AWSCURRENT:", Some("QSTASH_TOKEN")),
        ("::AWSPREVIOUS:", None),
        (":::", None),
    ] {
        let errors = build(json!({"secret_id": format!("{ARN}{suffix}")}), &[]).unwrap_err();
        assert_eq!((errors.len(), errors[0].kind()), (1, SinkErrorKind::Config), "{errors:?}");
        assert_eq!(errors[0].option(), Some("secret_id"));
        let help = errors[0].help().unwrap();
        assert!(help.contains(&format!("secret_id = \"{ARN}\"")), "{help}");
        let line = key.map(|key| format!("json_key = \"{key}\""));
        assert_eq!(help.contains("json_key"), line.is_some(), "{help}");
        assert!(line.is_none_or(|line| help.contains(&line)), "{help}");
    }
}

#[test]
fn an_invalid_secret_id_is_rejected() {
    for secret_id in [
        "",
        "a b",
        "a\nb",
        "prod/qstash:QSTASH_TOKEN",
        "{{resolve:secretsmanager:a}}",
        "arn:aws:iam::123456789012:user/a",
        "arn:aws:secretsmanager:eu-central-1:123:secret:a-AbCdEf",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:",
        "arn:aws:secretsmanager:eu-central-1",
    ] {
        let errors = build(json!({"secret_id": secret_id}), &[]).unwrap_err();
        assert_eq!((errors.len(), errors[0].option()), (1, Some("secret_id")), "{errors:?}");
    }
    for secret_id in ["a", "prod/qs_tash+=.@-x", &ARN.replace("arn:aws:", "arn:aws-us-gov:")] {
        assert!(build(json!({"secret_id": secret_id}), &[]).is_ok(), "{secret_id}");
    }
}

#[test]
fn an_invalid_credential_is_rejected_by_the_name_of_its_variable() {
    let keys = [
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_SESSION_TOKEN", "session"),
        ("AWS_PROFILE", "default"),
        ("AWS_REGION", "eu-central-1"),
    ];
    for (index, (name, good)) in keys.into_iter().enumerate() {
        let with = |value: &str| {
            let mut variables = keys;
            variables[index].1 = value;
            build(json!({"secret_id": "a"}), &variables)
        };
        for bad in ["a\rb", "a\nb", "a\0b", "a\u{7f}b"] {
            let errors = with(bad).unwrap_err();
            let problem = errors[0].to_string();
            assert!(errors[0].kind() == SinkErrorKind::Config && errors.len() == 1, "{errors:?}");
            assert!(problem.contains(name) && !problem.contains(bad), "{problem}");
        }
        // Surrounding blanks are removed.
        for blank in ["\r", "\n", " ", "\r\n"] {
            assert!(with(&format!("{good}{blank}")).is_ok(), "{name}");
            assert!(with(&format!("{blank}{good}")).is_ok(), "{name}");
        }
    }
    // A table with a profile does not use them.
    let unused = [("AWS_SESSION_TOKEN", "a\rb")];
    assert!(build(json!({"secret_id": "a", "profile": "p"}), &unused).is_ok());
}
