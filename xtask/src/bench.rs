//! `bench`: measures the release build against delayed fake servers, beside other tools.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime};

use crate::{cargo, peers, project_root, report, run};

/// Measures, prints tables, and draws `outage.svg`.
pub(crate) fn bench(rest: &[String]) -> Result<(), String> {
    // One after the other: the program is the one that users get, without the fake servers' TLS.
    cargo(&["build", "--release", "--package", "tokensink-bench"])?;
    cargo(&["build", "--release", "--package", "tokensink-cli"])?;
    let root = project_root();
    let release = root.join("target/release");
    let mut bench = Command::new(release.join("tokensink-bench"));
    bench.arg("--program").arg(release.join("tokensink"));
    bench.arg("--picture").arg(root.join("crates/tokensink-bench/outage.svg")).args(rest);
    let missing = peers::install(&root, report)?;
    if missing.is_empty() {
        bench.arg("--peers").arg(root.join("target/peers"));
        bench.arg("--redirect").arg(root.join("tests/peers/redirect.mjs"));
        bench.arg("--aws").arg(peers::install_aws_command_line(&root)?);
    } else {
        report("without python3, node and npm nothing is compared");
    }
    run(&mut bench)?;
    the_program_itself(&release.join("tokensink"))?;
    building_it(&root)
}

/// Measures how long a developer waits: for the first build, and after one touched file in a plugin.
fn building_it(root: &Path) -> Result<(), String> {
    let target = root.join("target/bench/cold");
    let shown = |error: std::io::Error| error.to_string();
    if target.exists() {
        fs::remove_dir_all(&target).map_err(shown)?;
    }
    let build = || {
        let started = Instant::now();
        let mut command = Command::new(crate::cargo_path());
        command.args(["build", "--quiet", "--locked"]).env("CARGO_TARGET_DIR", &target);
        run(&mut command).map(|()| started.elapsed())
    };
    let cold = build()?;
    let touched = root.join("plugins/tokensink-dotenv/src/lib.rs");
    let file = fs::File::options().append(true).open(touched).map_err(shown)?;
    file.set_modified(SystemTime::now()).map_err(shown)?;
    let again = build()?;
    report(&format!("a debug build: {cold:.0?} cold, {again:.1?} after a touched plugin"));
    Ok(())
}

/// Measures the size of the program and the time of `--help`.
fn the_program_itself(program: &Path) -> Result<(), String> {
    let size = fs::metadata(program).map_err(|error| error.to_string())?.len();
    let mut times: Vec<_> = (0..20)
        .map(|_| {
            let started = Instant::now();
            let output = Command::new(program).arg("--help").output();
            output.map(|_| started.elapsed()).map_err(|error| error.to_string())
        })
        .collect::<Result<_, _>>()?;
    times.sort();
    let tree = Command::new(crate::cargo_path())
        .args(["tree", "--package", "tokensink-cli", "--edges", "normal", "--prefix", "none"])
        .args(["--no-dedupe", "--format", "{p}"])
        .current_dir(project_root())
        .output()
        .map_err(|error| error.to_string())?;
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    let crates: std::collections::BTreeSet<&str> =
        tree.lines().filter(|line| !line.contains("(/")).collect();
    let mebibytes = size as f64 / (1024.0 * 1024.0);
    report(&format!(
        "the program: {mebibytes:.1} MiB, `--help` in {:.1?}, {} crates of others",
        times[times.len() / 2],
        crates.len()
    ));
    Ok(())
}
