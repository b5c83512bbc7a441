//! Puts the token into a secret's value and keeps every other byte.

use std::fmt;
use std::ops::Range;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use tokensink_core::{Content, HeldValue, NearbyValue, SinkError, StoredValue, Token};
use zeroize::Zeroizing;

use crate::stored;

/// The maximum length of a value (docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html).
const MAX_VALUE_BYTES: usize = 65_536;

/// The minimum length that is assumed for a token that is not known yet.
const ROOM_FOR_A_TOKEN: usize = 1024;

/// The place of the token in a secret's value.
#[derive(Clone, Debug)]
pub(crate) enum Shape {
    /// The whole value is the token.
    Plain,
    /// The value is a JSON object, and these keys contain the token.
    Keys(Vec<String>),
}

impl Shape {
    /// Returns the keys that contain the token. Empty if the whole value is the token.
    pub(crate) fn keys(&self) -> &[String] {
        match self {
            Self::Plain => &[],
            Self::Keys(keys) => keys,
        }
    }

    /// Returns the new value. `current` is empty for a secret that does not exist yet.
    pub(crate) fn merged(
        &self,
        current: &str,
        token: &Token,
        create: bool,
    ) -> Result<Zeroizing<String>, SinkError> {
        let merged = self.merge(current, token, create)?;
        if merged.len() <= MAX_VALUE_BYTES {
            return Ok(merged);
        }
        Err(SinkError::rejected("the value would be longer than 64 KB")
            .with_help("use another secret"))
    }

    fn merge(
        &self,
        current: &str,
        token: &Token,
        create: bool,
    ) -> Result<Zeroizing<String>, SinkError> {
        let Self::Keys(keys) = self else { return Ok(Zeroizing::new(token.expose().to_owned())) };
        let unwritable = |error: serde_json::Error| {
            SinkError::other("the token could not be written as JSON").with_source(error)
        };
        let quoted: Zeroizing<String> =
            Zeroizing::new(serde_json::to_string(token.expose()).map_err(unwritable)?);
        let mut merged = Zeroizing::new(if current.is_empty() { "{}" } else { current }.to_owned());
        for key in keys {
            merged = with_key(&merged, key, &quoted, create)?;
        }
        Ok(merged)
    }

    /// Checks that a token can be merged into the value.
    pub(crate) fn check(&self, current: &str, create: bool) -> Result<(), SinkError> {
        let room = self.longest_text(current).max(ROOM_FOR_A_TOKEN);
        self.merged(current, &Token::new("x".repeat(room)), create).map(drop)
    }

    /// Checks that the replaced values were not recognized as something other than a token.
    pub(crate) fn refuse_unless_replaceable(&self, current: &str) -> Result<(), SinkError> {
        let Self::Keys(keys) = self else {
            return stored::refuse_unless_replaceable("its value", current, true);
        };
        // An empty value may be replaced.
        let entries = if current.is_empty() { Vec::new() } else { entries(current)? };
        for (key, span) in entries.into_iter().filter(|(name, _)| keys.contains(name)) {
            let place = format!("the value of its key `{key}`");
            stored::refuse_unless_replaceable(&place, &text_of(&current[span]), false)?;
        }
        Ok(())
    }

    /// Returns copies of a token in other keys of the same secret.
    pub(crate) fn copies(&self, current: &str) -> Vec<NearbyValue> {
        match self {
            Self::Plain => Vec::new(),
            Self::Keys(keys) => stored::copies(current, keys),
        }
    }

    /// Returns the length of the longest current token, or 0.
    fn longest_text(&self, current: &str) -> usize {
        let (Self::Keys(keys), Ok(entries)) = (self, entries(current)) else { return 0 };
        let ours = entries.into_iter().filter(|(name, _)| keys.contains(name));
        let texts = ours.map(|(_, span)| &current[span]).filter(|text| text.starts_with('"'));
        texts.map(|text| text.len() - "\"\"".len()).max().unwrap_or_default()
    }

    /// Returns the content that an application reads: the whole value, or the values of the keys.
    pub(crate) fn content(&self, current: &str) -> Content {
        let Self::Keys(keys) = self else { return Content::Value(HeldValue::of(current)) };
        // A value that is not an object is identified as a whole.
        let Ok(entries) = entries(current) else { return Content::Value(HeldValue::of(current)) };
        let mut held: Vec<HeldValue> = keys
            .iter()
            .map(|key| match entries.iter().find(|(name, _)| name == key) {
                Some((_, span)) => HeldValue::of(&text_of(&current[span.clone()])),
                None => HeldValue::of(""),
            })
            .collect();
        if keys.iter().all(|key| entries.iter().all(|(name, _)| name != key)) {
            return Content::Absent;
        }
        if held.iter().any(|other| *other != held[0]) {
            return Content::Mixed(held);
        }
        Content::Value(held.swap_remove(0))
    }
}

