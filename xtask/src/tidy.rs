//! The house rules, as code.

use std::fs;
use std::path::{Path, PathBuf};

/// Longer files hold more than one subject.
const MAX_LINES: usize = 350;

/// One line for each breach of a rule; empty for a tidy tree.
pub(crate) fn violations(root: &Path) -> Vec<String> {
    let mut found = plugins(root);
    found.extend(dependencies(root));
    found.extend(unexplained(root));
    found.extend(misquoted(root));
    for file in sources(root) {
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        let text = fs::read_to_string(&file).unwrap_or_default();
        found.extend(source(&name, &text));
    }
    found
}

/// A plugin that is not linked, featured, documented and tested is not there for a user.
fn plugins(root: &Path) -> Vec<String> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let (manifest, linked) =
        (read("crates/tokensink-cli/Cargo.toml"), read("crates/tokensink-cli/src/plugins.rs"));
    let readme = read("README.md");
    let mut found = Vec::new();
    for folder in children(&root.join("plugins")) {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let kind = name.trim_start_matches("tokensink-").to_owned();
        let mut demand = |holds: bool, rule: &str| {
            if !holds {
                found.push(format!("plugins/{name}: {rule}"));
            }
        };
        demand(
            manifest.contains(&format!("{kind} = [\"dep:{name}\"]")),
            "is no feature of tokensink-cli",
        );
        let statement = format!("use {} as _;", name.replace('-', "_"));
        demand(linked.contains(&statement), "is not linked in tokensink-cli/src/plugins.rs");
        demand(
            readme.contains(&format!("kind = \"{kind}\"")),
            "has no table of its kind in the README",
        );
        let laws = read(&format!("plugins/{name}/tests/laws.rs"));
        demand(laws.contains("assert_conformance("), "is not held to the laws of a sink");
    }
    found
}

/// Arrows point down only.
fn dependencies(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let manifests =
        children(&root.join("crates")).into_iter().chain(children(&root.join("plugins")));
    for folder in manifests {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        let normal = manifest.split("[dev-dependencies]").next().unwrap_or_default();
        let is_plugin = folder.parent().is_some_and(|parent| parent.ends_with("plugins"));
        let allowed: &[&str] = match name.as_str() {
            "tokensink-core" | "tokensink-sandbox" => &[],
            "tokensink-cli" => continue,
            "tokensink-http" | "tokensink-engine" | "tokensink-testkit" => &["tokensink-core"],
            "tokensink-bench" => continue,
            "tokensink-simulation" => &["tokensink-core", "tokensink-engine", "tokensink-testkit"],
            _ => &["tokensink-core", "tokensink-http"],
        };
        let ours =
            normal.lines().filter_map(|line| line.split(['.', ' ']).next()).filter(|dependency| {
                dependency.starts_with("tokensink-") && !allowed.contains(dependency)
            });
        found.extend(ours.map(|dependency| format!("{name}: must not depend on {dependency}")));
        if normal.contains("\naws-") && !(is_plugin && name == "tokensink-aws-secrets-manager") {
            found.push(format!("{name}: only the AWS plugin depends on the AWS SDK"));
        }
    }
    found
}

/// Every dependency earns its place, in words.
fn unexplained(root: &Path) -> Vec<String> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let (manifest, table) = (read("Cargo.toml"), read(".github/CONTRIBUTING.md"));
    let listed = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let listed = listed.split("\n[").next().unwrap_or_default();
    let names: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with("tokensink-"))
        .collect();
    let explained: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let missing = names.iter().filter(|name| !explained.contains(name));
    let missing = missing.map(|name| format!(".github/CONTRIBUTING.md: what is {name} for?"));
    let gone = explained.iter().filter(|name| !names.contains(name));
    let gone = gone.map(|name| format!(".github/CONTRIBUTING.md: {name} is no dependency"));
    missing.chain(gone).collect()
}

