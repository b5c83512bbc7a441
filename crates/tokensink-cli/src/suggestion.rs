//! Suggestions for mistyped names.

/// The shortest part of a name that is accepted as an abbreviation.
const MIN_ABBREVIATION: usize = 3;

/// Returns the known name that is most similar to `typed`, or else the only one that contains it.
pub(crate) fn nearest<'a>(
    typed: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let known: Vec<&str> = known.into_iter().collect();
    let similar = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(typed, name), *name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min()
        .map(|(_, name)| name);
    similar.or_else(|| {
        let is_abbreviation = typed.len() >= MIN_ABBREVIATION;
        let mut longer = known.iter().filter(|name| is_abbreviation && name.contains(typed));
        longer.next().copied().filter(|_| longer.next().is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_and_unambiguous_abbreviations_are_recognized() {
        let kinds = ["aws-secrets-manager", "dotenv", "github-actions"];
        for (typed, suggestion) in [
            ("dotenw", Some("dotenv")),
            ("github", Some("github-actions")),
            ("env", Some("dotenv")),
            ("secrets", Some("aws-secrets-manager")),
            ("act", Some("github-actions")),
            ("s", None),
            ("vercel", None),
        ] {
            assert_eq!(nearest(typed, kinds), suggestion, "{typed}");
        }
        assert_eq!(nearest("repo", ["repository_a", "repository_b"]), None);
    }
}
