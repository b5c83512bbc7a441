//! Files beside a `.env` file that readers load together with it.
//!
//! | reader | the first of these that sets a variable wins |
//! | --- | --- |
//! | Next.js, Create React App, Ruby's dotenv | `.env.MODE.local`, `.env.local` (not in mode `test`), `.env.MODE`, `.env` |
//! | Vite, dotenv-flow | `.env.MODE.local`, `.env.MODE`, `.env.local`, `.env` |
//!
//! Sources: <https://nextjs.org/docs/app/guides/environment-variables>,
//! <https://vite.dev/guide/env-and-mode>, <https://github.com/kerimdzhanov/dotenv-flow>.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tokensink_core::SinkError;

use crate::file::{TEMPORARY, failed};

/// The modes that the readers above set by themselves. Any other word in a name may be a mode too,
/// or something like `.env.example`: a copy of the token in it is reported, its precedence is not.
const MODES: [&str; 3] = ["development", "production", "test"];

/// A survey opens no more files than this.
const MAX_SIBLINGS: usize = 64;

/// A file name of the form `.env[.MODE][.local]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EnvName<'a> {
    mode: Option<&'a str>,
    is_local: bool,
}

impl<'a> EnvName<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let rest = name.strip_prefix(".env")?;
        if rest.is_empty() {
            return Some(Self { mode: None, is_local: false });
        }
        let rest = rest.strip_prefix('.').filter(|rest| !rest.contains(TEMPORARY_WORD))?;
        if rest == "local" {
            return Some(Self { mode: None, is_local: true });
        }
        let mode = rest.strip_suffix(".local");
        Some(Self { mode: Some(mode.unwrap_or(rest)), is_local: mode.is_some() })
    }

    /// Whether a reader that loads both takes a variable from this file and not from `other`.
    fn wins_over(&self, other: &Self) -> bool {
        let is_more_local = self.is_local && !other.is_local;
        match (self.mode, other.mode) {
            (Some(mode), None) => MODES.contains(&mode),
            (Some(mode), Some(others)) => mode == others && is_more_local,
            (None, Some(mode)) => mode != "test" && is_more_local,
            (None, None) => is_more_local,
        }
    }
}

/// [`TEMPORARY`] without its dot.
const TEMPORARY_WORD: &str = TEMPORARY.split_at(1).1;

/// A file beside another one.
#[derive(Debug)]
pub(crate) struct Sibling {
    pub(crate) path: PathBuf,
    pub(crate) takes_precedence: bool,
}

/// Returns the siblings of `path`, by name; none where its name does not have the form that readers
/// load by convention.
pub(crate) fn siblings(path: &Path) -> Result<Vec<Sibling>, SinkError> {
    let Some(own) = path.file_name().and_then(|name| name.to_str()).and_then(EnvName::parse) else {
        return Ok(Vec::new());
    };
    let cannot_list = |error| failed("list its directory", error);
    let entries = match fs::read_dir(path.parent().unwrap_or(Path::new("/"))) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(cannot_list)?,
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let name = entry.map_err(cannot_list)?.file_name().into_string();
        names.extend(name.ok().filter(|name| EnvName::parse(name).is_some()));
    }
    let mut found: Vec<Sibling> = names
        .iter()
        .filter_map(|name| Some((name, EnvName::parse(name).filter(|sibling| *sibling != own)?)))
        .map(|(name, sibling)| Sibling {
            path: path.with_file_name(name),
            takes_precedence: sibling.wins_over(&own),
        })
        .collect();
    // Those that win are reported whatever they contain, so they are not the ones left out.
    found.sort_by_key(|sibling| !sibling.takes_precedence);
    found.truncate(MAX_SIBLINGS);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 8] = [
        ".env",
        ".env.local",
        ".env.development",
        ".env.development.local",
        ".env.production",
        ".env.production.local",
        ".env.test",
        ".env.test.local",
    ];

    #[test]
    fn each_file_yields_to_those_that_some_reader_prefers() {
        for (own, winners) in [
            (".env", &ALL[1..]),
            (".env.local", &ALL[2..]),
            (".env.development", &[".env.local", ".env.development.local"]),
            (".env.production", &[".env.local", ".env.production.local"]),
            (".env.test", &[".env.test.local"]),
            (".env.staging", &[".env.local"]),
            (".env.development.local", &[]),
            (".env.production.local", &[]),
            (".env.test.local", &[]),
        ] {
            let name = EnvName::parse(own).unwrap();
            let found: Vec<&str> = ALL
                .into_iter()
                .filter(|sibling| EnvName::parse(sibling).unwrap().wins_over(&name))
                .collect();
            assert_eq!(found, winners, "{own}");
        }
    }

    #[test]
    fn names_without_the_conventional_form_have_no_siblings() {
        for name in [".envrc", "app.env", "env", ".environment", ".env.tokensink-aB3xYz.env"] {
            assert_eq!(EnvName::parse(name), None, "{name}");
        }
    }
}
