//! Tests of the decision which credential may be sent to a host.

use super::*;

const PLAIN: Vendor =
    Vendor::new("Acme", |host| host == "api.acme.example", DefaultCredential::AnyNamedHost);
const BOUND: Vendor =
    Vendor::new("Acme", |host| host == "api.acme.example", DefaultCredential::OwnHostsOnly);
const TOKEN: Vendor =
    Vendor::new("Acme", |host| host == "api.acme.example", DefaultCredential::DeliveredToken);

const OUTSIDE: [Origin; 4] =
    [Origin::UserFile, Origin::CredentialFile, Origin::Environment, Origin::CommandLine];

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn policy(allowed: &[&str], variables: &[(&str, &str)]) -> HostPolicy {
    let mut policy = HostPolicy::allowing(allowed.iter().copied());
    let variables = variables.iter().map(|(host, name)| ((*host).to_owned(), (*name).to_owned()));
    policy.token_variables = variables.collect();
    policy
}

/// Returns the granted credential or the reason of the refusal.
fn verdict(vendor: &Vendor, setting: &HostSetting<'_>, policy: &HostPolicy) -> String {
    match authorize(vendor, setting, policy) {
        Ok(grant) => match grant.credential {
            GrantedCredential::VendorDefault => "default".to_owned(),
            GrantedCredential::Variable(name) => name,
        },
        Err(refusal) => match refusal.reason {
            RefusalReason::NotAllowed => "not allowed",
            RefusalReason::TokenEnvInProjectFile => "token_env",
            RefusalReason::NoCredential => "no credential",
        }
        .to_owned(),
    }
}

fn from_project(vendor: &Vendor, text: &str, policy: &HostPolicy) -> String {
    let url = url(text);
    verdict(vendor, &HostSetting::new(&url, Origin::ProjectFile), policy)
}

#[test]
fn only_the_exact_host_at_the_default_port_is_the_vendors_own() {
    for own in [
        "https://api.acme.example",
        "https://API.acme.example:443/v2/",
        "https://api。acme.example",
    ] {
        assert_eq!(from_project(&PLAIN, own, &HostPolicy::default()), "default", "{own}");
    }
    for other in [
        "https://acme.example",
        "https://evil.api.acme.example",
        "https://api.acme.example.evil.example",
        "https://api.acme.example.",
        "https://api.acme.example:8443",
        "http://api.acme.example",
        "https://api.acme.example@evil.example",
        "https://evil.example/api.acme.example",
        "https://evil.example?api.acme.example",
        "https://evil.example#@api.acme.example",
        "https://evil.example\\@api.acme.example",
        "https://xapi.acme.example",
        "https://api-acme.example",
        "https://api.acme.exampl\u{435}",
        "https://127.0.0.1",
        "http://127.0.0.1:4000",
        "http://[::1]:4000",
        "http://localhost:4000",
        "https://[::ffff:127.0.0.1]",
        "https://0.0.0.0",
        "data:text/plain,api.acme.example",
    ] {
        for vendor in [&PLAIN, &BOUND, &TOKEN] {
            let verdict = from_project(vendor, other, &HostPolicy::default());
            assert_eq!(verdict, "not allowed", "{other}");
        }
    }
}

#[test]
fn an_entry_without_a_port_allows_every_port_of_exactly_its_host() {
    for (entry, text, allowed) in [
        ("git.example", "https://git.example", true),
        ("git.example", "https://git.example:8443", true),
        ("git.example:443", "https://git.example", true),
        ("git.example:8443", "https://git.example", false),
        ("git.example", "https://sub.git.example", false),
        ("git.example", "https://git.example.", false),
        ("127.0.0.1", "http://127.0.0.1:9", true),
        ("127.0.0.1", "http://0x7f.1:9", true),
        ("127.0.0.1", "http://127.0.0.2:9", false),
        ("127.0.0.1", "http://localhost:9", false),
        ("127.0.0.1:9", "http://127.0.0.1:99", false),
        ("[::1]:9", "http://[::1]:9", true),
        ("[::1]", "http://127.0.0.1:9", false),
    ] {
        let verdict = from_project(&TOKEN, text, &policy(&[entry], &[]));
        assert_eq!(verdict == "default", allowed, "{entry}: {text}: {verdict}");
    }
}

#[test]
fn an_allowed_host_gets_its_own_credential_and_loopback_the_default() {
    let allowed = policy(&["git.example", "127.0.0.1"], &[]);
    for (vendor, elsewhere) in
        [(&PLAIN, "no credential"), (&BOUND, "no credential"), (&TOKEN, "default")]
    {
        assert_eq!(from_project(vendor, "https://git.example", &allowed), elsewhere);
        assert_eq!(from_project(vendor, "http://127.0.0.1:9", &allowed), "default");
    }
    let own = [("git.example", "ANY"), ("git.example:8443", "PORT"), ("127.0.0.1", "LOCAL")];
    let own = policy(&["git.example", "127.0.0.1"], &own);
    for vendor in [&PLAIN, &BOUND] {
        assert_eq!(from_project(vendor, "https://git.example", &own), "ANY");
        assert_eq!(from_project(vendor, "https://git.example:8443", &own), "PORT");
        assert_eq!(from_project(vendor, "http://127.0.0.1:9", &own), "LOCAL");
    }
    let no_variables = PLAIN.without_token_variables();
    assert_eq!(from_project(&no_variables, "https://git.example", &own), "no credential");
    assert_eq!(from_project(&no_variables, "http://127.0.0.1:9", &own), "default");
}

