//! A plugin is linked, has a feature, is documented and conforms.

use super::tree::Tree;

pub(super) fn violations(tree: &Tree) -> Vec<String> {
    let manifest = tree.text("crates/tokensink-cli/Cargo.toml");
    let linked = tree.text("crates/tokensink-cli/src/plugins.rs");
    let mut found = Vec::new();
    for name in tree.packages("plugins") {
        let kind = name.trim_start_matches("tokensink-");
        let mut demand = |holds: bool, rule: &str| {
            if !holds {
                found.push(format!("plugins/{name}: {rule}"));
            }
        };
        demand(
            manifest.contains(&format!("{kind} = [\"dep:{name}\"]")),
            "is not a feature of tokensink-cli",
        );
        let statement = format!("use {} as _;", name.replace('-', "_"));
        demand(linked.contains(&statement), "is not linked in tokensink-cli/src/plugins.rs");
        let readme = tree.text(&format!("plugins/{name}/README.md"));
        demand(readme.contains(&format!("kind = \"{kind}\"")), "has no example in its README.md");
        let conformance = tree.text(&format!("plugins/{name}/tests/conformance.rs"));
        demand(conformance.contains("assert_conformance("), "does not run the conformance suite");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_plugin_is_found() {
        let found = violations(&Tree::of(&[("plugins/tokensink-new/Cargo.toml", "")]));
        assert_eq!(found.len(), 4, "{found:?}");
        let complete = Tree::of(&[
            ("plugins/tokensink-new/Cargo.toml", ""),
            ("plugins/tokensink-new/README.md", "kind = \"new\""),
            ("plugins/tokensink-new/tests/conformance.rs", "assert_conformance(&place)"),
            ("crates/tokensink-cli/Cargo.toml", "new = [\"dep:tokensink-new\"]"),
            ("crates/tokensink-cli/src/plugins.rs", "use tokensink_new as _;"),
        ]);
        assert_eq!(violations(&complete), Vec::<String>::new());
    }
}
