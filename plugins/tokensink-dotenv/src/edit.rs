//! The new bytes of a `.env` file: only the values change.

use tokensink_core::{Content, Fingerprint, HeldValue, SinkError};
use zeroize::Zeroizing;

use crate::dialect::{DIALECTS, Dialect, OURS, refuse_disputed};
use crate::scan::{Assignment, all_assignments_in, assignments, assignments_in};

/// The largest file that is edited.
pub(crate) const MAX_BYTES: u64 = 10 << 20;

/// `bytes` as they will be, with a placeholder about as long as a token.
pub(crate) fn rehearsed(
    bytes: &[u8],
    keys: &[String],
    create: bool,
) -> Result<Zeroizing<Vec<u8>>, SinkError> {
    edited(bytes, keys, &"rehearsal".repeat(10), create)
}

/// `bytes` with `value` in every active assignment of `keys`; missing ones are appended.
pub(crate) fn edited(
    bytes: &[u8],
    keys: &[String],
    value: &str,
    create: bool,
) -> Result<Zeroizing<Vec<u8>>, SinkError> {
    refuse_unportable(value)?;
    refuse_unreadable(bytes)?;
    refuse_disputed(bytes, keys)?;
    let found = assignments(bytes, keys);
    refuse_more_to_a_shell(bytes, &found)?;
    refuse_continued(bytes, &found, missing(keys, &found).next().is_some() && create)?;
    if let Some(key) = missing(keys, &found).next().filter(|_| !create) {
        return Err(SinkError::not_found(format!("contains no {key}"))
            .with_help("add the line, or set `create = true`"));
    }
    let edited = replaced(bytes, &found, missing(keys, &found), value);
    if DIALECTS.iter().all(|dialect| reads_as_meant(dialect, bytes, &edited, keys, value)) {
        Ok(edited)
    } else {
        Err(SinkError::rejected("the edited file would not be read back correctly")
            .with_help("balance the quotes in the lines of the variable"))
    }
}

fn replaced<'a>(
    bytes: &[u8],
    found: &[Assignment<'_>],
    appended: impl Iterator<Item = &'a String>,
    value: &str,
) -> Zeroizing<Vec<u8>> {
    let appended: Vec<&String> = appended.collect();
    let names: usize = appended.iter().map(|key| key.len() + "\r\n=\r\n".len()).sum();
    let values = (found.len() + appended.len()) * value.len();
    let size = bytes.len() + names + values;
    let mut edited = Zeroizing::new(Vec::with_capacity(size));
    let mut copied = 0;
    for one in found {
        edited.extend_from_slice(&bytes[copied..one.span.start]);
        edited.extend_from_slice(value.as_bytes());
        copied = one.span.end;
    }
    edited.extend_from_slice(&bytes[copied..]);
    for key in appended {
        append(&mut edited, bytes, key, value);
    }
    debug_assert!(edited.len() <= size, "growing leaves a copy behind that is not zeroized");
    edited
}

/// Whether the same variables are there still, those of `keys` with `value`. A value that is replaced
/// may have held the quote that kept an earlier one from spanning lines, and so others out of it.
fn reads_as_meant(
    dialect: &Dialect,
    before: &[u8],
    after: &[u8],
    keys: &[String],
    value: &str,
) -> bool {
    let old = all_assignments_in(dialect, before);
    let appended = missing(keys, &old).map(String::as_str);
    let expected = old.iter().map(|one| one.key).chain(appended);
    let new = all_assignments_in(dialect, after);
    expected.eq(new.iter().map(|one| one.key)) && holds_in(dialect, after, keys, value)
}

fn missing<'a>(keys: &'a [String], found: &[Assignment]) -> impl Iterator<Item = &'a String> {
    keys.iter().filter(|key| !found.iter().any(|one| one.key == **key))
}

