//! Sentences broken between words, on a terminal. What a script or a log reads stays in one line.

use std::io::IsTerminal;
use std::os::fd::AsFd;

use rustix::termios::tcgetwinsize;

/// Before the second and all later lines.
const INDENT: &str = "  ";

/// `text`, fit for whoever reads `stream`.
pub(super) fn fit(text: &str, stream: impl AsFd + IsTerminal) -> String {
    let size = if stream.is_terminal() { tcgetwinsize(stream).ok() } else { None };
    match size.map(|size| usize::from(size.ws_col)) {
        // A terminal without a size is somebody's recorder.
        None | Some(0) => text.to_owned(),
        Some(columns) => wrapped(text, columns),
    }
}

fn wrapped(text: &str, columns: usize) -> String {
    let mut lines = String::new();
    let mut length = 0;
    for (index, word) in text.split(' ').enumerate() {
        let letters = word.chars().count();
        if index > 0 && length > INDENT.len() && length + 1 + letters > columns {
            lines += "\n";
            lines += INDENT;
            length = INDENT.len();
        } else if index > 0 {
            lines.push(' ');
            length += 1;
        }
        lines += word;
        length += letters;
    }
    lines
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
