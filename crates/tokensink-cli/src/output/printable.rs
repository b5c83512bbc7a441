//! Text that is safe to print on a terminal.
//!
//! Values from configs, servers and files can contain control characters, which change what a terminal
//! shows, and bidirectional characters, which change the order of the text around them. Everything that
//! this process prints is a [`Printable`], and every constructor escapes such characters. Only the
//! styles and line breaks of this program remain.

use std::borrow::Cow;
use std::fmt::Write as _;

use anstyle::Style;
use clap::builder::StyledStr;

/// Lines in which every control and bidirectional character is written as an escape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Printable(String);

impl Printable {
    /// Escapes one line.
    pub(super) fn line(text: &str) -> Self {
        Self(escape(text).into_owned())
    }

    /// Escapes one line, and shows it in `style`.
    pub(super) fn styled(style: Style, text: &str) -> Self {
        Self(format!("{style}{}{style:#}", escape(text)))
    }

    /// Applies `arrange`, which may only insert line breaks or remove text.
    pub(super) fn arranged(self, arrange: impl FnOnce(&str) -> String) -> Self {
        Self(arrange(&self.0))
    }

    /// Wraps a rendered table. Its cells must have been printable before they were aligned.
    pub(super) fn table(rendered: String) -> Self {
        Self(rendered)
    }

    /// Escapes several lines of this program's own, such as a config that it generated.
    pub(super) fn block(text: &str) -> Self {
        let lines: Vec<Cow<'_, str>> = text.split('\n').map(escape).collect();
        Self(lines.join("\n"))
    }

    /// Writes such characters in a JSON document as `\u` escapes. The data stays the same.
    pub(super) fn json(document: &str) -> Self {
        let mut escaped = String::with_capacity(document.len());
        for character in document.chars() {
            if character != '\n' && is_escaped(character) {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
            } else {
                escaped.push(character);
            }
        }
        Self(escaped)
    }

    /// Wraps the help that clap renders, which contains no text from outside this program.
    pub(super) fn help(text: &StyledStr) -> Self {
        Self(text.ansi().to_string().trim_end().to_owned())
    }

    /// Appends `other`.
    pub(super) fn followed_by(mut self, other: &Self) -> Self {
        self.0.push_str(&other.0);
        self
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Writes control and bidirectional characters as `\n`, `\u{1b}`.
fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if is_escaped(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

/// Returns whether a character is invisible, or changes how others are shown.
fn is_escaped(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' // Arabic letter mark
            | '\u{200b}'..='\u{200f}' // zero width, and marks of direction
            | '\u{2028}'..='\u{202e}' // separators, embeddings and overrides
            | '\u{2060}'..='\u{206f}' // isolates, invisible operators
            | '\u{feff}' // byte order mark
            | '\u{fff9}'..='\u{fffb}' // interlinear annotations
            | '\u{e0000}'..='\u{e0fff}' // tags
        )
}

#[cfg(test)]
mod tests {
    use anstyle::AnsiColor;
    use proptest::prelude::*;

    use super::*;

    const STYLE: Style = AnsiColor::Red.on_default();

    proptest! {
        #[test]
        fn no_text_controls_the_terminal(text in "(?s).*", more in any::<String>()) {
            let printable = Printable::line(&text).followed_by(&Printable::line(&more));
            prop_assert!(!printable.as_str().contains(is_escaped));
            let styled = Printable::styled(STYLE, &text);
            let plain = styled.as_str().strip_prefix(&STYLE.to_string()).unwrap();
            let plain = plain.strip_suffix(&format!("{STYLE:#}")).unwrap();
            prop_assert!(!plain.contains(is_escaped));
            let block = Printable::block(&text);
            prop_assert!(!block.as_str().replace('\n', "").contains(is_escaped));
        }

        #[test]
        fn a_json_document_keeps_its_data(text in "(?s).*", key in any::<String>()) {
            let data = serde_json::json!({ key: [text] });
            for document in [data.to_string(), serde_json::to_string_pretty(&data).unwrap()] {
                let printable = Printable::json(&document);
                prop_assert!(!printable.as_str().replace('\n', "").contains(is_escaped));
                let read: serde_json::Value = serde_json::from_str(printable.as_str()).unwrap();
                prop_assert_eq!(&read, &data);
            }
        }
    }

    #[test]
    fn escapes_are_readable() {
        for (text, shown) in [
            ("plain Grüße → 日本", "plain Grüße → 日本"),
            ("\u{1b}]52;c;aGk=\u{7}", r"\u{1b}]52;c;aGk=\u{7}"),
            ("\u{1b}[8mhidden\u{1b}[2K\r", r"\u{1b}[8mhidden\u{1b}[2K\r"),
            ("two\nlines\t", r"two\nlines\t"),
            ("\u{9b}31m\u{85}", r"\u{9b}31m\u{85}"),
            ("a\u{202e}b\u{2066}c\u{200f}", r"a\u{202e}b\u{2066}c\u{200f}"),
            ("\u{feff}\u{e0041}\u{2028}", r"\u{feff}\u{e0041}\u{2028}"),
        ] {
            assert_eq!(Printable::line(text).as_str(), shown);
        }
    }
}
