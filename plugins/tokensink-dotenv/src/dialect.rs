//! How readers of `.env` files differ in what they read as an assignment. Where that decides which
//! bytes are a variable's value, an edit would be right for some of them only.

use tokensink_core::SinkError;

use crate::scan::{Assignment, assignments_in};

/// What a kind of reader understands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dialect {
    /// `KEY: value` is an assignment too.
    pub(crate) knows_colons: bool,
    /// What a value of several lines may begin with.
    pub(crate) quotes: &'static [u8],
    pub(crate) backslash: Backslash,
}

/// What a backslash does to a quote that could close a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backslash {
    /// It takes the next character with it, inside double quotes alone.
    Escapes,
    /// A quote right after it does not close, whatever precedes the backslash.
    Shields,
    /// Nothing.
    Stays,
}

const ALL_QUOTES: &[u8] = b"\"'`";
const SHELL_QUOTES: &[u8] = b"\"'";

/// The dialect in which files are edited.
pub(crate) const OURS: Dialect =
    Dialect { knows_colons: false, quotes: ALL_QUOTES, backslash: Backslash::Escapes };

pub(crate) const DIALECTS: [Dialect; 6] = [
    OURS,
    // The shells and dotenvy.
    Dialect { knows_colons: false, quotes: SHELL_QUOTES, backslash: Backslash::Escapes },
    // Node's `--env-file`, and Vite.
    Dialect { knows_colons: false, quotes: ALL_QUOTES, backslash: Backslash::Stays },
    // Node's dotenv and dotenvx, and Next.js.
    Dialect { knows_colons: true, quotes: ALL_QUOTES, backslash: Backslash::Shields },
    // Python.
    Dialect { knows_colons: false, quotes: SHELL_QUOTES, backslash: Backslash::Shields },
    // Ruby, Compose and direnv.
    Dialect { knows_colons: true, quotes: SHELL_QUOTES, backslash: Backslash::Shields },
];

/// Refuses a file in which readers find the variables in different lines.
pub(crate) fn refuse_disputed(bytes: &[u8], keys: &[String]) -> Result<(), SinkError> {
    let ours = assignments_in(&OURS, bytes, keys);
    for dialect in &DIALECTS {
        let theirs = assignments_in(dialect, bytes, keys);
        if let Some(one) = theirs.iter().find(|one| one.has_colon) {
            let Assignment { key, line, .. } = one;
            let problem =
                format!("`{key}: …` in line {line} is an assignment to some readers only");
            return Err(SinkError::rejected(problem)
                .with_help(format!("write it as `{key}=…`, or remove it")));
        }
        if let Some(one) = first_difference(&ours, &theirs) {
            let problem = format!("readers disagree about {} in line {}", one.key, one.line);
            return Err(SinkError::rejected(problem)
                .with_help("balance the quotes and backslashes there and in the value above it"));
        }
    }
    Ok(())
}

/// The first that only one of them has, or that ends in another line there.
fn first_difference<'a>(
    ours: &'a [Assignment<'a>],
    theirs: &'a [Assignment<'a>],
) -> Option<&'a Assignment<'a>> {
    let place = |one: &&'a Assignment<'a>| (one.line, one.more_lines);
    let pairs = (0..ours.len().max(theirs.len())).map(|index| [ours.get(index), theirs.get(index)]);
    let differing =
        pairs.into_iter().find(|[one, other]| one.as_ref().map(place) != other.as_ref().map(place));
    differing.into_iter().flatten().flatten().min_by_key(place)
}