/// Returns a JSON value as an application reads it: a string without its quotes, anything else
/// unchanged.
fn text_of(json: &str) -> Zeroizing<String> {
    let text = serde_json::from_str::<String>(json);
    Zeroizing::new(text.unwrap_or_else(|_| json.to_owned()))
}

fn with_key(
    text: &str,
    key: &str,
    quoted: &str,
    create: bool,
) -> Result<Zeroizing<String>, SinkError> {
    let entries = entries(text)?;
    let mut merged =
        Zeroizing::new(String::with_capacity(text.len() + key.len() + quoted.len() + 8));
    if let Some((_, span)) = entries.iter().find(|(name, _)| name == key) {
        merged.push_str(&text[..span.start]);
        merged.push_str(quoted);
        merged.push_str(&text[span.end..]);
        return Ok(merged);
    }
    if !create {
        return Err(SinkError::not_found(format!("its JSON has no key `{key}`"))
            .with_help("add the key, or set `create = true`"));
    }
    let end =
        entries.last().map_or_else(|| text.find('{').map_or(0, |at| at + 1), |(_, span)| span.end);
    merged.push_str(&text[..end]);
    if !entries.is_empty() {
        merged.push(',');
    }
    merged.push_str(&serde_json::Value::from(key).to_string());
    merged.push(':');
    merged.push_str(quoted);
    merged.push_str(&text[end..]);
    Ok(merged)
}

/// A key, and the position of its value.
type Entry = (String, Range<usize>);

/// Returns the keys of a JSON object, with the positions of their values in its text.
fn entries(text: &str) -> Result<Vec<Entry>, SinkError> {
    struct Entries<'a>(&'a str);

    impl<'de> Visitor<'de> for Entries<'de> {
        type Value = Vec<Entry>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a JSON object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                let start = value.get().as_ptr() as usize - self.0.as_ptr() as usize;
                entries.push((key, start..start + value.get().len()));
            }
            Ok(entries)
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = deserializer.deserialize_map(Entries(text)).and_then(|entries| {
        deserializer.end()?;
        Ok(entries)
    });
    // The parser's own message could quote the value.
    let entries = read.map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        let help = match StoredValue::of(text) {
            StoredValue::DamagedJson => "repair it, for example in the AWS console",
            _ => "leave `json_key` out if the whole value is the token",
        };
        SinkError::rejected(format!("its value is not a JSON object ({place})")).with_help(help)
    })?;
    for (index, (key, _)) in entries.iter().enumerate() {
        if entries[..index].iter().any(|(earlier, _)| earlier == key) {
            return Err(SinkError::rejected(
                "its JSON has a key twice, which readers take differently",
            )
            .with_help("remove one of them"));
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(current: &str, create: bool) -> Result<String, SinkError> {
        let keys = Shape::Keys(vec!["T".to_owned(), "é\"".to_owned()]);
        keys.merged(current, &Token::new("new\"1"), create).map(|merged| merged.to_string())
    }

    #[test]
    fn a_merge_keeps_every_other_byte() {
        let before =
            "{ \"z\": 1.50e10,\n\t\"T\" : \"old\", \"é\\\"\":null, \"n\":{\"T\":\"x\",\"T\":1} }\n";
        let after = "{ \"z\": 1.50e10,\n\t\"T\" : \"new\\\"1\", \"é\\\"\":\"new\\\"1\", \"n\":{\"T\":\"x\",\"T\":1} }\n";
        assert_eq!(merged(before, false).unwrap(), after);
        let keys = Shape::Keys(vec!["T".to_owned()]);
        assert_eq!(keys.content(after), Content::Value(HeldValue::of("new\"1")));
        assert_eq!(keys.content(before), Content::Value(HeldValue::of("old")));
    }

    #[test]
    fn missing_keys_are_added_with_create_only() {
        assert!(merged("{}", false).unwrap_err().to_string().contains("no key `T`"));
        assert_eq!(merged("", true).unwrap(), r#"{"T":"new\"1","é\"":"new\"1"}"#);
        assert_eq!(
            merged(r#"{ "a": 1 }"#, true).unwrap(),
            r#"{ "a": 1,"T":"new\"1","é\"":"new\"1" }"#
        );
    }

    #[test]
    fn the_error_for_a_value_that_is_not_an_object_does_not_show_it() {
        for (text, words) in [
            ("s3cret", "not a JSON object"),
            ("[\"s3cret\"]", "not a JSON object"),
            ("{\"T\":\"s3cret\"} x", "not a JSON object"),
            ("{\"T\":\"s3cret\",\"T\":1}", "twice"),
        ] {
            let error = merged(text, true).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("s3cret"), "{error}");
        }
    }
}