/// What the variables hold. Any reader may be the one that an application uses: where one reads
/// something else than the others, the content is mixed.
pub(crate) fn content(bytes: &[u8], keys: &[String]) -> Content {
    let ours = content_in(&OURS, bytes, keys);
    let mut others = DIALECTS.iter().map(|dialect| content_in(dialect, bytes, keys));
    match others.find(|other| *other != ours) {
        None => ours,
        Some(other) => Content::Mixed([held(&ours), held(&other)].concat()),
    }
}

/// The values of the variables, as any reader sees them: each differing value of a variable once.
pub(crate) fn values(bytes: &[u8], keys: &[String]) -> Vec<(String, Fingerprint)> {
    let mut found = Vec::new();
    for one in DIALECTS.iter().flat_map(|dialect| assignments_in(dialect, bytes, keys)) {
        let value = String::from_utf8_lossy(&bytes[one.value.clone()]);
        let held = (one.key.to_owned(), Fingerprint::of(&value));
        if !found.contains(&held) {
            found.push(held);
        }
    }
    found
}

/// The other variables whose values have the form of a token.
pub(crate) fn nearby(bytes: &[u8], keys: &[String]) -> Vec<(String, Fingerprint)> {
    all_assignments_in(&OURS, bytes)
        .iter()
        .filter(|one| !keys.iter().any(|key| key == one.key))
        .map(|one| (one, HeldValue::of(&String::from_utf8_lossy(&bytes[one.value.clone()]))))
        .filter(|(_, held)| held.has_token_form)
        .map(|(one, held)| (one.key.to_owned(), held.fingerprint))
        .collect()
}

fn content_in(dialect: &Dialect, bytes: &[u8], keys: &[String]) -> Content {
    let found = assignments_in(dialect, bytes, keys);
    if found.is_empty() {
        return Content::Absent;
    }
    let values: Vec<HeldValue> = found
        .iter()
        .map(|one| HeldValue::of(&String::from_utf8_lossy(&bytes[one.value.clone()])))
        .collect();
    let has_every_key = keys.iter().all(|key| found.iter().any(|one| one.key == *key));
    match values.as_slice() {
        [first, rest @ ..] if has_every_key && rest.iter().all(|one| one == first) => {
            Content::Value(first.clone())
        }
        _ => Content::Mixed(values),
    }
}

fn held(content: &Content) -> Vec<HeldValue> {
    match content {
        Content::Value(value) => vec![value.clone()],
        Content::Mixed(values) => values.clone(),
        _ => Vec::new(),
    }
}

/// Whether every key is there, and every assignment of each is `value`.
fn holds_in(dialect: &Dialect, bytes: &[u8], keys: &[String], value: &str) -> bool {
    let found = assignments_in(dialect, bytes, keys);
    let is_there = |key: &String| found.iter().any(|one| one.key == *key);
    keys.iter().all(is_there)
        && found.iter().all(|one| bytes[one.value.clone()] == *value.as_bytes())
}

fn append(edited: &mut Vec<u8>, original: &[u8], key: &str, value: &str) {
    let end_of_line: &[u8] =
        if original.windows(2).any(|pair| pair == b"\r\n") { b"\r\n" } else { b"\n" };
    if !edited.is_empty() && !edited.ends_with(b"\n") {
        edited.extend_from_slice(end_of_line);
    }
    edited.extend_from_slice(key.as_bytes());
    edited.push(b'=');
    edited.extend_from_slice(value.as_bytes());
    edited.extend_from_slice(end_of_line);
}

/// Accepts the characters that no reader needs quotes for, and that no reader expands.
fn refuse_unportable(value: &str) -> Result<(), SinkError> {
    let portable = |c: char| c.is_ascii_alphanumeric() || "+/=_.-".contains(c);
    if !value.is_empty() && value.chars().all(portable) {
        return Ok(());
    }
    Err(SinkError::rejected("the token has a character that dotenv readers do not agree on")
        .with_help("write it manually, quoted as the application's reader requires"))
}

