//! The rules of this repository, as code: `cargo xtask tidy`.

mod dependencies;
mod plugins;
mod sources;
mod tree;
mod type_names;
mod words;

use std::path::Path;

use self::tree::Tree;

/// One line for each violation of a rule; empty for a tidy tree.
pub(crate) fn violations(root: &Path) -> Vec<String> {
    let tree = Tree::read(root);
    let mut found = plugins::violations(&tree);
    found.extend(dependencies::violations(&tree));
    found.extend(sources::violations(&tree));
    found.extend(words::violations(&tree));
    found.extend(type_names::violations(&tree));
    found
}
