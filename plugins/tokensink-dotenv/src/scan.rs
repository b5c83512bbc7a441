//! Where a variable's value stands in the bytes of a `.env` file.
//!
//! Tolerant line by line, because readers are: an unbalanced quote ends with its line, and only a
//! quoted value that is closed properly on a later line spans lines.

use std::ops::Range;

/// One active assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) key: String,
    /// What is replaced: the value without its quotes, or with them where they must go.
    pub(crate) span: Range<usize>,
    /// The value as every reader sees it, as far as they agree.
    pub(crate) value: Range<usize>,
    /// Counted from one.
    pub(crate) line: usize,
    /// A `#…` without a blank before it: some readers cut there, others do not.
    pub(crate) has_glued_comment: bool,
}

/// The active assignments of `keys`, in the order of the file.
pub(crate) fn assignments(bytes: &[u8], keys: &[String]) -> Vec<Assignment> {
    let mut found = all_assignments(bytes);
    found.retain(|one| keys.contains(&one.key));
    found
}

/// Every active assignment, in the order of the file.
pub(crate) fn all_assignments(bytes: &[u8]) -> Vec<Assignment> {
    let mut found = Vec::new();
    let mut start = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let mut line = 1;
    while start < bytes.len() {
        let mut next = end_of_line(bytes, start) + 1;
        if let Some((key, after)) = key_of_line(bytes, start, b'=') {
            let value = read_value(bytes, after);
            next = next.max(end_of_line(bytes, value.span.end) + 1);
            let Value { span, value, has_glued_comment } = value;
            found.push(Assignment { key, span, value, line, has_glued_comment });
        }
        line += bytes[start..next.min(bytes.len())].iter().filter(|byte| **byte == b'\n').count();
        start = next;
    }
    found
}

/// Whether `key: value`, which only some readers understand, stands in the file.
pub(crate) fn has_colon_assignment(bytes: &[u8], key: &str) -> bool {
    let mut start = 0;
    while start < bytes.len() {
        if key_of_line(bytes, start, b':').is_some_and(|(found, _)| found == key) {
            return true;
        }
        start = end_of_line(bytes, start) + 1;
    }
    false
}

/// The key of the line at `start`, and where what follows `separator` begins.
fn key_of_line(bytes: &[u8], start: usize, separator: u8) -> Option<(String, usize)> {
    let mut at = skip_blanks(bytes, start);
    if let Some(rest) = bytes[at..].strip_prefix(b"export")
        && rest.first().is_some_and(|byte| is_blank(*byte))
    {
        at = skip_blanks(bytes, at + b"export".len());
    }
    let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    let length = bytes[at..].iter().take_while(|byte| is_key(byte)).count();
    let key = std::str::from_utf8(&bytes[at..at + length]).ok().filter(|key| !key.is_empty())?;
    let equals = skip_blanks(bytes, at + length);
    (bytes.get(equals) == Some(&separator)).then(|| (key.to_owned(), equals + 1))
}

struct Value {
    span: Range<usize>,
    value: Range<usize>,
    has_glued_comment: bool,
}

/// The value that begins after the `=` at `after - 1`.
fn read_value(bytes: &[u8], after: usize) -> Value {
    let start = skip_blanks(bytes, after);
    if let Some(quote @ (b'"' | b'\'' | b'`')) = bytes.get(start).copied()
        && let Some(close) = closing_quote(bytes, start)
    {
        let value = start + 1..close;
        let span = if quote == b'`' { start..close + 1 } else { value.clone() };
        return Value { span, value, has_glued_comment: false };
    }
    bare_value(bytes, after, start)
}

fn bare_value(bytes: &[u8], after: usize, start: usize) -> Value {
    let end = trim_end(bytes, start, end_of_line(bytes, start));
    let is_comment = |at: &usize| {
        bytes[*at] == b'#' && at.checked_sub(1).is_some_and(|before| is_blank(bytes[before]))
    };
    let end = match (start..end).find(is_comment) {
        // `KEY= # note`: the value is empty, and stands before the blank.
        Some(comment) if comment == start => return empty_value(after),
        Some(comment) => trim_end(bytes, start, comment),
        None => end,
    };
    let has_glued_comment = bytes[start..end].contains(&b'#');
    Value { span: start..end, value: start..end, has_glued_comment }
}

fn empty_value(at: usize) -> Value {
    Value { span: at..at, value: at..at, has_glued_comment: false }
}

/// The quote that closes the one at `open`: what follows it on its line must be blank or a comment.
fn closing_quote(bytes: &[u8], open: usize) -> Option<usize> {
    let quote = bytes[open];
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' => at += 1,
            byte if byte == quote => {
                let rest = skip_blanks(bytes, at + 1);
                let closes =
                    rest >= end_of_line(bytes, rest) || bytes[rest] == b'\r' || bytes[rest] == b'#';
                return closes.then_some(at);
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn skip_blanks(bytes: &[u8], start: usize) -> usize {
    let start = start.min(bytes.len());
    start + bytes[start..].iter().take_while(|byte| is_blank(**byte)).count()
}

fn trim_end(bytes: &[u8], start: usize, end: usize) -> usize {
    let kept = bytes[start..end].iter().rposition(|byte| !is_blank(*byte) && *byte != b'\r');
    kept.map_or(start, |last| start + last + 1)
}

/// The position of the line's `\n`, or the end of the file.
fn end_of_line(bytes: &[u8], start: usize) -> usize {
    let start = start.min(bytes.len());
    let newline = bytes[start..].iter().position(|byte| *byte == b'\n');
    newline.map_or(bytes.len(), |offset| start + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<usize> {
        let found = assignments(text.as_bytes(), &["K".to_owned()]);
        found.iter().map(|assignment| assignment.line).collect()
    }

    #[test]
    fn lines_are_counted_through_values_of_several() {
        assert_eq!(lines("K=1\n\n# c\nK=2"), [1, 4]);
        assert_eq!(lines("A=\"one\ntwo\nthree\"\nK=2\nK=3\n"), [4, 5]);
        assert_eq!(lines("\u{feff}K=1\r\nK=2\r\n"), [1, 2]);
        assert_eq!(lines("K=\nK="), [1, 2]);
        assert_eq!(lines(""), [0; 0]);
    }

    #[test]
    fn a_colon_in_the_place_of_the_sign_is_noticed() {
        for text in ["K: 1", "A=1\nexport K: 1\n", "\n  K : 1\n"] {
            assert!(has_colon_assignment(text.as_bytes(), "K"), "{text}");
        }
        for text in ["", "K=1:2\n", "AK: 1\n", "# K: 1\n", "K"] {
            assert!(!has_colon_assignment(text.as_bytes(), "K"), "{text}");
        }
    }
}
