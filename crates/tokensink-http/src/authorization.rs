//! Builds `Authorization` headers. Intermediate copies of the secret are zeroized, and the header is
//! marked as sensitive, so that `Debug` does not show it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderValue, InvalidHeaderValue};
use zeroize::Zeroizing;

/// Returns the header `Bearer TOKEN`.
///
/// # Errors
///
/// When the token contains characters that are not allowed in a header.
pub fn bearer(token: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    sensitive(&Zeroizing::new(["Bearer ", token].concat()))
}

/// Returns the header `Basic` with the user and the password in base64.
///
/// # Errors
///
/// Never in practice, because base64 is always allowed in a header.
pub fn basic(user: &str, password: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let plain = Zeroizing::new([user, ":", password].concat());
    let encoded = Zeroizing::new(STANDARD.encode(plain.as_bytes()));
    sensitive(&Zeroizing::new(["Basic ", encoded.as_str()].concat()))
}

fn sensitive(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut header = HeaderValue::from_str(text)?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_of_a_header_does_not_contain_the_secret() {
        let (bearer, basic) = (bearer("token").unwrap(), basic("me@x", "pass:word").unwrap());
        assert_eq!(bearer, "Bearer token");
        assert_eq!(basic, "Basic bWVAeDpwYXNzOndvcmQ=");
        assert_eq!(format!("{bearer:?} {basic:?}"), "Sensitive Sensitive");
        assert!(super::bearer("two\nlines").is_err());
    }
}
