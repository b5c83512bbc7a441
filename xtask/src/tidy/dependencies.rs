//! Dependencies point down only, and each of them has a reason.

use super::tree::Tree;

const GUIDE: &str = ".github/CONTRIBUTING.md";

pub(super) fn violations(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for directory in ["crates", "plugins"] {
        for name in tree.packages(directory) {
            let manifest = tree.text(&format!("{directory}/{name}/Cargo.toml"));
            found.extend(of_package(directory, name, manifest));
        }
    }
    found.extend(unexplained(tree.text("Cargo.toml"), tree.text(GUIDE)));
    found
}

/// What a package may depend on; `None` for the packages at the top.
fn allowed(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "tokensink-core" | "tokensink-sandbox" => &[],
        "tokensink-cli" | "tokensink-bench" => return None,
        "tokensink-http" | "tokensink-engine" | "tokensink-testkit" => &["tokensink-core"],
        "tokensink-simulation" => &["tokensink-core", "tokensink-engine", "tokensink-testkit"],
        _ => &["tokensink-core", "tokensink-http"],
    })
}

fn of_package(directory: &str, name: &str, manifest: &str) -> Vec<String> {
    let Some(allowed) = allowed(name) else { return Vec::new() };
    let normal = manifest.split("[dev-dependencies]").next().unwrap_or_default();
    let ours = normal.lines().filter_map(|line| line.split(['.', ' ']).next());
    let ours = ours.filter(|name| name.starts_with("tokensink-") && !allowed.contains(name));
    let mut found: Vec<String> =
        ours.map(|dependency| format!("{name}: must not depend on {dependency}")).collect();
    let may_use_aws = directory == "plugins" && name.starts_with("tokensink-aws-");
    if normal.contains("\naws-") && !may_use_aws {
        found.push(format!("{name}: only the AWS plugins depend on the AWS SDK"));
    }
    found
}

/// The table of the guide and the manifest name the same dependencies.
fn unexplained(manifest: &str, guide: &str) -> Vec<String> {
    let listed = manifest.split("[workspace.dependencies]").nth(1).unwrap_or_default();
    let listed = listed.split("\n[").next().unwrap_or_default();
    let names: Vec<&str> = listed
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .filter(|name| !name.starts_with("tokensink-"))
        .collect();
    let table = guide.split("## Dependencies").nth(1).unwrap_or_default();
    let explained: Vec<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let missing = names.iter().filter(|name| !explained.contains(name));
    let missing = missing.map(|name| format!("{GUIDE}: what is {name} for?"));
    let removed = explained.iter().filter(|name| !names.contains(name));
    let removed = removed.map(|name| format!("{GUIDE}: {name} is not a dependency"));
    missing.chain(removed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_that_points_up_or_has_no_reason_is_found() {
        let tree = Tree::of(&[
            (
                "plugins/tokensink-new/Cargo.toml",
                "[dependencies]\ntokensink-engine.workspace = true\naws-config.workspace = true\n",
            ),
            ("Cargo.toml", "[workspace.dependencies]\ntokio = \"1\"\n\n[profile.dev]\nx = 1\n"),
            (GUIDE, "| `word` | not a dependency |\n## Dependencies\n| `gone` | nothing |\n"),
        ]);
        assert_eq!(
            violations(&tree),
            [
                "tokensink-new: must not depend on tokensink-engine",
                "tokensink-new: only the AWS plugins depend on the AWS SDK",
                ".github/CONTRIBUTING.md: what is tokio for?",
                ".github/CONTRIBUTING.md: gone is not a dependency",
            ]
        );
    }
}
