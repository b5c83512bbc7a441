//! Types for secrets in memory: they zeroize the value, identify it by a fingerprint and remove it
//! from texts.
//!
//! Reading and storing secrets is the task of the issuer and the plugins.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The replacement of a secret in a text.
const REDACTED: &str = "[redacted]";

/// A credential that must never be shown. It is zeroized when dropped, and it implements neither
/// `Display` nor `Serialize`.
///
/// ```
/// let secret = tokensink_core::Secret::new("hunter2");
/// assert_eq!(format!("{secret:?}"), "Secret([redacted])");
/// ```
///
/// It cannot be printed:
///
/// ```compile_fail
/// println!("{}", tokensink_core::Secret::new("hunter2"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes ownership of `value`. The caller must zeroize any other copy of it.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// Returns the value. Call it only on the line that sends, stores or compares the secret.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the secret without surrounding blanks; see [`trimmed`](crate::trimmed).
    #[must_use]
    pub fn trimmed(self) -> Self {
        let value = crate::trimmed(self.expose());
        if value.len() == self.expose().len() { self } else { Self::new(value) }
    }

    /// Returns whether the value is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns `text` without this secret. It is removed in each form that a server may echo: plain,
    /// percent-encoded, and as base64 (standard and URL-safe, at each of the three alignments that it
    /// can have inside a longer encoded text such as a Basic authorization).
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut redacted = Cow::Borrowed(text);
        for form in self.forms() {
            if redacted.contains(form.as_str()) {
                redacted = Cow::Owned(redacted.replace(form.as_str(), REDACTED));
            }
        }
        redacted
    }

    fn forms(&self) -> Vec<Zeroizing<String>> {
        let plain = self.expose();
        let mut forms = vec![
            Zeroizing::new(plain.to_owned()),
            Zeroizing::new(utf8_percent_encode(plain, NON_ALPHANUMERIC).to_string()),
        ];
        for alignment in 0..3 {
            let mut shifted = Zeroizing::new(vec![0_u8; alignment]);
            shifted.extend_from_slice(plain.as_bytes());
            // Only the first and the last characters depend on the surrounding bytes.
            let first = (alignment * 8).div_ceil(6);
            let last = shifted.len() * 8 / 6;
            for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
                let encoded = Zeroizing::new(engine.encode(shifted.as_slice()));
                if last.saturating_sub(first) >= 8 {
                    forms.push(Zeroizing::new(encoded[first..last].to_owned()));
                }
            }
        }
        forms
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({REDACTED})")
    }
}

/// A QStash token. It is an opaque string: some tokens decode as base64 JSON and some do not.
///
/// ```
/// let token = tokensink_core::Token::new("eyJVc2VySUQiOiJhIn0=");
/// assert_eq!(format!("{token:?}"), "Token(5a01d78bb432)");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Secret);

impl Token {
    /// Takes ownership of `value`. The caller must zeroize any other copy of it.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Secret::new(value))
    }

    /// Returns the value. Call it only in an issuer or a plugin, on the line that sends, stores or
    /// compares the token.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Returns the token's fingerprint, which may be shown and stored.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.expose())
    }

    /// Returns `text` without this token; see [`Secret::redact`].
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.0.redact(text)
    }
}

/// For what removes secrets from texts.
impl AsRef<Secret> for Token {
    fn as_ref(&self) -> &Secret {
        &self.0
    }
}

impl From<Secret> for Token {
    fn from(secret: Secret) -> Self {
        Self(secret)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.fingerprint())
    }
}

/// The first 12 hexadecimal digits of a secret's SHA-256. They suffice to distinguish two tokens, and
/// do not help to guess one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Returns the fingerprint of `secret`, for secrets that are not a [`Token`].
    pub fn of(secret: &str) -> Self {
        let digest = Sha256::digest(secret.as_bytes());
        Self(digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Removes all learned secrets from texts that leave the process.
#[derive(Debug, Default)]
pub struct Redactor {
    secrets: Vec<Secret>,
}

impl Redactor {
    /// Adds `token` to the secrets that are removed.
    pub fn learn(&mut self, token: &Token) {
        if !self.secrets.contains(&token.0) {
            self.secrets.push(token.0.clone());
        }
    }

    /// Returns `text` without the secrets that were learned so far.
    pub fn redact(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| secret.redact(&text).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_a_server_may_echo_is_redacted() {
        let secret = Secret::new("sk/ecret+Value=42==");
        let basic_header = |user: &str| {
            base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", secret.expose()))
        };
        for echoed in [
            "token sk/ecret+Value=42== is bad".to_owned(),
            "token=sk%2Fecret%2BValue%3D42%3D%3D&x=1".to_owned(),
            basic_header("a"),
            basic_header("ab"),
            basic_header("abc"),
            URL_SAFE_NO_PAD.encode(secret.expose()),
        ] {
            let redacted = secret.redact(&echoed);
            assert!(redacted.contains(REDACTED), "{echoed} became {redacted}");
            assert!(!redacted.contains("Value"), "{redacted}");
        }
    }

    #[test]
    fn a_text_without_the_secret_is_unchanged() {
        assert_eq!(Secret::new("").redact("nothing to hide"), "nothing to hide");
        assert!(matches!(Secret::new("absent").redact("here"), Cow::Borrowed("here")));
    }

    #[test]
    fn a_redactor_removes_all_learned_tokens() {
        let mut redactor = Redactor::default();
        redactor.learn(&Token::new("first-token"));
        redactor.learn(&Token::new("second-token"));
        assert_eq!(
            redactor.redact("first-token became second-token"),
            "[redacted] became [redacted]"
        );
    }
}
