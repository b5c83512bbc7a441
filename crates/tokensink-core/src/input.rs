//! Checks for input from users and other programs: environment variables, files, pasted text and
//! options.

use std::path::Path;

/// Removes the byte order mark, blanks and line ends that editors, shells and copying leave around a
/// value. Use it for values that never begin or end with them.
///
/// ```
/// assert_eq!(tokensink_core::trimmed("\u{feff} key\r\n"), "key");
/// ```
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}')
}

/// Returns why a trimmed `text` is not usable as a credential, name or address in a request, as a
/// fragment without the value, or `None` if it is usable.
pub fn request_value_problem(text: &str) -> Option<&'static str> {
    if text.contains(['\n', '\r']) {
        Some("it has several lines")
    } else if text.contains(char::is_control) {
        Some("it contains a control character")
    } else if text.contains(['\u{feff}', '\u{200b}', '\u{2060}']) {
        Some("it contains an invisible character")
    } else if text.contains(char::is_whitespace) {
        Some("it contains a blank")
    } else if text.len() > 1 && (is_quoted(text, '"') || is_quoted(text, '\'')) {
        Some("it is in quotes")
    } else {
        None
    }
}

fn is_quoted(text: &str, quote: char) -> bool {
    text.starts_with(quote) && text.ends_with(quote)
}

/// A reason to reject a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathProblem {
    /// The reason, as a fragment.
    pub problem: String,
    /// The correct form, as an imperative.
    pub help: String,
}

/// Returns why `path` is rejected, or `None` if it is usable. `~`, variables and patterns are rejected
/// because only a shell expands them: the program would look for a file of that very name. `home` is
/// the user's home directory, for the help.
pub fn path_problem(path: &Path, home: Option<&str>) -> Option<PathProblem> {
    let problem =
        |problem: &str, help: String| Some(PathProblem { problem: problem.to_owned(), help });
    let text = path.to_str()?;
    let home = home.map_or("/absolute/path", |home| home.trim_end_matches('/'));
    if text.is_empty() {
        return problem("the path is empty", "name a file".to_owned());
    }
    if text.contains(char::is_control) {
        let help = "write it without line ends and control characters".to_owned();
        return problem("the path contains a control character", help);
    }
    if let Some(rest) = text.strip_prefix('~') {
        let help = match rest.strip_prefix('/') {
            Some(below) => format!("write {home}/{below}"),
            None if rest.is_empty() => format!("write {home}"),
            None => format!("write the whole path, or ./{text} for a file of that name"),
        };
        return problem("`~` is expanded by a shell only", help);
    }
    if let Some(below) = text.strip_prefix("$HOME").or_else(|| text.strip_prefix("${HOME}")) {
        return problem("variables in a path are not expanded", format!("write {home}{below}"));
    }
    if names_a_variable(text) {
        return problem("variables in a path are not expanded", "write the whole path".to_owned());
    }
    if text.contains(['*', '?']) {
        let help = "name each file in a table of its own".to_owned();
        return problem("patterns in a path are not expanded", help);
    }
    None
}

/// Checks for a dollar sign followed by the name of a variable. A lower-case name is not one: route
/// files of web frameworks have names such as `$id.ts`.
fn names_a_variable(text: &str) -> bool {
    text.match_indices('$').any(|(at, _)| {
        text[at + 1..]
            .starts_with(|c: char| c == '{' || c == '(' || c == '_' || c.is_ascii_uppercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_byte_order_marks_around_a_value_are_removed() {
        for text in
            ["key", " key", "key\n", "key\r\n", "\u{feff}key", "\u{feff} \u{a0}key\t\u{feff}"]
        {
            assert_eq!(trimmed(text), "key");
        }
        assert_eq!(trimmed("\u{feff}\r\n "), "");
        assert_eq!(trimmed("a b"), "a b");
    }

    #[test]
    fn a_value_that_is_not_usable_in_a_request_is_rejected() {
        for (text, problem) in [
            ("key", None),
            ("k-_.:@+/=~!", None),
            ("it's", None),
            ("'", None),
            ("a\nb", Some("several lines")),
            ("a\rb", Some("several lines")),
            ("a\u{1b}b", Some("control character")),
            ("a\u{85}b", Some("control character")),
            ("a\u{feff}b", Some("invisible")),
            ("a\u{200b}b", Some("invisible")),
            ("a b", Some("blank")),
            ("a\u{a0}b", Some("blank")),
            ("\"key\"", Some("quotes")),
            ("'key'", Some("quotes")),
        ] {
            let found = request_value_problem(text);
            assert_eq!(found.is_some(), problem.is_some(), "{text:?}: {found:?}");
            assert!(found.unwrap_or_default().contains(problem.unwrap_or_default()), "{text:?}");
        }
    }

    #[test]
    fn a_path_that_needs_shell_expansion_is_rejected() {
        for (path, help) in [
            ("~/st", "write /srv/me/st"),
            ("~", "write /srv/me"),
            ("~other/x", "write the whole path, or ./~other/x for a file of that name"),
            ("$HOME/.env", "write /srv/me/.env"),
            ("${HOME}/.env", "write /srv/me/.env"),
            ("$XDG_STATE_HOME/x", "write the whole path"),
            ("a/$(pwd)/x", "write the whole path"),
            ("apps/*/.env", "name each file in a table of its own"),
            (".env.?", "name each file in a table of its own"),
            ("", "name a file"),
            ("a\nb", "write it without line ends and control characters"),
        ] {
            let problem = path_problem(Path::new(path), Some("/srv/me/"));
            assert_eq!(problem.map(|problem| problem.help).as_deref(), Some(help), "{path:?}");
        }
        for path in [".env", "../a b/.env", "./~other/x", "a~b", "/x/$id.ts", "app/[id]/.env", "a$"]
        {
            assert_eq!(path_problem(Path::new(path), None), None, "{path}");
        }
        let unknown = path_problem(Path::new("~/st"), None).unwrap();
        assert_eq!(unknown.help, "write /absolute/path/st");
    }
}
