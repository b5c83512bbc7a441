//! What a person reads: tables, the sentences below them, and the verdict.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::support::terminal::{Terminal, without_colour};
use crate::support::world::World;

/// What the program prints on standard output and on standard error, without a log.
async fn printed(world: &World, arguments: &[&str]) -> (String, String) {
    let mut command = world.command(arguments);
    command.env_remove("RUST_LOG");
    let output = world.finish(command, "").await;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

/// The same on a terminal of this width.
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
async fn a_sink_that_is_not_ready_shows_what_it_holds_and_why_it_is_not() {
    let world = World::new().await;
    world.config("[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n");
    read_only(&world, ".env");
    let (table, told) = printed(&world, &["check"]).await;
    let row = table.lines().find(|line| line.contains("local")).unwrap();
    assert!(row.contains("current") && row.contains("read back and equal; not ready"), "{table}");
    assert!(told.contains("error: not ready: local (.env): "), "{told}");
    assert_eq!(format!("{table}{told}").matches("read-only").count(), 1, "{table}{told}");
    // `status` asks for what it holds alone: nothing below the table tells of the obstacle.
    let (table, told) = printed(&world, &["status"]).await;
    assert!(table.contains("read back and equal; not ready: "), "{table}");
    assert!(table.contains("read-only") && !told.contains("read-only"), "{table}{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_obstacle_of_many_places_is_told_once() {
    let world = World::new().await;
    world.config(
        "[sinks.local]\nkind = \"dotenv\"\npaths = [\"a\", \"b\", \"c\"]\n\
         [sinks.other]\nkind = \"dotenv\"\npath = \"d\"\n",
    );
    let (table, told) = printed(&world, &["check"]).await;
    let errors: Vec<&str> = told.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 2, "{told}");
    assert!(errors[0].starts_with("error: not ready: local: 3 places: "), "{told}");
    assert!(errors[1].starts_with("error: not ready: other (d): "), "{told}");
    assert_eq!(table.matches("could not be inspected; not ready").count(), 4, "{table}");
    assert!(!table.contains("a reset would leave"), "{table}");
    let (_, report) = world.run(&["check"]).await;
    assert_eq!(report["errors"].as_array().unwrap().len(), 4, "a script gets them all: {report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_table_is_shown_where_nobody_was_asked() {
    let world = World::new().await;
    let nobody = crate::support::servers::nobody().await;
    let config = world.read("tokensink.toml");
    let elsewhere = config.replace(&world.sandbox.upstash.qstash_url(), &nobody);
    world.file("tokensink.toml", &elsewhere.replace("settle", "timeout = \"1s\"\nsettle"));
    let (table, told) = printed(&world, &["check"]).await;
    assert!(told.contains("error: "), "{told}");
    assert!(!table.contains("SINK") && !table.contains("not asked"), "{table}");
    let (_, report) = world.run(&["check"]).await;
    assert_eq!(report["sinks"].as_array().unwrap().len(), 4, "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_whole_in_a_table_of_any_width() {
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
async fn a_command_that_changes_nothing_does_not_say_so_for_a_verdict() {
    let world = World::new().await;
    std::fs::remove_file(world.directory.path().join("token")).unwrap();
    std::fs::create_dir(world.directory.path().join("token")).unwrap();
    let (verdict, _) = printed(&world, &["status"]).await;
    assert!(verdict.contains("incomplete: a required sink could not be inspected"), "{verdict}");
    assert!(verdict.contains("next: fix what is named above"), "{verdict}");
    let config = world.read("tokensink.toml");
    let nobody = crate::support::servers::nobody().await;
    world.file("tokensink.toml", &config.replace(&world.sandbox.upstash.url(), &nobody));
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
async fn a_reset_without_a_question_says_before_what_it_does() {
    let world = World::new().await;
    let (_, told) = printed(&world, &["reset", "--yes"]).await;
    let place = |text: &str| told.find(text).unwrap_or_else(|| panic!("no {text} in {told}"));
    assert!(place("everybody may read it") < place("This resets QStash"), "{told}");
    assert!(told.contains("4 targets receive the new one within about "), "{told}");
    assert!(place("`read_only_token` changed with the reset") > place("This resets"), "{told}");
    assert!(told.contains("copy it from the Upstash console"), "{told}");
    assert_eq!(told.matches("everybody may read it").count(), 1, "{told}");
    let (code, report) = world.run(&["reset", "--yes"]).await;
    assert!(code == 0 && report["warnings"].to_string().contains("everybody"), "{report}");
    let mut command = world.command(&["reset", "--yes", "--output", "json"]);
    command.env_remove("RUST_LOG");
    assert!(world.finish(command, "").await.stderr.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_kind_needs_fits_the_terminal() {
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