#[test]
fn a_variable_for_a_host_does_not_allow_the_host() {
    let own = policy(&[], &[("git.example", "OWN")]);
    assert_eq!(from_project(&PLAIN, "https://git.example", &own), "not allowed");
}

#[test]
fn a_host_that_is_set_outside_the_project_file_is_allowed_and_shown() {
    let url = url("https://git.example:8443/x");
    for origin in OUTSIDE {
        let setting = HostSetting::new(&url, origin);
        for (vendor, expected) in
            [(&PLAIN, "default"), (&BOUND, "no credential"), (&TOKEN, "default")]
        {
            assert_eq!(verdict(vendor, &setting, &HostPolicy::default()), expected, "{origin:?}");
        }
        let grant = authorize(&PLAIN, &setting, &HostPolicy::default()).unwrap();
        assert_eq!(grant.shown_host.as_deref(), Some("git.example:8443"));
    }
}

#[test]
fn the_vendors_variable_for_a_host_is_sent_to_it() {
    let url = url("https://git.example");
    let setting = HostSetting::new(&url, Origin::ProjectFile).with_vendor_variable(Some("GH_E"));
    assert_eq!(verdict(&BOUND, &setting, &HostPolicy::default()), "GH_E");
    let own = policy(&[], &[("git.example", "OWN")]);
    assert_eq!(verdict(&BOUND, &setting, &own), "OWN");
}

#[test]
fn a_project_file_may_name_variables_for_the_vendors_own_hosts_only() {
    let allowed = policy(&["git.example", "127.0.0.1"], &[("git.example", "OWN")]);
    for text in ["https://git.example", "http://127.0.0.1:9"] {
        let url = url(text);
        for vendor in [&PLAIN, &BOUND, &TOKEN] {
            for origin in OUTSIDE.into_iter().chain([Origin::ProjectFile]) {
                let setting = HostSetting::new(&url, origin).with_vendor_variable(Some("GH_E"));
                let by_project = setting.with_token_env(Some(("HOME", Origin::ProjectFile)));
                assert_eq!(verdict(vendor, &by_project, &allowed), "token_env", "{text}");
                for outside in OUTSIDE {
                    let by_user = setting.with_token_env(Some(("MINE", outside)));
                    assert_eq!(verdict(vendor, &by_user, &allowed), "MINE", "{text}");
                }
            }
        }
    }
    let own = url("https://api.acme.example");
    let setting = HostSetting::new(&own, Origin::ProjectFile);
    let setting = setting.with_token_env(Some(("CI_TOKEN", Origin::ProjectFile)));
    assert_eq!(verdict(&BOUND, &setting, &HostPolicy::default()), "CI_TOKEN");
}

#[test]
fn a_refusal_names_the_host_the_reason_and_the_setting() {
    let bound = BOUND.with_setting_outside("set GH_HOST and GH_ENTERPRISE_TOKEN");
    let aws = PLAIN.without_token_variables().with_setting_outside("set AWS_ENDPOINT_URL");
    let allowed = policy(&["git.example"], &[]);
    for (vendor, text, policy, setting) in [
        (
            bound,
            "https://git.example:8443",
            &HostPolicy::default(),
            "TOKENSINK_ALLOW_HOSTS=git.example:8443",
        ),
        (
            bound,
            "https://git.example:8443",
            &HostPolicy::default(),
            "--allow-host git.example:8443",
        ),
        (
            bound,
            "https://git.example",
            &HostPolicy::default(),
            "TOKENSINK_HOST_TOKENS=git.example=VARIABLE",
        ),
        (
            bound,
            "https://git.example",
            &HostPolicy::default(),
            "set GH_HOST and GH_ENTERPRISE_TOKEN",
        ),
        (bound, "http://127.0.0.1:9", &HostPolicy::default(), "TOKENSINK_ALLOW_HOSTS=127.0.0.1:9"),
        (bound, "https://git.example", &allowed, "TOKENSINK_HOST_TOKENS=git.example=VARIABLE"),
        (bound, "https://git.example", &allowed, "[hosts.\"git.example\"] token_env"),
        (
            aws,
            "https://git.example",
            &HostPolicy::default(),
            "if you trust it, set AWS_ENDPOINT_URL",
        ),
        (aws, "https://git.example", &allowed, "set AWS_ENDPOINT_URL"),
        (aws, "http://[::1]:9", &HostPolicy::default(), "TOKENSINK_ALLOW_HOSTS=[::1]:9"),
    ] {
        let url = url(text);
        let refusal =
            authorize(&vendor, &HostSetting::new(&url, Origin::ProjectFile), policy).unwrap_err();
        assert!(refusal.help().contains(setting), "{text}: {}", refusal.help());
        let error = refusal.to_string();
        assert!(
            error.contains(&refusal.host) && error.contains("is not a host of Acme"),
            "{error}"
        );
    }
}

#[test]
fn the_form_of_a_region_is_recognized() {
    for region in ["eu-central-1", "us-gov-west-1", "us-iso-east-1", "ap-southeast-12"] {
        assert!(is_aws_region(region), "{region}");
    }
    for other in
        ["", "eu", "eu-1", "eu-central", "s3-eu-west-1", "caring-mole-12345", "eu--1", "EU-west-1"]
    {
        assert!(!is_aws_region(other), "{other}");
    }
}
