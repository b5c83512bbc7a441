//! Wraps sentences between words on a terminal. Scripts and logs get them on one line.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;
use textwrap::{Options, WordSeparator, WordSplitter};

use super::printable::Printable;

/// The indentation of all lines but the first.
const INDENT: &str = "  ";

/// Wraps `text` at the width of `stream`, if that is a terminal.
pub(super) fn fit(text: Printable, stream: impl AsFd + IsTerminal) -> Printable {
    let size = if stream.is_terminal() { tcgetwinsize(stream).ok() } else { None };
    match size.map(|size| usize::from(size.ws_col)) {
        // A terminal without a size is a recorder, such as script(1).
        None | Some(0) => text,
        Some(columns) => text.arranged(|text| wrap(text, columns)),
    }
}

fn wrap(text: &str, columns: usize) -> String {
    // A user could not copy a broken path or host.
    let whole_words = Options::new(columns)
        .subsequent_indent(INDENT)
        .break_words(false)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(text, whole_words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_between_words_only() {
        assert_eq!(wrap("one two three", 80), "one two three");
        assert_eq!(wrap("one two three", 9), "one two\n  three");
        assert_eq!(wrap("one two three", 7), "one two\n  three");
        assert_eq!(wrap("  next: do it", 9), "  next:\n  do it");
        assert_eq!(wrap("a/very/long/path", 5), "a/very/long/path");
        assert_eq!(wrap("", 5), "");
    }
}