/// Refuses a line above ours that ends in a backslash: shells and systemd join the two, and do not see
/// our variable; other readers do.
fn refuse_continued(
    bytes: &[u8],
    found: &[Assignment<'_>],
    appends: bool,
) -> Result<(), SinkError> {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let mut above: Vec<usize> = found.iter().map(|one| one.line - 1).collect();
    if appends {
        above.push(lines.len() - usize::from(bytes.ends_with(b"\n")));
    }
    let continues = |line: &usize| {
        let text = line.checked_sub(1).and_then(|index| lines.get(index)).copied();
        let backslashes =
            text.unwrap_or_default().iter().rev().take_while(|byte| **byte == b'\\').count();
        backslashes % 2 == 1
    };
    let Some(line) = above.into_iter().find(continues) else { return Ok(()) };
    let problem =
        format!("line {line} ends in a backslash, and some readers join the next one to it");
    Err(SinkError::rejected(problem)
        .with_help("remove the backslash, or add an empty line below it"))
}

/// Refuses text behind the value, or in the next line, that only a shell reads: an edit would remove
/// it, or the beginning of it.
fn refuse_more_to_a_shell(bytes: &[u8], found: &[Assignment<'_>]) -> Result<(), SinkError> {
    for Assignment { key, line, value, .. } in found.iter().filter(|one| one.is_bare) {
        let value = &bytes[value.clone()];
        let word = value.split(|byte| *byte == b'#').next().unwrap_or_default();
        if word.iter().any(|byte| b" \t;&|".contains(byte)) {
            let problem = format!("a shell reads more than the value of {key} in line {line}");
            return Err(SinkError::rejected(problem)
                .with_help("quote the value, or move what follows to another line"));
        }
        if value.ends_with(b"\\") {
            let problem = format!("a shell joins line {line} with the next one");
            return Err(SinkError::rejected(problem).with_help("remove the backslash at its end"));
        }
    }
    Ok(())
}

fn refuse_unreadable(bytes: &[u8]) -> Result<(), SinkError> {
    let lone_cr = || {
        let followed = |at: usize| bytes.get(at + 1) == Some(&b'\n');
        bytes.iter().enumerate().any(|(at, byte)| *byte == b'\r' && !followed(at))
    };
    let (problem, advice) = if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        ("is UTF-16", "save it as UTF-8")
    } else if bytes.contains(&0) {
        ("contains a NUL byte", "name a text file")
    } else if lone_cr() {
        ("has line ends that are a lone carriage return", "save it with \\n line ends")
    } else {
        return Ok(());
    };
    Err(SinkError::rejected(problem).with_help(advice))
}

/// Panics where an edit of `K` changes anything but its values, loses one, or is not idempotent.
#[cfg(any(test, fuzzing))]
pub(crate) fn assert_only_values_change(bytes: &[u8]) {
    const NEW: &str = "bmV3+/_-.==";
    let keys = ["K".to_owned()];
    let outside = |bytes: &[u8]| {
        let mut rest = bytes.to_vec();
        for one in assignments(bytes, &keys).iter().rev() {
            rest.drain(one.span.clone());
        }
        rest
    };
    let Ok(after) = edited(bytes, &keys, NEW, false) else { return };
    assert_eq!(content(&after, &keys), Content::Value(HeldValue::of(NEW)));
    assert_eq!(assignments(&after, &keys).len(), assignments(bytes, &keys).len());
    assert_eq!(outside(&after), outside(bytes));
    assert_eq!(edited(&after, &keys, NEW, false).ok(), Some(after));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEW: &str = "bmV3+/_-.==";

    fn keys() -> Vec<String> {
        vec!["K".to_owned()]
    }

    fn edit(text: &str) -> String {
        let edited = edited(text.as_bytes(), &keys(), NEW, false).unwrap();
        String::from_utf8(edited.to_vec()).unwrap()
    }

    #[test]
    fn only_the_value_changes() {
        for (before, after) in [
            ("K=old", "K=@"),
            ("K=old\n", "K=@\n"),
            ("K=\"old\"\n", "K=\"@\"\n"),
            ("K='old'\n", "K='@'\n"),
            ("K=`old`\n", "K=@\n"),
            ("K=`old`#prod\n", "K=@\n"),
            ("K=`old`# prod\r\nB=1\r\n", "K=@\r\nB=1\r\n"),
            ("K=`old` # prod\n", "K=@ # prod\n"),
            ("export K=old\n", "export K=@\n"),
            ("  K=old\n", "  K=@\n"),
            ("K = old\n", "K = @\n"),
            ("K=old # prod\n", "K=@ # prod\n"),
            ("K=\"old\" # prod\n", "K=\"@\" # prod\n"),
            ("K=\"old\"# prod\n", "K=\"@\"# prod\n"),
            ("K=old # B=1; C=2 \\\n", "K=@ # B=1; C=2 \\\n"),
            ("K='a; b c'\n", "K='@'\n"),
            ("K=old#of B\n", "K=@\n"),
            ("A=1; B=2\nK=old\nC=a b\\\n", "A=1; B=2\nK=@\nC=a b\\\n"),
            ("K=old#prod\n", "K=@\n"),
            ("A=1\r\nK=old\r\nB=2\r\n", "A=1\r\nK=@\r\nB=2\r\n"),
            ("K=\"old\"\r\n", "K=\"@\"\r\n"),
            ("\u{feff}K=old\n", "\u{feff}K=@\n"),
            ("K=first\nK=second\n", "K=@\nK=@\n"),
            ("C=\"x\nK=fake\ny\"\nK=real\n", "C=\"x\nK=fake\ny\"\nK=@\n"),
            ("C='x\nK=fake\ny'\nK=real\n", "C='x\nK=fake\ny'\nK=@\n"),
            ("C='it\\'s'\nK=real\n", "C='it\\'s'\nK=@\n"),
            ("C=it's\nK=real\n", "C=it's\nK=@\n"),
            ("C=don't stop\nK=real\nD=can't\n", "C=don't stop\nK=@\nD=can't\n"),
            ("C='open\nK=real\nD='x'\n", "C='open\nK=@\nD='x'\n"),
            ("K_OLD=a\nMY_K=b\nK=c\n#K=d\n# K=e\n", "K_OLD=a\nMY_K=b\nK=@\n#K=d\n# K=e\n"),
            ("K=\n", "K=@\n"),
            ("K= # note\n", "K=@ # note\n"),
            ("K=\"two\nlines\"\nB=1\n", "K=\"@\"\nB=1\n"),
            ("K=\"a\\\"b\"\n", "K=\"@\"\n"),
            ("K='unclosed\nB=1\n", "K=@\nB=1\n"),
            ("K='a\\'\n", "K='@'\n"),
            ("exportK=1\nK=old", "exportK=1\nK=@"),
            ("A=\"\nK: text\n\"\nK=old\n", "A=\"\nK: text\n\"\nK=@\n"),
            ("# K: text\nAK: 1\nB: 'x'\nK=1:2\n", "# K: text\nAK: 1\nB: 'x'\nK=@\n"),
            ("A='C:\\dir\\'\nK=old\nB='y'\n", "A='C:\\dir\\'\nK=@\nB='y'\n"),
            ("A=\"x\\\\\"\nK=old\nB=\"y\"\n", "A=\"x\\\\\"\nK=@\nB=\"y\"\n"),
        ] {
            assert_eq!(edit(before), after.replace('@', NEW), "{before:?}");
        }
    }

    #[test]
    fn files_that_cannot_be_edited_are_refused_with_a_reason() {
        for (bytes, words) in [
            (&b"A=1\n"[..], "contains no K"),
            (b"# K=1\nK\n", "contains no K"),
            (b"K=a\0", "NUL"),
            (b"\xFF\xFEK\0=\0", "UTF-16"),
            (b"A=1\rK=2\r", "carriage return"),
            (
                "K=old\nK: later\n".as_bytes(),
                "`K: …` in line 2 is an assignment to some readers only",
            ),
            (b"A=1\nexport K : 1\n", "`K: …` in line 2"),
            (b"K=1\nA=\"\n\"\nK:1\n", "`K: …` in line 4"),
            (b"A='don\\'t\nK=fake\nx'\n", "readers disagree about K in line 2"),
            (b"A='don\\'t\nK=fake\nx'\nK=real\n", "readers disagree about K in line 2"),
            (b"K='don\\'t\nx'\n", "readers disagree about K in line 1"),
            (b"A=\"x\\\"\nK=fake\ny\"\nK=real\n", "readers disagree about K in line 2"),
            (b"A=\"x\\\\\"\nK=fake\ny\"\n", "readers disagree about K in line 2"),
            (b"A=`x\nK=fake\ny`\nK=real\n", "readers disagree about K in line 2"),
            (b"A: \"x\nK=fake\ny\"\n", "readers disagree about K in line 2"),
            (b"export K=old B=keep\n", "more than the value of K in line 1"),
            (b"A=1\nK=old\tB=keep # c\n", "more than the value of K in line 2"),
            (b"K=\"old\" B=keep\r\n", "more than the value of K in line 1"),
            (b"K=old; export B=2\n", "more than the value of K in line 1"),
            (b"K=old;B=2\n", "more than the value of K in line 1"),
            (b"K=old& B=2\n", "more than the value of K in line 1"),
            (b"K=old|cat\n", "more than the value of K in line 1"),
            (b"K=one\nK=old\\\nmore\n", "a shell joins line 2 with the next one"),
            // With the stray quote gone, the value of J would close two lines further down.
            (b"J=\"\nK==\"d\n\"\nK=", "would not be read back"),
            (b"J=\"\nK==\"d\nL=1\"\n", "would not be read back"),
        ] {
            let error = edited(bytes, &keys(), NEW, false).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        for token in ["", "a b", "a$b", "a\nb", "a'b", "a#b", "ü"] {
            assert!(edited(b"K=1", &keys(), token, false).is_err(), "{token}");
        }
    }

    #[test]
    fn missing_keys_are_appended_when_asked() {
        let both = vec!["K".to_owned(), "L".to_owned()];
        let append = |text: &str| {
            let edited = edited(text.as_bytes(), &both, NEW, true).unwrap();
            String::from_utf8(edited.to_vec()).unwrap()
        };
        assert_eq!(append(""), format!("K={NEW}\nL={NEW}\n"));
        assert_eq!(append("A=1"), format!("A=1\nK={NEW}\nL={NEW}\n"));
        assert_eq!(append("L=1\r\n"), format!("L={NEW}\r\nK={NEW}\r\n"));
    }

    fn line() -> impl Strategy<Value = String> {
        let key = prop_oneof!["K", "K_OLD", "MY_K", "k", "[A-Z]{1,4}"];
        let value = prop_oneof![
            "[a-zA-Z0-9+/=_.-]{0,12}",
            "\"[a-z #'=\\n]{0,12}\"",
            "'[a-z #\"=\\n]{0,12}'",
            "[ -~äß]{0,12}",
        ];
        let assignment = ("(export )?", key, " ?= ?", value, "( # [a-z]*)?").prop_map(
            |(export, key, equals, value, note)| format!("{export}{key}{equals}{value}{note}"),
        );
        prop_oneof![assignment, "#[ -~]{0,20}", "[ \t]{0,3}", "[ -~]{0,20}"]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn bytes_outside_the_values_never_change(
            lines in proptest::collection::vec(line(), 0..8),
            end_of_line in prop_oneof![Just("\n"), Just("\r\n")],
        ) {
            let text = lines.join("\n").replace('\n', end_of_line);
            assert_only_values_change(text.as_bytes());
        }
    }
}
