//! Development tasks, as plain Rust: `cargo xtask TASK`.

mod bench;
mod docs;
mod peers;
mod planted_faults;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const USAGE: &str = "usage: cargo xtask \
    test | sim [--runs N] [--seed N] | planted-faults | bench | tidy | docs | demo | ci";

fn main() -> ExitCode {
    let task = std::env::args().nth(1);
    let rest: Vec<String> = std::env::args().skip(2).collect();
    let outcome = match task.as_deref() {
        Some("test") => test(),
        Some("sim") => sim(&rest),
        Some("planted-faults") => {
            planted_faults::find_planted_faults(&project_root(), &cargo_path(), report)
        }
        Some("bench") => bench::bench(&rest),
        Some("tidy") => tidy(),
        Some("docs") => docs::write(),
        Some("demo") => cargo(&["run", "--quiet", "--", "demo"]),
        Some("ci") => ci(),
        _ => Err(USAGE.to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            report(&why);
            ExitCode::FAILURE
        }
    }
}

/// Runs every test of every crate, and the peer tests where their peers can be installed. With
/// `CI=true` they must be.
fn test() -> Result<(), String> {
    let missing = peers::install(&project_root(), report)?;
    if missing.is_empty() {
        return cargo(&["test", "--workspace", "--features", "tokensink-tests/peers"]);
    }
    cargo(&["test", "--workspace"])?;
    missing.iter().for_each(|line| report(line));
    if is_ci() {
        return Err("in continuous integration every peer must be installed".to_owned());
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the convention of all CI services")]
fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Simulated runs of the engine, by seed.
fn sim(rest: &[String]) -> Result<(), String> {
    let rest = rest.iter().map(String::as_str);
    let arguments = ["run", "--quiet", "--package", "tokensink-simulation", "--"].into_iter();
    cargo(&arguments.chain(rest).collect::<Vec<_>>())
}

/// The checks that a change must pass.
fn ci() -> Result<(), String> {
    run(&mut Command::new(project_root().join(".ci/run")))
}

fn tidy() -> Result<(), String> {
    let mut violations = tidy::violations(&project_root());
    violations.extend(second_tls_provider()?);
    violations.extend(docs::check().err());
    if violations.is_empty() {
        return Ok(());
    }
    Err(violations.join("\n"))
}

/// Two TLS providers in one program make it panic at its first connection, or carry both.
fn second_tls_provider() -> Result<Option<String>, String> {
    let mut tree = Command::new(cargo_path());
    tree.args(["tree", "--workspace", "--target", "all", "--invert", "ring"]);
    let found = tree.current_dir(project_root()).output().map_err(|error| error.to_string())?;
    Ok((!found.stdout.is_empty()).then(|| "a second TLS provider, `ring`, was added".to_owned()))
}

fn cargo(arguments: &[&str]) -> Result<(), String> {
    run(Command::new(cargo_path()).args(arguments))
}

fn run(command: &mut Command) -> Result<(), String> {
    let shown = format!("{command:?}");
    match command.current_dir(project_root()).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{shown}: {status}")),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

fn cargo_path() -> PathBuf {
    option_env!("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}

fn project_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

#[expect(clippy::print_stderr, reason = "a task prints to the terminal it was started from")]
fn report(text: &str) {
    eprintln!("{text}");
}
