//! `Authorization` headers. What is built on the way to one is wiped; the header itself is marked,
//! so that it is shown nowhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderValue, InvalidHeaderValue};
use zeroize::Zeroizing;

/// `Bearer` and the token.
///
/// # Errors
///
/// When no header can carry it.
pub fn bearer(token: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    marked(&Zeroizing::new(["Bearer ", token].concat()))
}

/// `Basic`, and the user and password in base64.
///
/// # Errors
///
/// None that is known: base64 fits into every header.
pub fn basic(user: &str, password: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let plain = Zeroizing::new([user, ":", password].concat());
    let encoded = Zeroizing::new(STANDARD.encode(plain.as_bytes()));
    marked(&Zeroizing::new(["Basic ", encoded.as_str()].concat()))
}

fn marked(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut header = HeaderValue::from_str(text)?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_as_documented_and_shown_nowhere() {
        let (bearer, basic) = (bearer("token").unwrap(), basic("me@x", "pass:word").unwrap());
        assert_eq!(bearer, "Bearer token");
        assert_eq!(basic, "Basic bWVAeDpwYXNzOndvcmQ=");
        assert_eq!(format!("{bearer:?} {basic:?}"), "Sensitive Sensitive");
        assert!(super::bearer("two\nlines").is_err());
    }
}
