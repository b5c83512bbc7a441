//! Invalid files, flags and names: each error contains or is followed by help.

use std::fs;

use serde_json::Value;

use crate::support::world::{DOTENV, World, words};

fn next(report: &Value) -> Vec<&str> {
    report["next"].as_array().unwrap().iter().map(|step| step.as_str().unwrap()).collect()
}

fn errors(report: &Value) -> Vec<&str> {
    report["errors"].as_array().unwrap().iter().map(|error| error.as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn init_prints_a_next_step_for_success_and_for_each_error() {
    let world = World::new().await;
    let (code, report) = world.run(&["init", "--config", "other.toml"]).await;
    assert_eq!(code, 0, "{report}");
    assert!(next(&report)[0].ends_with("`tokensink check --config other.toml`"), "{report}");
    let (code, report) = world.run(&["init"]).await;
    assert!(code == 1 && next(&report)[0].contains("with `tokensink check`"), "{report}");
    fs::create_dir(world.directory.path().join("directory")).unwrap();
    for (file, why, step) in [
        ("directory", "cannot write directory: it is a directory", "name a file"),
        ("none/tokensink.toml", "its directory does not exist", "create the directory"),
        (".env/tokensink.toml", "cannot write .env/tokensink.toml: ", "that can be written"),
    ] {
        let (code, report) = world.run(&["init", "--config", file]).await;
        assert_eq!(code, 1, "{report}");
        assert!(errors(&report)[0].contains(why) && next(&report)[0].contains(step), "{report}");
    }
}

/// Shells cannot export a variable with a hyphen in its name.
#[tokio::test(flavor = "multi_thread")]
async fn variables_can_set_options_of_the_sinks_that_init_writes() {
    let world = World::new().await;
    world.run(&["init", "--config", "new.toml"]).await;
    let text = world.read("new.toml");
    let names = text.lines().filter_map(|line| line.split_once("[sinks.")?.1.strip_suffix(']'));
    let names: Vec<&str> = names.collect();
    assert!(names.len() >= 4 && names.contains(&"local") && names.contains(&"ci"), "{text}");
    assert!(names.iter().all(|name| !name.contains('-')), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_with_help_have_no_other_next_step() {
    let world = World::new().await;
    world.file("empty.toml", "");
    for arguments in [
        &["--only", "nothing"][..],
        &["--only", ""],
        &["--only", "own", "--skip", "own"],
        &["--config", "/no"],
        &["--config", "empty.toml"],
    ] {
        let (code, report) = world.run(&[&["check"], arguments].concat()).await;
        assert_eq!(code, 2, "{report}");
        assert!(next(&report).is_empty(), "{arguments:?}: {report}");
        assert!(errors(&report)[0].ends_with(')'), "the error contains its help: {report}");
    }
    let (_, report) = world.run(&["check", "--only", ""]).await;
    assert!(
        errors(&report)[0].starts_with("--only has an empty name (the sinks are: "),
        "{report}"
    );
    world.config("[sinks.local]\nkind = \"dotenv\"\n");
    let (_, report) = world.run(&["check"]).await;
    assert!(next(&report)[0].contains("`tokensink sinks KIND`"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_state_variable_counts_as_unset() {
    let world = World::new().await;
    for (directory, where_it_is) in [("", "home/.local/state/tokensink"), ("mine", "mine")] {
        let mut command = world.command(&["sync", "--yes"]);
        command.env("TOKENSINK_STATE_DIR", directory);
        let output = world.finish(command, "").await;
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(world.directory.path().join(where_it_is).join("runs").is_dir(), "{directory:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_that_cannot_be_created_has_a_next_step() {
    let world = World::new().await;
    for command in [&["reset", "--yes"][..], &["history"]] {
        let arguments = [command, &["--state-dir", "/proc/x"]].concat();
        let (code, report) = world.run(&arguments).await;
        assert!(code == 1 && next(&report)[0].contains("--state-dir"), "{report}");
    }
    assert_eq!(world.posts(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_reported_once_and_in_the_order_of_the_file() {
    let world = World::new().await;
    world.config("[sinks.z]\nkind = \"no\"\n[sinks.a]\nkind = \"no\"\n[unknown]\n");
    let (_, report) = world.run(&["check"]).await;
    let line = |error: &str| error.split(':').nth(1).unwrap().parse::<usize>().unwrap();
    let lines: Vec<usize> = errors(&report).into_iter().map(line).collect();
    assert!(lines.len() == 3 && lines.is_sorted(), "{report}");
    world.file("tokensink.toml", "sinks = 5\n");
    let (_, report) = world.run(&["check"]).await;
    assert_eq!(errors(&report), ["tokensink.toml:1: [sinks]: expected a table"], "{report}");
    world.config(&format!("{DOTENV}path = \"x\"\n"));
    let (_, report) = world.run(&["check"]).await;
    assert!(errors(&report)[0].contains("remove one of the two"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_name_that_variables_cannot_contain_is_refused() {
    let world = World::new().await;
    world.config(&DOTENV.replace("local", "a__b"));
    let (code, report) = world.run(&["check"]).await;
    assert!(code == 2 && words(&report).contains("cannot contain a double underscore"), "{report}");
    world.config(&DOTENV.replace("local", "a-b"));
    assert_eq!(world.run(&["check"]).await.0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_names_one_place_twice_is_refused() {
    let world = World::new().await;
    world.config("[sinks.local]\nkind = \"dotenv\"\npaths = [\".env\", \"./.env\"]\n");
    let (code, report) = world.run(&["check"]).await;
    assert!(code == 2 && words(&report).contains("twice (name it once)"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_users_file_does_not_name_the_projects_file() {
    let world = World::new().await;
    world.file("tokensink.toml", DOTENV);
    let directory = world.directory.path().join("home/.config/tokensink");
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("config.toml"), "\n[sinks.u]\nkind = \"dotenv\"\n").unwrap();
    let (code, report) = world.run(&["check"]).await;
    assert_eq!(code, 2, "{report}");
    assert!(words(&report).contains("config.toml:2: [sinks.u]"), "{report}");
    assert!(!words(&report).contains("tokensink.toml:1: [sinks.u]"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fake_servers_without_a_directory_have_a_next_step() {
    let world = World::new().await;
    for name in ["demo", "sandbox"] {
        let mut command = world.command(&[name, "--output", "json"]);
        command.env("TMPDIR", world.directory.path().join("none"));
        let output = world.finish(command, "").await;
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((output.status.code(), report["command"].as_str()), (Some(1), Some(name)));
        assert!(errors(&report)[0].contains("cannot start the fake servers"), "{report}");
        assert!(next(&report)[0].contains("TMPDIR"), "{report}");
    }
}
