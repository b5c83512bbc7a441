//! Output for users and scripts: colour, width, one JSON document, closed pipes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Stdio;

use serde_json::Value;
use tokensink_sandbox::ResetFault;
use tokio::process::Command;

use crate::support::terminal::Terminal;
use crate::support::world::World;

/// Returns what `command` prints on a terminal of this width.
async fn on_a_terminal(mut command: Command, columns: u16) -> String {
    let terminal = Terminal::of_width(columns);
    command.env("TERM", "xterm-256color");
    command.stdout(terminal.stream()).stderr(Stdio::null()).stdin(Stdio::null());
    let mut child = command.spawn().unwrap();
    drop(command);
    assert!(child.wait().await.unwrap().success());
    terminal.close()
}

#[tokio::test(flavor = "multi_thread")]
async fn colour_is_printed_on_terminals_and_not_with_no_color() {
    let world = World::new().await;
    let shown = on_a_terminal(world.command(&["check"]), 120).await;
    assert!(shown.contains("\u{1b}[") && shown.contains("current"), "{shown:?}");
    let mut command = world.command(&["check"]);
    command.env("NO_COLOR", "1");
    let shown = on_a_terminal(command, 120).await;
    assert!(!shown.contains('\u{1b}') && shown.contains("current"), "{shown:?}");
    let output = world.finish(world.command(&["reset", "--yes"]), "").await;
    let all = [output.stdout, output.stderr].concat();
    assert!(!all.contains(&0x1b), "{}", String::from_utf8_lossy(&all));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_terminal_gets_narrow_lines() {
    let world = World::new().await;
    for columns in [60, 80, 140] {
        let mut command = world.command(&["reset", "--yes"]);
        command.env("NO_COLOR", "1");
        let shown = on_a_terminal(command, columns).await;
        let table: Vec<&str> =
            shown.lines().take_while(|line| !line.starts_with("complete")).collect();
        let widest = table.iter().map(|line| line.trim_end().chars().count()).max();
        assert!(widest.unwrap() <= usize::from(columns), "{columns}:\n{shown}");
        for word in ["SINK", "local", "current", "complete"] {
            assert!(shown.contains(word), "{columns}:\n{shown}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_standard_output_or_error_does_not_stop_a_run() {
    let world = World::new().await;
    for arguments in [&["reset", "--yes"][..], &["reset", "--yes", "--output", "json"]] {
        let before = world.live();
        let mut command = world.command(arguments);
        let (gone, out) = std::io::pipe().unwrap();
        let (gone_too, err) = std::io::pipe().unwrap();
        drop((gone, gone_too));
        command.stdout(out).stderr(err);
        let status = command.status().await.unwrap();
        assert_eq!(status.code(), Some(0));
        assert_ne!(world.live(), before);
        world.assert_everywhere(&world.live());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn json_is_one_document_and_nothing_else() {
    let world = World::new().await;
    world.file("empty.toml", "");
    for (arguments, code) in [
        (&["check"][..], 0),
        (&["status"], 0),
        (&["sync"], 0),
        (&["sinks"], 0),
        (&["sinks", "dotenv"], 0),
        (&["sinks", "dotenw"], 2),
        (&["init", "--config", "new.toml"], 0),
        (&["init", "--config", "new.toml"], 1),
        (&["reset"], 1),
        (&["check", "--config", "none.toml"], 2),
        (&["check", "--config", "empty.toml"], 2),
        (&["check", "--only", "unknown"], 2),
        (&["frobnicate"], 2),
        (&["check", "--nope"], 2),
        (&["demo"], 0),
    ] {
        let (seen, document) = world.run(arguments).await;
        assert_eq!(seen, code, "{arguments:?}: {document}");
        assert!(document.is_object(), "{arguments:?}: {document}");
        if document["schema"] == "tokensink.report/1" {
            assert_eq!(document["exit_code"], code, "{arguments:?}: {document}");
            let fields = ["command", "outcome", "run_id", "token", "outage_ms", "sinks"];
            for field in fields.into_iter().chain(["warnings", "next"]) {
                assert!(document.get(field).is_some(), "{arguments:?} lacks {field}: {document}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_has_one_entry_for_each_place_of_a_table() {
    let world = World::new().await;
    world.file("b.env", "QSTASH_TOKEN=x\n");
    world.config("[sinks.both]\nkind = \"dotenv\"\npaths = [\".env\", \"b.env\"]\n");
    let (code, report) = world.run(&["status"]).await;
    let targets: Vec<&Value> =
        report["sinks"].as_array().unwrap().iter().map(|sink| &sink["target"]).collect();
    assert_eq!((code, targets.len()), (5, 2), "{report}");
    assert_ne!(targets[0], targets[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_of_libraries_are_not_printed() {
    let world = World::new().await;
    let output = world.finish(world.command(&["reset", "--yes"]), "").await;
    let logged = String::from_utf8(output.stderr).unwrap();
    assert!(logged.lines().count() > 0, "there is a log at this level");
    for line in logged.lines() {
        assert!(
            !["hyper", "reqwest", "rustls", "aws_"].iter().any(|it| line.contains(it)),
            "{line}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_argument_that_is_not_utf8_is_refused_with_a_report() {
    let world = World::new().await;
    let mut command = world.command(&["--output", "json"]);
    command.arg(OsStr::from_bytes(b"\xff\xfe"));
    let output = world.finish(command, "").await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["outcome"], "invalid");
}

async fn stdout_of(world: &World, arguments: &[&str]) -> String {
    let output = world.finish(world.command(arguments), "").await;
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_verdict_describes_the_command_and_its_result() {
    let world = World::new().await;
    world.sandbox.upstash.fail_next_reset(ResetFault::OldTokenStaysAccepted);
    let verdict = stdout_of(&world, &["reset", "--yes"]).await;
    let expected = "every required sink holds the live token, but the old one still works";
    assert!(verdict.contains(expected) && !verdict.contains("not every"), "{verdict}");

    let verdict = stdout_of(&world, &["sync", "--skip", "own"]).await;
    assert!(
        verdict.contains("every selected sink holds the live token; left out: own"),
        "{verdict}"
    );
    let verdict = stdout_of(&world, &["reset", "--yes", "--skip", "own"]).await;
    assert!(verdict.contains("partial: every selected sink"), "{verdict}");

    let bad = "[sinks.bad]\nkind = \"panicking\"\n";
    world.config(bad);
    let verdict = stdout_of(&world, &["reset", "--yes"]).await;
    assert!(verdict.contains("partial: not every required sink"), "{verdict}");
    assert!(!verdict.contains("a reset would leave"), "{verdict}");
    world.config(&format!("{bad}[sinks.local]\nkind = \"dotenv\"\npath = \".env\"\n"));
    let verdict = stdout_of(&world, &["reset", "--yes"]).await;
    assert!(verdict.contains("outage of the sinks that hold the token: at most"), "{verdict}");

    world.config("[sinks.local]\nkind = \"dotenv\"\npath = \"none\"\n");
    for (arguments, expected) in [
        (&["init"][..], "unchanged: nothing was done"),
        (&["check"], "not ready: a reset could not finish"),
        (&["reset", "--yes"], "unchanged: the token was not reset"),
    ] {
        let verdict = stdout_of(&world, arguments).await;
        assert!(verdict.contains(expected), "{arguments:?}: {verdict}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_shows_forecast_or_outage_and_the_number_of_attempts() {
    let world = World::new().await;
    let has = |shown: &str, word: &str| shown.lines().next().unwrap().contains(word);
    let before = stdout_of(&world, &["check"]).await;
    assert!(has(&before, "FORECAST") && !has(&before, "OUTAGE") && before.contains(" ~"));
    world.sandbox.github.limit_next_writes(500, 2, None);
    let after = stdout_of(&world, &["reset", "--yes"]).await;
    assert!(has(&after, "OUTAGE") && !has(&after, "FORECAST") && !after.contains(" ~"), "{after}");
    let of = |name: &str| {
        let row = after.lines().find(|line| line.trim_start().starts_with(name));
        row.unwrap().to_owned()
    };
    assert!(of("ci").contains("; 3 attempts"), "{after}");
    assert!(!of("local").contains("attempt"), "{after}");
    let later = stdout_of(&world, &["status"]).await;
    assert!(!has(&later, "OUTAGE") && !has(&later, "FORECAST"), "{later}");
}
