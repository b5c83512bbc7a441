//! One name has one meaning: a type name that others can see exists once in the workspace.

use std::collections::BTreeMap;

use super::tree::Tree;

/// Names that mean the same thing wherever they are.
const ALLOWED: [&str; 2] = ["Config", "Error"];

pub(super) fn violations(tree: &Tree) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let sources = tree.files(&["rs"]).filter(|(path, _)| path.contains("/src/"));
    for (path, text) in sources.filter(|(path, _)| !path.starts_with("tests/")) {
        for name in text.lines().filter_map(visible_type) {
            places.entry(name).or_default().push(path);
        }
    }
    let duplicates =
        places.into_iter().filter(|(name, at)| at.len() > 1 && !ALLOWED.contains(name));
    duplicates
        .map(|(name, at)| format!("the type name {name} exists in {}", at.join(", ")))
        .collect()
}

/// The name of the type that a line declares, if others than its module can see it.
fn visible_type(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub")?;
    let rest = match rest.strip_prefix('(') {
        Some(limited) => limited.split_once(')')?.1,
        None => rest,
    };
    let (keyword, rest) = rest.trim_start().split_once(' ')?;
    let is_type = ["struct", "enum", "trait", "type", "union"].contains(&keyword);
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    is_type.then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_recognized() {
        for (line, name) in [
            ("pub struct Token(Secret);", Some("Token")),
            ("    pub(crate) enum State {", Some("State")),
            ("pub(in crate::x) trait Sink: Send {", Some("Sink")),
            ("pub type Shared<T> = Arc<T>;", Some("Shared")),
            ("struct Private;", None),
            ("pub fn enum_of() {}", None),
            ("pub use crate::Token;", None),
        ] {
            assert_eq!(visible_type(line), name, "{line}");
        }
    }

    #[test]
    fn a_name_with_two_meanings_is_found() {
        let tree = Tree::of(&[
            ("crates/a/src/x.rs", "pub struct Answer;\npub struct Config;\n"),
            ("crates/b/src/y.rs", "pub(crate) enum Answer {}\npub struct Config;\n"),
            ("tests/src/z.rs", "pub struct Answer;\n"),
        ]);
        let found = violations(&tree);
        assert_eq!(found, ["the type name Answer exists in crates/a/src/x.rs, crates/b/src/y.rs"]);
    }
}
