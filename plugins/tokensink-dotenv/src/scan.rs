//! Where a variable's value is in the bytes of a `.env` file.
//!
//! Tolerant line by line, because readers are: an unbalanced quote ends with its line, and only a
//! quoted value that is closed properly on a later line spans lines.

use std::ops::Range;

use crate::dialect::{Backslash, Dialect, OURS};

/// One active assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment<'a> {
    pub(crate) key: &'a str,
    /// What is replaced: the value without its quotes, or with them where they must go.
    pub(crate) span: Range<usize>,
    /// The value as every reader sees it, as far as they agree.
    pub(crate) value: Range<usize>,
    /// Counted from one.
    pub(crate) line: usize,
    /// How many more lines the value spans.
    pub(crate) more_lines: usize,
    /// `KEY: value`, which only some readers know.
    pub(crate) has_colon: bool,
    /// A `#…` without a blank before it: some readers cut there, others do not.
    pub(crate) has_glued_comment: bool,
    /// There are no quotes around it.
    pub(crate) is_bare: bool,
}

/// The active assignments of `keys`, in the order of the file.
pub(crate) fn assignments<'a>(bytes: &'a [u8], keys: &[String]) -> Vec<Assignment<'a>> {
    assignments_in(&OURS, bytes, keys)
}

/// The same, as readers of this dialect see it.
pub(crate) fn assignments_in<'a>(
    dialect: &Dialect,
    bytes: &'a [u8],
    keys: &[String],
) -> Vec<Assignment<'a>> {
    let mut found = all_assignments_in(dialect, bytes);
    found.retain(|one| keys.iter().any(|key| key == one.key));
    found
}

/// Every active assignment, in the order of the file.
pub(crate) fn all_assignments_in<'a>(dialect: &Dialect, bytes: &'a [u8]) -> Vec<Assignment<'a>> {
    let mut found = Vec::new();
    let mut start = if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 };
    let mut line = 1;
    while start < bytes.len() {
        let mut next = end_of_line(bytes, start) + 1;
        if let Some(Name { key, has_colon, end }) = name_of_line(dialect, bytes, start) {
            let Value { span, value, has_glued_comment, is_bare } = read_value(dialect, bytes, end);
            next = next.max(end_of_line(bytes, span.end) + 1);
            let more_lines = line_ends(&bytes[span.clone()]);
            found.push(Assignment {
                key,
                span,
                value,
                line,
                more_lines,
                has_colon,
                has_glued_comment,
                is_bare,
            });
        }
        line += line_ends(&bytes[start..next.min(bytes.len())]);
        start = next;
    }
    found
}

/// What a line gives a value to.
struct Name<'a> {
    key: &'a str,
    has_colon: bool,
    /// After the sign.
    end: usize,
}

/// The name in the line at `start`, if it is an assignment.
fn name_of_line<'a>(dialect: &Dialect, bytes: &'a [u8], start: usize) -> Option<Name<'a>> {
    let mut at = skip_blanks(bytes, start);
    if let Some(rest) = bytes[at..].strip_prefix(b"export")
        && rest.first().is_some_and(|byte| is_blank(*byte))
    {
        at = skip_blanks(bytes, at + b"export".len());
    }
    let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    let length = bytes[at..].iter().take_while(|byte| is_key(byte)).count();
    let key = std::str::from_utf8(&bytes[at..at + length]).ok().filter(|key| !key.is_empty())?;
    let sign = skip_blanks(bytes, at + length);
    let has_colon = match bytes.get(sign)? {
        b'=' => false,
        b':' if dialect.knows_colons => true,
        _ => return None,
    };
    Some(Name { key, has_colon, end: sign + 1 })
}

struct Value {
    span: Range<usize>,
    value: Range<usize>,
    has_glued_comment: bool,
    is_bare: bool,
}

/// The value that begins after the sign at `after - 1`.
fn read_value(dialect: &Dialect, bytes: &[u8], after: usize) -> Value {
    let start = skip_blanks(bytes, after);
    if let Some(quote) = bytes.get(start).copied().filter(|byte| dialect.quotes.contains(byte))
        && let Some(close) = closing_quote(dialect.backslash, bytes, start)
    {
        let value = start + 1..close;
        if quote == b'`' {
            return without_backticks(bytes, value);
        }
        return Value { span: value.clone(), value, has_glued_comment: false, is_bare: false };
    }
    bare_value(bytes, after, start)
}

/// Few readers know backticks, so they go. What is glued to them would be glued to a bare value.
fn without_backticks(bytes: &[u8], value: Range<usize>) -> Value {
    let after = value.end + 1;
    let has_glued_comment = bytes.get(after) == Some(&b'#');
    let end =
        if has_glued_comment { trim_end(bytes, after, end_of_line(bytes, after)) } else { after };
    Value { span: value.start - 1..end, value, has_glued_comment, is_bare: false }
}

fn bare_value(bytes: &[u8], after: usize, start: usize) -> Value {
    let end = trim_end(bytes, start, end_of_line(bytes, start));
    let is_comment = |at: &usize| {
        bytes[*at] == b'#' && at.checked_sub(1).is_some_and(|before| is_blank(bytes[before]))
    };
    let end = match (start..end).find(is_comment) {
        // `KEY= # note`: the value is empty, before the blank.
        Some(comment) if comment == start => return empty_value(after),
        Some(comment) => trim_end(bytes, start, comment),
        None => end,
    };
    let has_glued_comment = bytes[start..end].contains(&b'#');
    Value { span: start..end, value: start..end, has_glued_comment, is_bare: true }
}

fn empty_value(at: usize) -> Value {
    Value { span: at..at, value: at..at, has_glued_comment: false, is_bare: true }
}

/// The quote that closes the one at `open`: what follows it on its line must be blank or a comment.
fn closing_quote(backslash: Backslash, bytes: &[u8], open: usize) -> Option<usize> {
    let quote = bytes[open];
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' && backslash == Backslash::Escapes => at += 1,
            b'\\' if bytes.get(at + 1) == Some(&quote) && backslash == Backslash::Shields => {
                at += 1
            }
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

fn line_ends(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
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
}
