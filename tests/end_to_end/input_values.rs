//! Values of the environment, of files and of standard input: whitespace around them is removed, and an
//! invalid value is refused by the name of its variable or file.

use crate::support::world::{AWS_SECRET, World, words};

/// Characters that editors, shells and copying leave around a value.
const SURROUNDINGS: [(&str, &str); 5] =
    [("", "\n"), ("", "\r\n"), ("\u{feff}", ""), (" ", "\t"), ("", "\u{a0}")];

/// Runs `check` with `variable` set. Returns the exit code, and errors and next steps.
async fn check_with(world: &World, variable: &str, value: &str) -> (i32, String) {
    let mut command = world.command(&["check", "--output", "json"]);
    command.env(variable, value);
    let output = world.finish(command, "").await;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code().unwrap(), words(&report))
}

#[tokio::test(flavor = "multi_thread")]
async fn whitespace_around_a_variables_value_is_removed() {
    let world = World::new().await;
    let state = world.directory.path().join("state").display().to_string();
    let upstash = &world.sandbox.upstash;
    let (email, api_key, api_url) = (upstash.email(), upstash.api_key(), upstash.url());
    let key_id = world.sandbox.aws.access_key_id();
    for (variable, value) in [
        ("UPSTASH_EMAIL", email),
        ("UPSTASH_API_KEY", &api_key),
        ("GH_TOKEN", world.sandbox.github.token()),
        ("AWS_ACCESS_KEY_ID", key_id),
        ("AWS_SECRET_ACCESS_KEY", AWS_SECRET),
        ("AWS_SESSION_TOKEN", "session"),
        ("AWS_REGION", "eu-central-1"),
        ("TOKENSINK_STATE_DIR", &state),
        ("TOKENSINK_ALLOW_HOSTS", "127.0.0.1"),
        ("TOKENSINK_UPSTASH__API_URL", &api_url),
        ("TOKENSINK_UPSTASH__REGION", "eu-central-1"),
        ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ] {
        for (before, after) in SURROUNDINGS {
            let value = format!("{before}{value}{after}");
            let (code, words) = check_with(&world, variable, &value).await;
            assert_eq!(code, 0, "{variable}={value:?}: {words}");
        }
    }
    // The state directory is the one that was named, not one with a line end in its name.
    let names: Vec<_> = std::fs::read_dir(world.directory.path()).unwrap().flatten().collect();
    assert!(names.iter().all(|entry| !entry.file_name().to_string_lossy().contains('\n')));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_variable_is_refused_by_its_name() {
    let world = World::new().await;
    for (variable, values) in [
        ("UPSTASH_EMAIL", &["me\n@x", "\"me@x\"", "m e@x", "me\u{1b}@x"][..]),
        ("UPSTASH_API_KEY", &["SECRET\nx", "'SECRET'", "SEC RET", "SECRET\u{200b}x"]),
        ("GH_TOKEN", &["SECRET\nx", "\"SECRET\"", "SEC RET"]),
        ("AWS_ACCESS_KEY_ID", &["AK\nx", "\"AK\"", "A K"]),
        ("AWS_SECRET_ACCESS_KEY", &["SECRET\nx", "\"SECRET\"", "SEC RET"]),
        ("AWS_SESSION_TOKEN", &["SECRET\rx", "'SECRET'", "SEC RET"]),
        ("TOKENSINK_STATE_DIR", &["~/st", "$HOME/st", "a\nb", "st*"]),
        ("TOKENSINK_ALLOW_HOSTS", &["http://127.0.0.1", "*.x", "h:99999", "127.1", "ü.example"]),
        ("TOKENSINK_HOST_TOKENS", &["127.0.0.1", "h=", "=V", "h=A B"]),
        ("TOKENSINK_UPSTASH__API_URL", &["127.0.0.1", "http://x.example", "\"https://x\""]),
        ("TOKENSINK_UPSTASH__REGION", &["eu central", "\"eu\"", "eu/1"]),
    ] {
        for value in values {
            let (code, words) = check_with(&world, variable, value).await;
            assert!(code == 1 || code == 2, "{variable}={value:?}: {code} {words}");
            assert!(words.contains(variable), "{variable}={value:?}: {words}");
            assert!(!words.contains("SECRET\n") && !words.contains("'SECRET'"), "{words}");
        }
    }
    assert!(!world.directory.path().join("~").exists());
}

/// Network settings are used only for requests that leave this machine.
#[tokio::test(flavor = "multi_thread")]
async fn a_network_setting_that_cannot_be_used_is_an_error() {
    let world = World::new().await;
    world.file("junk.pem", "junk");
    world.file("tokensink.toml", "[sinks.own]\nkind = \"file\"\npath = \"token\"\n");
    for (variable, value) in [
        ("HTTPS_PROXY", "http://me:p#ss@127.0.0.1:9"),
        ("HTTPS_PROXY", "\"http://127.0.0.1:9\""),
        ("https_proxy", "ftp://127.0.0.1:9"),
        ("ALL_PROXY", "http://"),
        ("SSL_CERT_FILE", "/no/such.pem"),
        ("SSL_CERT_FILE", "junk.pem"),
        ("SSL_CERT_FILE", "."),
    ] {
        let (code, words) = check_with(&world, variable, value).await;
        assert_eq!(code, 1, "{variable}={value:?}: {words}");
        assert!(words.contains(variable), "{variable}={value:?}: {words}");
        assert!(!words.contains("p#ss"), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whitespace_around_a_value_in_a_file_or_on_standard_input_is_removed() {
    let world = World::new().await;
    world.config(crate::support::world::DOTENV);
    let config = world.read("tokensink.toml");
    let (email, key) = (world.sandbox.upstash.email(), world.sandbox.upstash.api_key());
    for (before, after) in SURROUNDINGS {
        let about = format!("{before:?} {after:?}");
        world.file("key", &format!("{before}{key}{after}"));
        let arguments = ["check", "--upstash-email", email, "--upstash-api-key-file", "key"];
        let (code, report) = world.run(&arguments).await;
        assert_eq!(code, 0, "{about}: {report}");
        let command = world.command(&["sync", "--token-stdin", "--yes", "--output", "json"]);
        let output = world.finish(command, format!("{before}{}{after}", world.live())).await;
        assert_eq!(output.status.code(), Some(0), "{about}: {output:?}");
        if !after.contains('\u{a0}') {
            world.file(
                "tokensink.toml",
                &format!("{before}{}{after}", config.replace('\n', "\r\n")),
            );
            let (code, report) = world.run(&["check"]).await;
            assert_eq!(code, 0, "{about}: {report}");
        }
    }
    for text in ["two\nlines", "\"quoted\"", "a b"] {
        world.file("key", text);
        let arguments = ["check", "--upstash-email", email, "--upstash-api-key-file", "key"];
        let (code, report) = world.run(&arguments).await;
        assert!(code == 2 && words(&report).contains("key"), "{text:?}: {report}");
    }
}