/// What the README shows of a plugin is in the file that is compiled, in that order.
fn misquoted(root: &Path) -> Option<String> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let (readme, example) =
        (read("README.md"), read("crates/tokensink-core/examples/file_sink.rs"));
    let shown = readme.split("```rust\n").nth(1)?.split("```").next()?;
    let mut compiled = example.lines();
    let missing = shown
        .lines()
        .filter(|line| line.trim() != "// ...")
        .find(|line| !compiled.any(|other| other == *line))?;
    Some(format!("README.md: the plugin it shows has a line that is not compiled: {missing}"))
}

fn source(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        found.push(format!("{name}: {lines} lines are more than one subject"));
    }
    if !text.starts_with("//!") {
        found.push(format!("{name}: begins without saying what lives there"));
    }
    // In two halves, so that this file keeps the rule itself.
    let stub = [
        concat!("tod", "o!("),
        concat!("db", "g!("),
        concat!("unimple", "mented!("),
        concat!("#[ig", "nore"),
    ];
    let home = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Use", "rs/")];
    for (index, line) in text.lines().enumerate() {
        let mut breach = |rule: &str| found.push(format!("{name}:{}: {rule}", index + 1));
        if stub.iter().any(|word| line.contains(word)) {
            breach("a stub, an ignored test, or debugging left in");
        }
        if home.iter().any(|path| line.contains(path)) {
            breach("a path of somebody's machine");
        }
        if line.ends_with([' ', '\t']) {
            breach("blanks at the end of the line");
        }
        if name.starts_with("plugins/") && line.contains(concat!("std::env::", "var")) {
            breach("a plugin sees the environment through BuildContext");
        }
    }
    found
}

fn sources(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for top in ["crates", "plugins", "tests", "xtask"] {
        collect(&root.join(top), &mut files);
    }
    files.sort();
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    // What was built is nobody's source.
    for path in children(folder).into_iter().filter(|path| !path.ends_with("target")) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_breach_in_a_source_is_found() {
        let long = format!("//! x\n{}", "\n".repeat(MAX_LINES));
        for (name, text, rule) in [
            ("crates/a.rs", long.as_str(), "more than one subject"),
            ("crates/a.rs", "fn main() {}\n", "begins without"),
            ("crates/a.rs", concat!("//! x\ntod", "o!()\n"), "a stub"),
            ("crates/a.rs", concat!("//! x\n// /ro", "ot/x\n"), "somebody's machine"),
            ("crates/a.rs", "//! x \n", "blanks"),
            ("plugins/a.rs", concat!("//! x\nstd::env::", "var(\"A\")\n"), "BuildContext"),
        ] {
            let found = source(name, text);
            assert!(found.len() == 1 && found[0].contains(rule), "{found:?} should say {rule}");
        }
        assert!(source("crates/a.rs", "//! x\n\nfn main() {}\n").is_empty());
    }

    #[test]
    fn what_is_missing_in_the_tree_is_found() {
        let root = std::env::temp_dir().join(format!("tokensink-tidy-{}", std::process::id()));
        for (file, text) in [
            (
                "plugins/tokensink-new/Cargo.toml",
                "[dependencies]\ntokensink-engine.workspace = true\naws-config.workspace = true\n",
            ),
            ("crates/tokensink-cli/Cargo.toml", ""),
            ("Cargo.toml", "[workspace.dependencies]\ntokio = \"1\"\n\n[profile.dev]\nx = 1\n"),
            (".github/CONTRIBUTING.md", "| `gone` | nothing |\n"),
            ("README.md", "```rust\nfn shown() {}\n```\n"),
            ("crates/tokensink-core/examples/file_sink.rs", "//! An example.\nfn compiled() {}\n"),
        ] {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let found = violations(&root).join("\n");
        fs::remove_dir_all(&root).unwrap();
        for rule in [
            "no feature",
            "not linked",
            "no table of its kind in the README",
            "not held to the laws",
            "must not depend on tokensink-engine",
            "only the AWS plugin",
            "what is tokio for?",
            "gone is no dependency",
            "not compiled: fn shown() {}",
        ] {
            assert!(found.contains(rule), "{found} should say {rule}");
        }
    }
}
