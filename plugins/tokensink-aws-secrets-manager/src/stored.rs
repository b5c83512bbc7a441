//! Rejects stored values that must not be replaced, and finds copies of the token.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use tokensink_core::{Fingerprint, NearbyValue, SinkError, StoredValue, has_token_form};

/// The number of keys of a JSON document that an error names, and the maximum length of each.
const MAX_KEYS_NAMED: usize = 8;
const MAX_KEY_CHARS: usize = 40;

/// Returns an error for a value that was recognized as something other than a token. `place` names it in
/// the message, such as ``its key `T` ``.
pub(crate) fn refuse_unless_replaceable(
    place: &str,
    value: &str,
    is_whole: bool,
) -> Result<(), SinkError> {
    let stored = StoredValue::of(value);
    let Some(obstacle) = stored.obstacle() else { return Ok(()) };
    let (seems, help) = match &stored {
        StoredValue::Json(keys) => {
            let help = if keys.is_empty() || !is_whole {
                "name a key at the top level whose value is the token itself"
            } else {
                "set `json_key` to the key that contains the token"
            };
            (json_document(keys), help.to_owned())
        }
        StoredValue::DamagedJson if is_whole => (
            obstacle,
            "repair it, and name the key that holds the token with `json_key`".to_owned(),
        ),
        StoredValue::DamagedJson => (obstacle, "repair it".to_owned()),
        StoredValue::Reference => (obstacle, "write to the place that it refers to".to_owned()),
        StoredValue::Encrypted(tool) => (obstacle, format!("write the value with {tool}")),
        _ => (obstacle, "write to the place that the value comes from".to_owned()),
    };
    Err(SinkError::rejected(format!("{place} seems to be {seems}"))
        .with_help(format!("{help}, or set `replace = \"anything\"` to overwrite it")))
}

fn json_document(keys: &[String]) -> String {
    if keys.is_empty() {
        return "a JSON document".to_owned();
    }
    let named = keys.iter().take(MAX_KEYS_NAMED);
    let mut names: Vec<String> =
        named.map(|key| key.chars().take(MAX_KEY_CHARS).collect()).collect();
    if let Some(more) = keys.len().checked_sub(MAX_KEYS_NAMED).filter(|more| *more > 0) {
        names.push(format!("and {more} more"));
    }
    format!("a JSON document with the keys {}", names.join(", "))
}

/// Returns the texts anywhere in `json` that have the form of a token, except the values of `keys` at its
/// top level. Returns nothing if `json` is not JSON.
pub(crate) fn copies(json: &str, keys: &[String]) -> Vec<NearbyValue> {
    let mut found = Vec::new();
    let path = Path { parent: None, step: Step::Root };
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let walk = Walk { path: &path, keys, found: &mut found };
    // The texts before a syntax error are returned, too.
    let _ = walk.deserialize(&mut deserializer);
    found
}

/// The path of a value in a JSON document.
#[derive(Clone, Copy)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else { return Ok(()) };
        write!(f, "{parent}")?;
        match self.step {
            Step::Root => Ok(()),
            Step::Key(key) if matches!(parent.step, Step::Root) => f.write_str(key),
            Step::Key(key) => write!(f, ".{key}"),
            Step::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Visits every value without copying the document, which contains other secrets.
struct Walk<'a> {
    path: &'a Path<'a>,
    keys: &'a [String],
    found: &'a mut Vec<NearbyValue>,
}

impl Walk<'_> {
    fn is_our_key(&self) -> bool {
        match (self.path.parent, self.path.step) {
            (Some(Path { step: Step::Root, .. }), Step::Key(key)) => {
                self.keys.iter().any(|ours| ours == key)
            }
            _ => false,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if has_token_form(text) && !self.is_our_key() {
            let place = format!("key {}", self.path);
            self.found.push(NearbyValue::new(place, Some(Fingerprint::of(text))));
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let path = Path { parent: Some(self.path), step: Step::Key(&key) };
            map.next_value_seed(Walk { path: &path, keys: self.keys, found: self.found })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        for index in 0.. {
            let path = Path { parent: Some(self.path), step: Step::Index(index) };
            let walk = Walk { path: &path, keys: self.keys, found: self.found };
            if items.next_element_seed(walk)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}
