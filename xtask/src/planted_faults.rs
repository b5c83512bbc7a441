//! Plants faults in the engine, one at a time: the simulation must find each.
//!
//! A simulation that never finds anything proves nothing. The faults are in the engine itself, behind
//! its feature `planted-faults`.

use std::path::Path;
use std::process::Command;

/// In how many runs each fault must be found.
const RUNS: &str = "20000";

/// Builds the simulation with faults that can be planted, and runs it with each of them.
pub(crate) fn find_planted_faults(
    root: &Path,
    cargo: &Path,
    report: fn(&str),
) -> Result<(), String> {
    let build_dir = root.join("target/planted-faults");
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "tokensink-simulation"]);
    build.args(["--features", "planted-faults"]).current_dir(root);
    let built = build.env("CARGO_TARGET_DIR", &build_dir).status();
    if !built.map_err(|error| error.to_string())?.success() {
        return Err("the simulation with planted faults does not build".to_owned());
    }
    let program = build_dir.join("debug/tokensink-simulation");
    let mut missed = Vec::new();
    for fault in run(&program, &["--list-faults"])?.output.lines() {
        let Some((name, description)) = fault.split_once('\t') else { continue };
        let found = run(&program, &["--runs", RUNS, "--fault", name])?;
        let finding = found.output.lines().next().unwrap_or_default();
        let verdict = if found.succeeded { "MISSED" } else { "found" };
        report(&format!("{verdict} {description}: {finding}"));
        if found.succeeded {
            missed.push(description.to_owned());
        }
    }
    if missed.is_empty() {
        return Ok(());
    }
    Err(format!("the simulation does not find: {}", missed.join("; ")))
}

/// How a run of the simulation ended.
struct Ended {
    succeeded: bool,
    output: String,
}

fn run(program: &Path, arguments: &[&str]) -> Result<Ended, String> {
    let output = Command::new(program).args(arguments).output();
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(Ended { succeeded: output.status.success(), output: text })
}
