//! Sentences broken between words, on a terminal. What a script or a log reads stays in one line.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;
use textwrap::{Options, WordSeparator, WordSplitter};

use super::printable::Printable;

/// Before the second and all later lines.
const INDENT: &str = "  ";

/// Breaks `text` for the width of `stream`, if that is a terminal.
pub(super) fn fit(text: Printable, stream: impl AsFd + IsTerminal) -> Printable {
    let size = if stream.is_terminal() { tcgetwinsize(stream).ok() } else { None };
    match size.map(|size| usize::from(size.ws_col)) {
        // A terminal without a size records what is printed.
        None | Some(0) => text,
        Some(columns) => text.arranged(|text| wrapped(text, columns)),
    }
}

fn wrapped(text: &str, columns: usize) -> String {
    // A path or a host that is broken could not be copied.
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
    fn lines_are_broken_between_words_only() {
        assert_eq!(wrapped("one two three", 80), "one two three");
        assert_eq!(wrapped("one two three", 9), "one two\n  three");
        assert_eq!(wrapped("one two three", 7), "one two\n  three");
        assert_eq!(wrapped("  next: do it", 9), "  next:\n  do it");
        assert_eq!(wrapped("a/very/long/path", 5), "a/very/long/path");
        assert_eq!(wrapped("", 5), "");
    }
}
