//! Faults put into the coordinator on purpose, one at a time: the simulation must find each.
//!
//! A simulation that never finds anything proves nothing. Each fault is a change of one place in
//! the sources; where that place has changed, the list says so instead of passing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How many lives each fault may take to be found.
const LIVES: &str = "20000";

struct Fault {
    what: &'static str,
    file: &'static str,
    sound: &'static str,
    broken: &'static str,
}

const FAULTS: &[Fault] = &[
    Fault {
        what: "a reset whose outcome is not known is sent again",
        file: "reset.rs",
        sound: "Sent::Answered(Err(error)) => error.to_string(),",
        broken: "Sent::Answered(Err(_)) => continue,",
    },
    Fault {
        what: "a token learned by reading is pushed before QStash let it in",
        file: "reset.rs",
        sound: "_ => Seen::NotAccepted,",
        broken: "_ => Seen::Moved(issued),",
    },
    Fault {
        what: "the newest read is believed although QStash does not let it in",
        file: "settle.rs",
        sound: "_ => Ours::Contradicted,",
        broken: "_ => Ours::Newer(issued),",
    },
    Fault {
        what: "a receipt proves any token",
        file: "inspection.rs",
        sound: "if last.token == *token => Holds::UnchangedSinceOurWrite,",
        broken: "if last.token == *token || true => Holds::UnchangedSinceOurWrite,",
    },
    Fault {
        what: "a sink that could not be looked at counts as current",
        file: "inspection.rs",
        sound: "(_, Err(failure)) => (State::Unknown, format!(\"could not be inspected: {failure}\")),",
        broken: "(_, Err(failure)) => (State::Current, format!(\"could not be inspected: {failure}\")),",
    },
    Fault {
        what: "an unanswered write of a dead token is forgotten",
        file: "settle.rs",
        sound: "(State::Current, _) if self.haunted => {",
        broken: "(State::Current, _) if self.haunted && false => {",
    },
    Fault {
        what: "a sync after a cut-off reset believes the first look",
        file: "commands/sync.rs",
        sound: "let in_doubt = self.is_unsettled();",
        broken: "let in_doubt = false;",
    },
    Fault {
        what: "an unprepared required sink does not stop the reset",
        file: "plan.rs",
        sound: "Some((prepared.sink.as_ref(), prepared.obstacle()?))",
        broken: "Some((prepared.sink.as_ref(), prepared.obstacle().filter(|_| false)?))",
    },
    Fault {
        what: "somebody else's reset before ours is not noticed",
        file: "commands/reset.rs",
        sound: "Ok(issued) if issued.token == *token => {",
        broken: "Ok(_) if self.run == self.run => {",
    },
    Fault {
        what: "somebody else's reset during the rehearsal is not noticed",
        file: "commands/rehearse.rs",
        sound: "if plan.token() != token {",
        broken: "if plan.token() != token && false {",
    },
    Fault {
        what: "a run is complete with a stale required sink",
        file: "commands/conclusion.rs",
        sound: "if unproven.is_empty() { Outcome::Complete } else { Outcome::Partial }",
        broken: "if true { Outcome::Complete } else { Outcome::Partial }",
    },
    Fault {
        what: "an attempt that hangs is waited for",
        file: "retry.rs",
        sound: "timeout(attempt_timeout, attempt)",
        broken: "timeout(attempt_timeout * 1_000_000, attempt)",
    },
    Fault {
        what: "a newer token goes to some of the sinks only",
        file: "push.rs",
        sound: "self.push(standings, chase, |_| true).await",
        broken: "self.push(standings, chase, |one| one.inspected.is_err()).await",
    },
    Fault {
        what: "a newer token seen while sinks are written is not given to those that are done",
        file: "push.rs",
        sound: "let lacks = |index: &usize| !standings[*index].was_given(&chase.token);",
        broken: "let lacks = |index: &usize| standings[*index].written.is_none();",
    },
    Fault {
        what: "sinks are not looked at again after the last write",
        file: "settle.rs",
        sound: "warnings.extend(self.push(standings, chase, Standing::was_overwritten).await);\n                continue;",
        broken: "warnings.extend(self.push(standings, chase, Standing::was_overwritten).await);\n                for standing in standings.iter_mut() { standing.inspected = Ok(Holds::Token); }",
    },
];

/// Breaks the coordinator in each way, in a copy of the sources, and lets the simulation look.
pub(crate) fn sabotage(root: &Path, cargo: &Path, tell: fn(&str)) -> Result<(), String> {
    let folder = root.join("target/sabotage");
    let tree = folder.join("tree");
    let mut survivors = Vec::new();
    for fault in FAULTS {
        copy_sources(root, &tree)?;
        break_it(&tree, fault)?;
        let (found, said) = is_found(cargo, &tree, &folder.join("build"))?;
        tell(&format!("{} {}: {said}", if found { "found" } else { "MISSED" }, fault.what));
        if !found {
            survivors.push(fault.what);
        }
    }
    if survivors.is_empty() {
        return Ok(());
    }
    Err(format!("the simulation does not see: {}", survivors.join("; ")))
}

fn break_it(tree: &Path, fault: &Fault) -> Result<(), String> {
    let path = tree.join("crates/tokensink-engine/src").join(fault.file);
    let shown = |error: std::io::Error| format!("{}: {error}", path.display());
    let text = fs::read_to_string(&path).map_err(shown)?;
    if text.matches(fault.sound).count() != 1 {
        return Err(format!("{}: the place for {:?} has changed", fault.file, fault.what));
    }
    // The copy is not held to the lints of the original.
    let allowed = "#![allow(warnings)]\n";
    let lib = tree.join("crates/tokensink-engine/src/lib.rs");
    let head = fs::read_to_string(&lib).map_err(shown)?;
    fs::write(&lib, format!("{allowed}{head}")).map_err(shown)?;
    fs::write(&path, text.replace(fault.sound, fault.broken)).map_err(shown)
}

/// Whether the simulation fails, and the first line of what it says.
fn is_found(cargo: &Path, tree: &Path, build: &Path) -> Result<(bool, String), String> {
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "tokensink-simulation"]);
    let built = command.current_dir(tree).env("CARGO_TARGET_DIR", build).status();
    if !built.map_err(|error| error.to_string())?.success() {
        return Err("the broken coordinator does not build".to_owned());
    }
    let output = Command::new(build.join("debug/tokensink-simulation"))
        .args(["--runs", LIVES])
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    Ok((!output.status.success(), said.lines().next().unwrap_or_default().to_owned()))
}

fn copy_sources(root: &Path, tree: &Path) -> Result<(), String> {
    fs::create_dir_all(tree).map_err(|error| error.to_string())?;
    for part in ["Cargo.toml", "Cargo.lock", "crates", "plugins", "tests", "xtask"] {
        copy(&root.join(part), &tree.join(part)).map_err(|error| format!("{part}: {error}"))?;
    }
    Ok(())
}

/// Copies what has changed, so that only that is built again; and nothing that was built.
fn copy(from: &Path, to: &PathBuf) -> std::io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            if entry.file_name() == "target" {
                continue;
            }
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    let text = fs::read(from)?;
    if fs::read(to).is_ok_and(|there| there == text) {
        return Ok(());
    }
    fs::write(to, text)
}
