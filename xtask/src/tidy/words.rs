//! Plain words: expressions that this repository replaces, and by what.
//!
//! A line that quotes a fact from outside is exempt with the marker `[quoted]`, in a comment.

use super::tree::Tree;

/// A line with this marker is not checked.
const EXEMPT: &str = "[quoted]";

/// Expressions, and what to write instead. A word matches in any letter case and between the
/// underscores of a name.
const REPLACED: &[(&[&str], &str)] = &[
    (&["folder", "folders"], "directory"), // [quoted]
    (&["mend", "mends", "mended", "mending", "put right"], "fix, repair"), // [quoted]
    (&["let in", "lets in", "let it in", "lets it in", "let them in"], "accept, allow"), // [quoted]
    (&["stand in", "stands in", "stood in"], "is in, contains"), // [quoted]
    (&["stand-in", "stand-ins"], "fake, fake server"), // [quoted]
    (&["nobody", "somebody"], "the user, the caller, another program"), // [quoted]
    (&["by hand"], "manually"),            // [quoted]
    (&["anew", "once more"], "again"),     // [quoted]
    (&["mistake", "mistakes", "mistaken"], "error, wrong"), // [quoted]
    (&["dead token", "dead tokens"], "revoked token, old token"), // [quoted]
    (&["a second one"], "another run, a second interrupt"), // [quoted]
    (&["tell", "tells", "told", "telling"], "report, return, show, distinguish"), // [quoted]
    (&["whoever"], "the caller, the program that"), // [quoted]
];

pub(super) fn violations(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in tree.files(&["rs", "md", "toml"]) {
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            found.extend(of_line(line).map(|(word, instead)| {
                format!("{path}:{line_number}: \"{word}\": write {instead}")
            }));
        }
    }
    found
}

/// The expressions in `line` that are replaced, and by what.
fn of_line(line: &str) -> impl Iterator<Item = (String, &'static str)> {
    let words = if line.contains(EXEMPT) { Vec::new() } else { words(line) };
    let negated = negated(&words);
    let replaced = REPLACED.iter().flat_map(move |(forms, instead)| {
        let found: Vec<_> = forms
            .iter()
            .filter(|form| contains(&words, form))
            .map(|form| ((*form).to_owned(), *instead))
            .collect();
        found
    });
    replaced.chain(negated)
}

// `X is no Y` is not plain English; `there is no Y` and `is no longer` are. [quoted]
fn negated(words: &[String]) -> Option<(String, &'static str)> {
    let at = words
        .windows(2)
        .position(|two| matches!([two[0].as_str(), two[1].as_str()], ["is" | "are", "no"]))?;
    let before = at.checked_sub(1).map_or("", |index| words[index].as_str());
    let after = words.get(at + 2).map_or("", String::as_str);
    let is_plain = before == "there" || after == "longer" || after.is_empty();
    (!is_plain).then(|| (format!("{} no {after}", words[at]), "is not a"))
}

fn contains(words: &[String], form: &str) -> bool {
    let form: Vec<&str> = form.split(' ').collect();
    words.windows(form.len()).any(|window| window == form.as_slice())
}

/// The words of a line, in lower case; a hyphen joins, everything else separates.
fn words(line: &str) -> Vec<String> {
    let separates = |c: char| !c.is_alphabetic() && c != '-';
    let words = line.split(separates).map(|word| word.trim_matches('-').to_lowercase());
    words.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_in(line: &str) -> Vec<String> {
        of_line(line).map(|(word, _)| word).collect()
    }

    #[test]
    fn each_expression_is_found_in_text_and_in_names() {
        for (forms, _) in REPLACED {
            for form in *forms {
                assert_eq!(found_in(&format!("a {form}, here")), [*form]);
                let name = form.replace(' ', "_");
                assert_eq!(found_in(&format!("fn x_{name}_y()")), [*form]);
            }
        }
        assert_eq!(found_in("this is no token"), ["is no token"]); // [quoted]
    }

    #[test]
    fn plain_text_passes() {
        for line in [
            "there is no token",
            "it is no longer accepted",
            "a standard intelligible recommendation",
            "let inner = 1;",
            "the folder [quoted]",
        ] {
            assert_eq!(found_in(line), Vec::<String>::new(), "{line}");
        }
    }
}
