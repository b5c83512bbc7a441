//! Third-party servers and clients for the peer tests, installed at pinned versions below `target/peers`, once.
//!
//! Deliberately absent: starting them. The tests do that themselves, on free ports.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The files that pin the versions. A change of either installs again.
const PINS: &[&str] = &["requirements.txt", "package.json"];

/// What the peers test. Each test needs Python, Node or both.
const PEERS: &[&str] = &[
    "AWS Secrets Manager against moto and roto",
    "GitHub against its OpenAPI description, and PyNaCl as the reader of sealed boxes",
    "Upstash against its own command line",
    ".env files before the readers of other languages",
];

const AWS_COMMAND_LINE: &str = "awscli==1.46.3";

/// Installs what is missing. Returns what cannot be installed on this machine, one line each.
///
/// # Errors
///
/// When an installation fails although its tool is there.
pub(crate) fn install(root: &Path, report: fn(&str)) -> Result<Vec<String>, String> {
    let missing = missing_tools();
    if !missing.is_empty() {
        return Ok(missing);
    }
    let (pins, directory) = (root.join("tests/peers"), root.join("target/peers"));
    let wanted = PINS.iter().map(|pin| read(&pins.join(pin))).collect::<Result<String, _>>()?;
    let stamp = directory.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(missing);
    }
    report(
        "installing the third-party servers and clients for the peer tests below target/peers, about a minute",
    );
    fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    install_python(&pins, &directory)?;
    install_node(&pins, &directory)?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(missing)
}

/// Installs the AWS command line, which only the bench needs.
pub(crate) fn install_aws_command_line(root: &Path) -> Result<PathBuf, String> {
    let venv = root.join("target/bench/venv");
    let program = venv.join("bin/aws");
    if !program.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        run(Command::new(venv.join("bin/pip")).args([
            "install",
            "--quiet",
            "--disable-pip-version-check",
            AWS_COMMAND_LINE,
        ]))?;
    }
    Ok(program)
}

fn missing_tools() -> Vec<String> {
    let tools: Vec<&str> =
        ["python3", "node", "npm"].into_iter().filter(|tool| !is_there(tool)).collect();
    if tools.is_empty() {
        return Vec::new();
    }
    let absent = tools.join(", ");
    PEERS.iter().map(|peer| format!("not run without {absent}: {peer}")).collect()
}

fn is_there(tool: &str) -> bool {
    let mut command = Command::new(tool);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn install_python(pins: &Path, directory: &Path) -> Result<(), String> {
    let venv = directory.join("venv");
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    run(Command::new(venv.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(pins.join("requirements.txt")))
}

fn install_node(pins: &Path, directory: &Path) -> Result<(), String> {
    let pin = "package.json";
    fs::copy(pins.join(pin), directory.join(pin)).map_err(|error| format!("{pin}: {error}"))?;
    // No script of a package runs at installation.
    run(Command::new("npm")
        .args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"])
        .current_dir(directory))
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{command:?}: {status}")),
        Err(error) => Err(format!("{command:?}: {error}")),
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
