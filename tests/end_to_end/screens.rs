//! Text output: tables, the sentences below them, and the verdict.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::support::terminal::{Terminal, without_colour};
use crate::support::world::World;

/// Returns what the program prints on standard output and on standard error, without logs.
async fn printed(world: &World, arguments: &[&str]) -> (String, String) {
    let mut command = world.command(arguments);
    command.env_remove("RUST_LOG");
    let output = world.finish(command, "").await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// Returns what the program prints on a terminal of this width.
async fn shown(world: &World, arguments: &[&str], columns: u16) -> String {
    without_colour(&shown_in_colour(world, arguments, columns).await)
}

async fn shown_in_colour(world: &World, arguments: &[&str], columns: u16) -> String {
    let terminal = Terminal::of_width(columns);
    let mut command = world.command(arguments);
    command.env_remove("RUST_LOG").env("TERM", "xterm-256color").stdin(Stdio::null());
    command.stdout(terminal.stream()).stderr(terminal.stream());
    let mut child = command.spawn().unwrap();
    drop(command);
    child.wait().await.unwrap();
    terminal.close()
}

fn read_only(world: &World, file: &str) {
    set_permissions(world.directory.path().join(file), Permissions::from_mode(0o444)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_not_ready_shows_its_state_and_the_reason() {
    let world = World::new().await;
    world.config("[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n");
    read_only(&world, ".env");
    let (table, messages) = printed(&world, &["check"]).await;
    let row = table.lines().find(|line| line.contains("local")).unwrap();
    assert!(row.contains("current") && row.contains("read back and equal; not ready"), "{table}");
    assert!(messages.contains("error: not ready: local (.env): "), "{messages}");
    assert_eq!(format!("{table}{messages}").matches("read-only").count(), 1, "{table}{messages}");
    // `status` does not check readiness, so no error below the table contains the reason.
    let (table, messages) = printed(&world, &["status"]).await;
    assert!(table.contains("read back and equal; not ready: "), "{table}");
    assert!(table.contains("read-only") && !messages.contains("read-only"), "{table}{messages}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_several_places_of_one_sink_is_printed_once() {
    let world = World::new().await;
    world.config(
        "[sinks.local]\nkind = \"dotenv\"\npaths = [\"a\", \"b\", \"c\"]\n\
         [sinks.other]\nkind = \"dotenv\"\npath = \"d\"\n",
    );
    let (table, messages) = printed(&world, &["check"]).await;
    let errors: Vec<&str> = messages.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 2, "{messages}");
    assert!(errors[0].starts_with("error: not ready: local: 3 places: "), "{messages}");
    assert!(errors[1].starts_with("error: not ready: other (d): "), "{messages}");
    assert_eq!(table.matches("could not be inspected; not ready").count(), 4, "{table}");
    assert!(!table.contains("a reset would leave"), "{table}");
    let (_, report) = world.run(&["check"]).await;
    assert_eq!(report["errors"].as_array().unwrap().len(), 4, "a script gets them all: {report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_table_is_printed_if_no_sink_was_inspected() {
    let world = World::new().await;
    let unreachable = crate::support::servers::unreachable().await;
    let config = world.read("tokensink.toml");
    let elsewhere = config.replace(&world.sandbox.upstash.qstash_url(), &unreachable);
    world.file("tokensink.toml", &elsewhere.replace("settle", "timeout = \"1s\"\nsettle"));
    let (table, messages) = printed(&world, &["check"]).await;
    assert!(messages.contains("error: "), "{messages}");
    assert!(!table.contains("SINK") && !table.contains("not asked"), "{table}");
    let (_, report) = world.run(&["check"]).await;
    assert_eq!(report["sinks"].as_array().unwrap().len(), 4, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_not_broken_in_a_table_of_any_width() {
    let world = World::new().await;
    world.sandbox.aws.put_externally("prod/worker/qstash-token", &world.live());
    let worker = format!(
        "[sinks.worker]\nkind = \"aws-secrets-manager\"\nsecret_id = \"prod/worker/qstash-token\"\n\
         region = \"eu-central-1\"\nendpoint_url = \"{}\"\n",
        world.sandbox.aws.url()
    );
    world.config(&format!("{}{worker}", world.sinks()));
    world.run(&["reset", "--yes"]).await;
    let (_, history) = world.run(&["history"]).await;
    let run = history["runs"][0]["id"].as_str().unwrap().to_owned();
    for columns in [60, 80, 100, 140] {
        for command in [&["check"][..], &["status"], &["reset", "--yes"]] {
            let table = shown(&world, command, columns).await;
            for word in ["prod/worker/qstash-token", "QSTASH_TOKEN", "(eu-central-1)", "worker"] {
                assert!(table.contains(word), "{columns} {word}:\n{table}");
            }
            let is_wide = |line: &str| line.trim_end().chars().count() > usize::from(columns);
            let rows = table.lines().filter(|line| !line.contains('\r') || line.ends_with('\r'));
            assert!(!rows.into_iter().any(is_wide), "{columns}:\n{table}");
        }
        let check = shown(&world, &["check"], columns).await;
        for known in ["read back and equal", "on restart"] {
            assert!(check.contains(known), "{columns} {known}:\n{check}");
        }
        let table = shown(&world, &["history"], columns).await;
        assert!(columns < 80 || table.contains(&run), "{columns}:\n{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verdict_of_a_command_that_never_changes_anything_is_not_unchanged() {
    let world = World::new().await;
    std::fs::remove_file(world.directory.path().join("token")).unwrap();
    std::fs::create_dir(world.directory.path().join("token")).unwrap();
    let (verdict, _) = printed(&world, &["status"]).await;
    assert!(verdict.contains("incomplete: a required sink could not be inspected"), "{verdict}");
    assert!(verdict.contains("next: fix what is named above"), "{verdict}");
    let config = world.read("tokensink.toml");
    let unreachable = crate::support::servers::unreachable().await;
    world.file("tokensink.toml", &config.replace(&world.sandbox.upstash.url(), &unreachable));
    for (arguments, expected) in [
        (&["status"][..], "not inspected: "),
        (&["check"], "not checked: "),
        (&["history", "--state-dir", "tokensink.toml"], "not read: "),
    ] {
        let (verdict, _) = printed(&world, arguments).await;
        assert!(verdict.contains(expected), "{verdict}");
        assert!(!verdict.contains("nothing was done"), "{verdict}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_without_a_question_prints_warnings_and_plan_first() {
    let world = World::new().await;
    let (_, messages) = printed(&world, &["reset", "--yes"]).await;
    let place =
        |text: &str| messages.find(text).unwrap_or_else(|| panic!("no {text} in {messages}"));
    assert!(place("everybody may read it") < place("This resets QStash"), "{messages}");
    assert!(messages.contains("4 targets receive the new one within about "), "{messages}");
    assert!(place("`read_only_token` changed with the reset") > place("This resets"), "{messages}");
    assert!(messages.contains("copy it from the Upstash console"), "{messages}");
    assert_eq!(messages.matches("everybody may read it").count(), 1, "{messages}");
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert!(code == 0 && report["warnings"].to_string().contains("everybody"), "{report}");
    let mut command = world.command(&["reset", "--yes", "--output", "json"]);
    command.env_remove("RUST_LOG");
    assert!(world.finish(command, "").await.stderr.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_help_of_a_kind_fits_the_terminal() {
    let world = World::new().await;
    for kind in ["github-actions", "dotenv", "aws-secrets-manager"] {
        let text = shown(&world, &["sinks", kind], 80).await;
        let broken = text.lines().find(|line| line.trim_end().chars().count() > 80);
        assert_eq!(broken, None, "{text}");
        assert!(text.contains("on-next-run"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn states_have_colours_that_are_readable_on_a_light_background() {
    let world = World::new().await;
    read_only(&world, ".env");
    let check = shown_in_colour(&world, &["check"], 140).await;
    // The dark colours of the palette, 1 (red), 2 (green) and 5 (magenta): 9 to 15 are bright, 3 is yellow.
    let row = check.lines().find(|line| line.contains("equal; not ready")).unwrap();
    assert!(row.contains("\u{1b}[38;5;1m read back and equal; not ready"), "{row:?}");
    assert!(row.contains("\u{1b}[38;5;2m current"), "{row:?}");
    let row = check.lines().find(|line| line.contains(" unknown ")).unwrap();
    assert!(row.contains("\u{1b}[38;5;5m unknown"), "{row:?}");
    assert!(check.contains("\u{1b}[1m\u{1b}[31mnot ready: a reset could not finish"), "{check:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn history_shows_when_each_run_started_at_any_width() {
    let world = World::new().await;
    world.run(&["reset", "--yes"]).await;
    for columns in [80, 100, 160] {
        let table = shown(&world, &["history"], columns).await;
        assert!(table.contains("STARTED") && table.contains(" UTC"), "{columns}:\n{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fingerprint_is_not_called_a_token() {
    let world = World::new().await;
    for arguments in [&["check"][..], &["reset", "--yes"]] {
        let (verdict, _) = printed(&world, arguments).await;
        assert!(verdict.contains("  token fingerprint: ") && !verdict.contains("  token: "));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slowest_part_is_named_only_if_it_is_slow() {
    let world = World::new().await;
    let (table, _) = printed(&world, &["check"]).await;
    assert!(table.contains("ready: a reset could finish"), "{table}");
    assert!(!table.contains("Slowest part"), "{table}");
}
