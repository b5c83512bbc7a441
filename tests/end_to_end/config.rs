//! The config: its layers and its errors.

use std::fs;

use crate::support::world::{DOTENV, World, assert_clear, words};

#[tokio::test(flavor = "multi_thread")]
async fn all_errors_of_a_config_are_reported_together() {
    let world = World::new().await;
    world.config(
        "tiemout = 3\n[sinks.a]\nkind = \"dotenw\"\n[sinks.b]\nkind = \"dotenv\"\npth = \"x\"\n\
         [sinks.c]\nkind = \"github-actions\"\nrepositories = 3\n[sinks.d]\nkind = \"file\"\n\
         [sinks.e]\nkind = \"dotenv\"\npath = \".env\"\n[sinks.f]\nkind = \"dotenv\"\npath = \"./.env\"\n",
    );
    let (code, report) = world.run(&["check"]).await;
    assert_eq!((code, report["outcome"].as_str()), (2, Some("invalid")), "{report}");
    assert_clear(&report);
    let words = words(&report);
    for expected in [
        "did you mean `timeout`?",
        "did you mean `dotenv`? the kinds are: aws-secrets-manager, dotenv,",
        "did you mean `path`?",
        "[sinks.c]",
        "missing option `path`",
        "the same place as [sinks.e]",
        "tokensink.toml:",
    ] {
        assert!(words.contains(expected), "{words} should say {expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_file_alone_sends_no_credential_elsewhere() {
    let world = World::new().await;
    world.file(
        "tokensink.toml",
        &format!("[upstash]\napi_url = \"https://evil.example\"\n{}", world.sinks()),
    );
    let (code, report) = world.run(&["check"]).await;
    assert!(code == 2 && words(&report).contains("TOKENSINK_UPSTASH__API_URL"), "{report}");
    let mut command = world.command(&["check", "--output", "json"]);
    command
        .env("TOKENSINK_UPSTASH__API_URL", world.sandbox.upstash.url())
        .env("TOKENSINK_UPSTASH__QSTASH_URL", world.sandbox.upstash.qstash_url());
    let output = world.finish(command, "").await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_invalid_file_has_an_error_of_its_own() {
    let world = World::new().await;
    for (bytes, expected) in [
        (&b""[..], "the file is empty"),
        (b"[upstash]\n", "there are no sinks"),
        (b"[sinks", "`tokensink init"),
        (b"\xff\xfe", "is not UTF-8"),
        (&[b'#'; 2 << 20], "larger than 1 MB"),
        (
            b"[sinks.a]\nkind = \"file\"\npath = \"ghp_16C7e42F292c6912E7710c838347Ae178B4a\"\n",
            "looks like a secret",
        ),
    ] {
        fs::write(world.directory.path().join("tokensink.toml"), bytes).unwrap();
        let (code, report) = world.run(&["check"]).await;
        assert!(code == 2 && words(&report).contains(expected), "{report} should say {expected}");
        assert!(!report.to_string().contains("ghp_16"), "{report}");
        assert_clear(&report);
    }
    fs::remove_file(world.directory.path().join("tokensink.toml")).unwrap();
    let (code, report) = world.run(&["check"]).await;
    assert!(code == 2 && words(&report).contains("tokensink init"), "{report}");
    let output = world.finish(world.command(&["init"]), "").await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let written = world.read("tokensink.toml");
    let output = world.finish(world.command(&["init"]), "").await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(world.read("tokensink.toml"), written);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_wins_over_the_project_and_the_project_over_the_user() {
    let world = World::new().await;
    let other = world.sandbox.upstash.add_user("us-east-1");
    let first = world.sandbox.upstash.token(&world.qstash).unwrap();
    let user = world.directory.path().join("home/.config/tokensink");
    fs::create_dir_all(&user).unwrap();
    fs::write(user.join("config.toml"), "[upstash]\nregion = \"us-east-1\"\n").unwrap();
    let chosen = |report: &serde_json::Value| report["token"]["before"].clone();
    let fingerprint = |token: &str| serde_json::json!(tokensink_core::Fingerprint::of(token));

    let (code, report) = world.run(&["check"]).await;
    let second = world.sandbox.upstash.token(&other).unwrap();
    assert_eq!((code, chosen(&report)), (5, fingerprint(&second)), "{report}");
    let project = world.read("tokensink.toml");
    world.file(
        "tokensink.toml",
        &project.replace("[upstash]", "[upstash]\nregion = \"eu-central-1\""),
    );
    let (_, report) = world.run(&["check"]).await;
    assert_eq!(chosen(&report), fingerprint(&first), "{report}");
    let mut command = world.command(&["check", "--output", "json"]);
    command.env("TOKENSINK_UPSTASH__REGION", "us-east-1");
    let output = world.finish(command, "").await;
    let report = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(chosen(&report), fingerprint(&second), "{report}");
    fs::write(user.join("config.toml"), "[sinks.a]\nkind = \"dotenv\"\npath = \"x\"\n").unwrap();
    let (code, report) = world.run(&["check"]).await;
    assert!(code == 2 && words(&report).contains("config.toml"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_invalid_option_of_upstash_is_reported_with_its_line() {
    let world = World::new().await;
    world.file(
        "tokensink.toml",
        &format!(
            "[upstash]\napi_url = \"http://api.example.com\"\nqstash_url = 7\nregion = \"eu/../x\"\n\
             timeout = \"soon\"\nsettle = -1\nregoin = \"x\"\n{}",
            world.sinks()
        ),
    );
    let (code, report) = world.run(&["check"]).await;
    assert_eq!(code, 2, "{report}");
    let words = words(&report);
    for expected in [
        "tokensink.toml:2: [upstash.api_url]",
        "tokensink.toml:3: [upstash.qstash_url]",
        "tokensink.toml:4: [upstash.region]",
        "tokensink.toml:5: [upstash.timeout]",
        "tokensink.toml:6: [upstash.settle]",
        "did you mean `region`?",
    ] {
        assert!(words.contains(expected), "{words} should say {expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tables_for_one_place_are_refused_for_each_kind() {
    let world = World::new().await;
    let (github, aws) = (world.sandbox.github.url(), world.sandbox.aws.url());
    for (one, other) in [
        (
            "kind = \"dotenv\"\npath = \".env\"".to_owned(),
            "kind = \"dotenv\"\npaths = [\"x\", \"../x/../x/.env\", \"./.env\"]".to_owned(),
        ),
        (
            format!(
                "kind = \"github-actions\"\nrepositories = [\"acme/api\"]\napi_url = \"{github}\""
            ),
            format!(
                "kind = \"github-actions\"\nrepositories = [\"Acme/API\"]\nsecret = \"qstash_token\"\napi_url = \"{github}\""
            ),
        ),
        (
            format!(
                "kind = \"aws-secrets-manager\"\nsecret_id = \"prod\"\nregion = \"eu-central-1\"\nendpoint_url = \"{aws}\""
            ),
            format!(
                "kind = \"aws-secrets-manager\"\nsecret_id = \"prod\"\njson_key = \"T\"\nregion = \"eu-central-1\"\nendpoint_url = \"{aws}\""
            ),
        ),
    ] {
        world.config(&format!("[sinks.one]\n{one}\n[sinks.other]\n{other}\n"));
        let (code, report) = world.run(&["check"]).await;
        assert!(code == 2 && words(&report).contains("the same place as [sinks.one]"), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_is_a_directory_or_too_large_is_named() {
    let world = World::new().await;
    let file = world.directory.path().join("tokensink.toml");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let (code, report) = world.run(&["check"]).await;
    assert!(code == 2 && words(&report).contains("tokensink.toml: is a directory"), "{report}");
    assert_clear(&report);
    fs::remove_dir(&file).unwrap();
    fs::write(&file, vec![b'#'; 10 << 20]).unwrap();
    let (code, report) = world.run(&["check"]).await;
    assert!(code == 2 && words(&report).contains("larger than 1 MB"), "{report}");
}

/// As with `--config <(…)` and with a redirection in a shell.
#[tokio::test(flavor = "multi_thread")]
async fn a_config_may_come_from_a_pipe_or_standard_input() {
    let world = World::new().await;
    world.config(DOTENV);
    let config = world.read("tokensink.toml");
    fs::rename(world.directory.path().join("tokensink.toml"), world.directory.path().join("c"))
        .unwrap();
    // Relative paths start from the current directory then.
    let piped = world
        .command_after("exec 7< <(cat c)", &["check", "--config", "/dev/fd/7", "--output", "json"]);
    let output = world.finish(piped, "").await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let command = world.command(&["check", "--config", "-", "--output", "json"]);
    let output = world.finish(command, &config).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let command = world.command(&["check", "--config", "-", "--output", "json"]);
    let output = world.finish(command, "[sinks.local]\nkind = \"dotenv\"\n").await;
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("standard input:1: [sinks.local"), "{printed}");
    assert_eq!(output.status.code(), Some(2), "{printed}");
    let both = ["sync", "--token-stdin", "--config", "-", "--output", "json"];
    let output = world.finish(world.command(&both), "").await;
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("both read standard input"), "{printed}");
    assert_eq!(output.status.code(), Some(2), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn init_writes_a_valid_config() {
    let world = World::new().await;
    fs::remove_file(world.directory.path().join("tokensink.toml")).unwrap();
    let output = world.finish(world.command(&["init"]), "").await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut command = world.command(&["check", "--output", "json"]);
    command
        .env("TOKENSINK_UPSTASH__API_URL", world.sandbox.upstash.url())
        .env("TOKENSINK_UPSTASH__QSTASH_URL", world.sandbox.upstash.qstash_url());
    let output = world.finish(command, "").await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_in_a_config_is_located_and_never_repeated() {
    const SECRET: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    let world = World::new().await;
    for table in [
        "kind = \"dotenv\"\npath = \".env\"\nkey = \"SECRET\"",
        "kind = \"SECRET\"",
        "kind = \"github-actions\"\nrepositories = \"SECRET\"",
        "kind = \"github-actions\"\nrepositories = [\"SECRET\"]",
        "kind = \"dotenv\"\npath = \".env\"\nSECRET = 1",
        "kind = \"dotenv\"\npath = \".env\"\ntimeout = \"SECRET\"",
        "kind = \"github-actions\"\nrepositories = [\"a/b\"]\napp = \"SECRET\"",
        "kind = \"github-actions\"\nrepositories = [\"a/b\"]\napi_url = \"SECRET\"",
        "kind = \"dotenv\"\npath = \".env\"\n[SECRET]\na = 1",
        "kind = \"dotenv\"\npath = \".env\"\n[upstash]\nregion = \"SECRET\"",
        "kind = \"dotenv\"\npath = \".env\"\n[upstash]\ntimeout = \"SECRET\"",
    ] {
        world.file("tokensink.toml", &format!("[sinks.a]\n{}\n", table.replace("SECRET", SECRET)));
        let (code, report) = world.run(&["check"]).await;
        assert!(code == 2 && words(&report).contains("looks like a secret"), "{table}: {report}");
        assert!(!report.to_string().contains("ghp_16"), "{table}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_of_the_wrong_type_is_reported_without_parser_terms() {
    let world = World::new().await;
    for (table, expected) in [
        ("kind = \"dotenv\"\npath = [\".env\"]", "option `path`: expected a string, found a list"),
        ("kind = \"dotenv\"\npath = 3", "option `path`: expected a string, found a whole number"),
        (
            "kind = \"dotenv\"\npath = \".env\"\ncreate = \"yes\"",
            "option `create`: expected true or false, found a string",
        ),
        (
            "kind = \"github-actions\"\nrepositories = [\"a/b\", 1]",
            "option `repositories[1]`: expected a string, found a whole number",
        ),
    ] {
        world.config(&format!("[sinks.a]\n{table}\n"));
        let (code, report) = world.run(&["check"]).await;
        assert!(code == 2 && words(&report).contains(expected), "{report} should say {expected}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_config_names_the_one_in_a_parent_directory() {
    let world = World::new().await;
    let nested = world.directory.path().join("src/deep");
    fs::create_dir_all(&nested).unwrap();
    let mut command = world.command(&["check", "--output", "json"]);
    command.current_dir(&nested);
    let output = world.finish(command, "").await;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let config = world.directory.path().canonicalize().unwrap().join("tokensink.toml");
    let expected = format!(
        "tokensink.toml: no such file (use the one in a parent directory with --config {})",
        config.display()
    );
    assert_eq!((output.status.code(), report["errors"][0].as_str()), (Some(2), Some(&*expected)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_alone_can_configure_a_run() {
    let world = World::new().await;
    fs::remove_file(world.directory.path().join("tokensink.toml")).unwrap();
    let with_variables = |arguments: &[&str]| {
        let mut command = world.command(&[arguments, &["--output", "json"]].concat());
        command.envs([
            ("TOKENSINK_UPSTASH__API_URL", world.sandbox.upstash.url().as_str()),
            ("TOKENSINK_UPSTASH__QSTASH_URL", world.sandbox.upstash.qstash_url().as_str()),
            ("TOKENSINK_SINKS__LOCAL__KIND", "dotenv"),
            ("TOKENSINK_SINKS__LOCAL__PATH", ".env"),
        ]);
        command
    };
    let output = world.finish(with_variables(&["reset", "--yes"]), "").await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(world.read(".env").contains(&world.live()));
    // Variables that only override a file's values do not replace it.
    let mut command = world.command(&["check", "--output", "json"]);
    command.env("TOKENSINK_SINKS__LOCAL__PATH", ".env");
    let output = world.finish(command, "").await;
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("tokensink.toml: no such file"), "{printed}");
    let output = world.finish(with_variables(&["check", "--config", "other.toml"]), "").await;
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("other.toml: no such file"), "{printed}");
}
