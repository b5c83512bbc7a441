//! The files that the rules are about, read once.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Directories that hold nothing written by people.
const SKIPPED: [&str; 3] = ["target", ".git", "node_modules"];

/// Every text file of the kinds that have rules, by its path from the root, with `/`.
pub(crate) struct Tree(BTreeMap<String, String>);

impl Tree {
    pub(crate) fn read(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        collect(root, root, &mut files);
        Self(files)
    }

    /// The text of a file; empty where there is none.
    pub(crate) fn text(&self, path: &str) -> &str {
        self.0.get(path).map_or("", String::as_str)
    }

    /// The files whose names end with one of `extensions`, in the order of their paths.
    pub(crate) fn files<'a>(
        &'a self,
        extensions: &'a [&str],
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let matches = |path: &str| {
            path.rsplit_once('.').is_some_and(|(_, extension)| extensions.contains(&extension))
        };
        self.0
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .filter(move |(path, _)| matches(path))
    }

    /// The names of the packages directly below `directory`.
    pub(crate) fn packages(&self, directory: &str) -> Vec<&str> {
        let names = self.0.keys().filter_map(|path| {
            let (package, rest) =
                path.strip_prefix(directory)?.strip_prefix('/')?.split_once('/')?;
            (rest == "Cargo.toml").then_some(package)
        });
        names.collect()
    }

    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect())
    }
}

fn collect(root: &Path, directory: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_skipped = SKIPPED.iter().any(|name| path.ends_with(name));
        if path.is_dir() && !is_skipped {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|of| of == "rs" || of == "md" || of == "toml")
            && let Ok(text) = fs::read_to_string(&path)
        {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            files.insert(name, text);
        }
    }
}
