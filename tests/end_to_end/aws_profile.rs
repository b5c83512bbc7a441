//! The endpoints and proxies in the user's AWS config file and variables: where requests go, and which
//! hosts are shown.

use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::world::World;

/// A world whose only sink finds its endpoints in the AWS config file, and a proxy on the way to
/// everywhere else, which only counts.
struct Profile {
    world: World,
    elsewhere: TcpListener,
}

impl Profile {
    async fn new() -> Self {
        let world = World::new().await;
        let arn = world.sandbox.aws.arn("prod");
        world.config(&format!(
            "[sinks.prod]\nkind = \"aws-secrets-manager\"\nsecret_id = \"{arn}\"\njson_key = \"T\"\n\
             timeout = \"5s\"\n"
        ));
        Self { world, elsewhere: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    /// Runs `check` with this AWS config file.
    async fn check(&self, file: &str) -> (i32, Value) {
        self.world.file("aws-config", file);
        let proxy = format!("http://{}", self.elsewhere.local_addr().unwrap());
        let mut command = self.world.command(&["check", "--output", "json"]);
        command
            .env("AWS_CONFIG_FILE", self.world.directory.path().join("aws-config"))
            .env("HTTPS_PROXY", proxy);
        let output = self.world.finish(command, "").await;
        (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
    }

    fn host(&self) -> String {
        self.world.sandbox.aws.url().replace("http://", "")
    }

    /// How many requests went to the fake's Secrets Manager and to its STS.
    fn requests(&self) -> (usize, usize) {
        let requests = self.world.sandbox.aws.requests();
        let to_sts = requests.iter().filter(|request| request.operation.is_none()).count();
        (requests.len() - to_sts, to_sts)
    }

    async fn assert_nothing_went_elsewhere(self) {
        // A connection that was made is in the backlog.
        let accepted = std::pin::pin!(self.elsewhere.accept());
        let polled = futures::poll!(accepted);
        assert!(polled.is_pending(), "a request went elsewhere: {polled:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_the_profile_is_used_for_every_service_and_shown() {
    let profile = Profile::new().await;
    let url = profile.world.sandbox.aws.url();
    let (code, report) = profile.check(&format!("[default]\nendpoint_url = {url}\n")).await;
    assert_eq!(code, 0, "{report}");
    let expected = format!("at {}, set by the AWS profile `default`", profile.host());
    assert!(report["warnings"].to_string().contains(&expected), "{report}");
    let (to_secrets_manager, to_sts) = profile.requests();
    assert!(to_secrets_manager > 0 && to_sts == 1, "{report}");
    profile.assert_nothing_went_elsewhere().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_sts_is_not_asked_about_the_keys_of_another_secrets_manager() {
    // The documented name of the service, and the one that the SDK reads.
    for name in ["secrets_manager", "secrets-manager"] {
        let profile = Profile::new().await;
        let url = profile.world.sandbox.aws.url();
        let file = format!(
            "[default]\nservices = local\n[services local]\n{name} =\n  endpoint_url = {url}\n"
        );
        let (code, report) = profile.check(&file).await;
        assert_eq!(code, 0, "{report}");
        let warnings = report["warnings"].to_string();
        let shown = format!("at {}, set by the AWS profile `default`", profile.host());
        assert!(warnings.contains(&shown), "{report}");
        assert!(warnings.contains("the endpoint is for Secrets Manager only"), "{report}");
        assert_eq!(profile.requests().1, 0);
        profile.assert_nothing_went_elsewhere().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_separate_sts_endpoint_is_used_and_shown() {
    let profile = Profile::new().await;
    let url = profile.world.sandbox.aws.url();
    let sts = tokensink_sandbox::Aws::start().await.unwrap();
    let sts_url = sts.url();
    let file = format!(
        "[default]\nservices = local\n[services local]\nsecrets_manager =\n  endpoint_url = {url}\n\
         sts =\n  endpoint_url = {sts_url}\n"
    );
    let (code, report) = profile.check(&file).await;
    assert_eq!(code, 0, "{report}");
    let expected = format!(
        "its account is requested at {}, set by the AWS profile `default`",
        sts_url.replace("http://", "")
    );
    assert!(report["warnings"].to_string().contains(&expected), "{report}");
    assert_eq!((profile.requests().1, sts.requests().len()), (0, 1));
    profile.assert_nothing_went_elsewhere().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_endpoint_of_a_service_overrides_the_one_of_all_services() {
    let profile = Profile::new().await;
    let url = profile.world.sandbox.aws.url();
    let file = format!(
        "[default]\nservices = local\nendpoint_url = https://192.0.2.1\n[services local]\n\
         secrets_manager =\n  endpoint_url = {url}\nsts =\n  endpoint_url = {url}\n"
    );
    let (code, report) = profile.check(&file).await;
    assert_eq!(code, 0, "{report}");
    assert_eq!(profile.requests().1, 1);
    profile.assert_nothing_went_elsewhere().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_of_the_profile_that_is_not_safe_gets_no_request() {
    let profile = Profile::new().await;
    let (code, report) = profile.check("[default]\nendpoint_url = http://10.0.0.1:4566\n").await;
    assert_eq!(code, 1, "{report}");
    let errors = report["errors"].to_string();
    assert!(errors.contains("the AWS profile `default`: `http://10.0.0.1:4566`"), "{report}");
    assert!(errors.contains("in the clear"), "{report}");
    profile.assert_nothing_went_elsewhere().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_or_certificate_setting_that_cannot_be_used_is_an_error_that_names_it() {
    let world = World::new().await;
    world.config("[sinks.prod]\nkind = \"aws-secrets-manager\"\nsecret_id = \"prod\"\nregion = \"eu-central-1\"\n");
    let not_a_certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    world.file("junk", "junk");
    world.file("pem", not_a_certificate);
    for (variable, value, problem) in [
        ("HTTPS_PROXY", "\"http://me:hunter2@p.example:3128\"", "it contains quotes"),
        ("ALL_PROXY", "socks5://me:hunter2@p.example", "only http and https proxies"),
        ("SSL_CERT_FILE", "missing", "no such file or directory"),
        ("AWS_CA_BUNDLE", "missing", "no such file or directory"),
        ("AWS_CA_BUNDLE", "junk", "contains no PEM certificate"),
        ("AWS_CA_BUNDLE", "pem", "a certificate that cannot be used"),
        ("AWS_CA_BUNDLE", ".", "not a regular file"),
    ] {
        let mut command = world.command(&["check", "--output", "json"]);
        command.env(variable, value);
        let output = world.finish(command, "").await;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{report}");
        let errors = report["errors"].to_string();
        assert!(errors.contains(&format!("{variable} cannot be used: ")), "{errors}");
        assert!(errors.contains(problem) && !errors.contains("hunter2"), "{errors}");
    }
}
