//! A user at a terminal: questions and answers, progress, and a terminal that accepts no output.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use tokensink_sandbox::Network;
use tokio::process::Child;

use crate::support::fault_proxy::{Fault, Proxy, Spoiled};
use crate::support::terminal::{Terminal, without_colour};
use crate::support::wait::exit_code;
use crate::support::world::World;

fn interrupt(child: &Child) {
    let process = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    kill_process(process, Signal::INT).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_yes_resets_and_progress_is_shown_before_and_after_the_question() {
    let far_away = Network::default().with_round_trip(Duration::from_millis(200));
    let world = World::at(&far_away).await;
    let before = world.live();
    let terminal = Terminal::of_width(120);
    let child = terminal.run(world.command(&["reset"]));
    terminal.shows("[y/N]").await;
    let asked = terminal.shown();
    assert!(asked.contains("comparing the sinks with the live token"), "{asked}");
    assert!(!asked.contains("resetting the token"), "{asked}");
    terminal.type_in("y\n");
    assert_eq!(exit_code(child).await, 0);
    let shown = terminal.close();
    assert!(shown.contains("resetting the token"), "{shown}");
    assert_eq!(shown.matches("This resets QStash").count(), 1, "{shown}");
    assert_ne!(world.live(), before);
    world.assert_everywhere(&world.live());
}

#[tokio::test(flavor = "multi_thread")]
async fn anything_but_a_yes_resets_nothing() {
    let world = World::new().await;
    let before = world.live();
    for (answer, why) in [
        ("n\n", "the answer was not yes"),
        ("\n", "the answer was not yes"),
        ("yesterday\n", "the answer was not yes"),
        ("\u{4}", "interrupted at the question"),
    ] {
        let terminal = Terminal::of_width(120);
        let child = terminal.run(world.command(&["reset"]));
        terminal.shows("[y/N]").await;
        terminal.type_in(answer);
        assert_eq!(exit_code(child).await, 1, "{answer:?}");
        let shown = terminal.close();
        assert!(without_colour(&shown).contains(&format!("\nerror: {why}\r")), "{shown}");
        assert_eq!(shown.matches("the token was not reset").count(), 1, "{shown}");
        // The plan was printed before the question.
        assert_eq!(shown.matches("TAKES EFFECT").count(), 1, "{shown}");
    }
    assert_eq!(world.posts(), 0);
    world.assert_everywhere(&before);
}

#[tokio::test(flavor = "multi_thread")]
async fn input_typed_before_the_question_does_not_answer_it() {
    let world = World::new().await;
    let before = world.live();
    let terminal = Terminal::of_width(120);
    terminal.type_in("y\n");
    let child = terminal.run(world.command(&["reset"]));
    terminal.shows("[y/N]").await;
    terminal.type_in("n\n");
    assert_eq!(exit_code(child).await, 1);
    assert_eq!(world.posts(), 0);
    world.assert_everywhere(&before);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_fit_the_terminal() {
    let world = World::new().await;
    for arguments in [&["check"][..], &["reset"], &["reset", "--yes"], &["status"]] {
        let terminal = Terminal::of_width(80);
        let child = terminal.run(world.command(arguments));
        if arguments == ["reset"] {
            terminal.shows("[y/N]").await;
            terminal.type_in("n\n");
        }
        exit_code(child).await;
        let shown = terminal.close();
        let spun = |line: &&str| line.contains('\r');
        for line in shown.lines().map(|line| line.trim_end_matches('\r')).filter(|it| !spun(it)) {
            assert!(without_colour(line).chars().count() <= 80, "{line:?} in\n{shown}");
        }
        assert!(shown.contains("warning"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_at_the_question_resets_nothing() {
    let world = World::new().await;
    let terminal = Terminal::of_width(120);
    let child = terminal.run(world.command(&["reset"]));
    terminal.shows("[y/N]").await;
    interrupt(&child);
    assert_eq!(exit_code(child).await, 1);
    assert_eq!(world.posts(), 0);
    let shown = without_colour(&terminal.close());
    assert!(shown.contains("\nerror: interrupted at the question\r"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pasted_token_is_asked_for_and_not_echoed() {
    let world = World::new().await;
    world.sandbox.upstash.reset_externally(&world.qstash);
    let terminal = Terminal::of_width(120);
    let child = terminal.run(world.command(&["sync", "--token-stdin", "--yes"]));
    terminal.shows("paste the token").await;
    // One line is enough, without Ctrl-D.
    terminal.type_in(&format!("{}\n", world.live()));
    assert_eq!(exit_code(child).await, 0);
    assert!(terminal.echoes());
    let shown = terminal.close();
    assert!(!shown.contains(&world.live()), "{shown}");
    world.assert_everywhere(&world.live());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_echoes_again_after_ctrl_c() {
    let world = World::new().await;
    let terminal = Terminal::of_width(120);
    let child = terminal.run(world.command(&["sync", "--token-stdin"]));
    terminal.shows("paste the token").await;
    assert!(!terminal.echoes());
    interrupt(&child);
    assert_eq!(exit_code(child).await, 1);
    assert!(terminal.echoes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_that_accepts_no_output_does_not_stop_a_run() {
    let world = World::new().await;
    for log in [None, Some("trace")] {
        let before = world.live();
        let terminal = Terminal::of_width(120);
        terminal.stop();
        let mut command = world.command(&["reset", "--yes", "--output", "json"]);
        command.env_remove("RUST_LOG").envs(log.map(|level| ("RUST_LOG", level)));
        command.env("TERM", "xterm-256color").stdout(Stdio::null());
        command.stdin(terminal.stream()).stderr(terminal.stream());
        assert_eq!(exit_code(command.spawn().unwrap()).await, 0);
        assert_ne!(world.live(), before);
        world.assert_everywhere(&world.live());
    }
}

/// A full pipe that is not read.
fn full_pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'#'; 4096]).is_ok() {}
    while writer.write(b"#").is_ok() {}
    fcntl_setfl(&writer, OFlags::empty()).unwrap();
    (reader, writer)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_standard_error_does_not_stop_a_run() {
    let world = World::new().await;
    // One sink causes a warning, and one panics.
    let optional = "[sinks.none]\nkind = \"dotenv\"\npath = \"none\"\nrequired = false\ntimeout = \"1s\"\n\
                    [sinks.bad]\nkind = \"panicking\"\nrequired = false\ntimeout = \"1s\"\n";
    world.config(&format!("{}{optional}", world.sinks()));
    for arguments in [&["reset", "--yes"][..], &["reset", "--yes", "--output", "json"]] {
        let before = world.live();
        let (_reader, writer) = full_pipe();
        let mut command = world.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::from(writer));
        assert_eq!(exit_code(command.spawn().unwrap()).await, 0);
        assert_ne!(world.live(), before);
        world.assert_everywhere(&world.live());
    }
    let (_reader, writer) = full_pipe();
    let mut command = world.command(&["check", "--config", "none.toml"]);
    command.stdout(Stdio::null()).stderr(Stdio::from(writer));
    assert_eq!(exit_code(command.spawn().unwrap()).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_at_the_question_is_replaced() {
    let world = World::new().await;
    let github = world.sandbox.github.url();
    let never = Spoiled { pattern: "", is_due: Box::new(|| false), fault: Fault::Reset };
    let proxy = Proxy::before(&github, never).await;
    let config = world.read("tokensink.toml").replace(&github, proxy.url());
    world.file("tokensink.toml", &config);
    let terminal = Terminal::of_width(120);
    let child = terminal.run(world.command(&["reset"]));
    terminal.shows("[y/N]").await;
    proxy.cut();
    terminal.type_in("y\n");
    assert_eq!(exit_code(child).await, 0);
    world.assert_everywhere(&world.live());
}
