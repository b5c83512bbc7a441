//! What every source file has, and what none has.

use super::tree::Tree;

/// A longer file is likely to have more than one subject.
const MAX_LINES: usize = 600;

/// An example is a whole plugin, with config, docs and registration. One that does not fit shows that
/// the contract asks too much.
const MAX_EXAMPLE_LINES: usize = 160;

pub(super) fn violations(tree: &Tree) -> Vec<String> {
    let sources = tree.files(&["rs"]).filter(|(path, _)| !path.starts_with("tests/fuzz/"));
    sources.flat_map(|(path, text)| of_file(path, text)).collect()
}

fn of_file(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        found.push(format!("{path}: {lines} lines; is it one subject?"));
    }
    if path.contains("/examples/") && lines > MAX_EXAMPLE_LINES {
        found.push(format!("{path}: {lines} lines; an example has at most {MAX_EXAMPLE_LINES}"));
    }
    if !text.starts_with("//!") {
        found.push(format!("{path}: does not begin with a `//!` line about its subject"));
    }
    // In two halves, so that this file follows the rule itself.
    let stub = [
        concat!("tod", "o!("),
        concat!("db", "g!("),
        concat!("unimple", "mented!("),
        concat!("#[ig", "nore"),
    ];
    let home = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Use", "rs/")];
    for (index, line) in text.lines().enumerate() {
        let mut violation = |rule: &str| found.push(format!("{path}:{}: {rule}", index + 1));
        if stub.iter().any(|word| line.contains(word)) {
            violation("a stub, an ignored test, or debugging left in");
        }
        if home.iter().any(|path| line.contains(path)) {
            violation("a path of one machine");
        }
        if line.ends_with([' ', '\t']) {
            violation("blanks at the end of the line");
        }
        if path.starts_with("plugins/") && line.contains(concat!("std::env::", "var")) {
            violation("a plugin reads the environment through BuildContext");
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_violation_in_a_source_is_found() {
        let long = format!("//! x\n{}", "\n".repeat(MAX_LINES));
        let example = format!("//! x\n{}", "\n".repeat(MAX_EXAMPLE_LINES));
        for (path, text, rule) in [
            ("crates/a.rs", long.as_str(), "is it one subject?"),
            ("crates/a/examples/a.rs", example.as_str(), "an example has at most"),
            ("crates/a.rs", "fn main() {}\n", "does not begin with"),
            ("crates/a.rs", concat!("//! x\ntod", "o!()\n"), "a stub"),
            ("crates/a.rs", concat!("//! x\n// /ro", "ot/x\n"), "a path of one machine"),
            ("crates/a.rs", "//! x \n", "blanks"),
            ("plugins/a.rs", concat!("//! x\nstd::env::", "var(\"A\")\n"), "BuildContext"),
        ] {
            let found = of_file(path, text);
            assert!(found.len() == 1 && found[0].contains(rule), "{found:?} should be {rule}");
        }
        assert!(of_file("crates/a.rs", "//! x\n\nfn main() {}\n").is_empty());
    }
}
