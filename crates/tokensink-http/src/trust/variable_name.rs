//! Names of environment variables. Users sometimes paste the secret itself in place of the name.

use std::fmt;

use crate::looks_like_a_token;

/// The prefixes of GitHub's tokens
/// (github.blog/2021-04-05-behind-githubs-new-authentication-token-formats).
const TOKEN_PREFIXES: &[&str] = &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"];

/// The name of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableName(String);

/// The error for a text that is not the name of a variable. It does not contain the text, which may be
/// the secret itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of an environment variable")]
pub struct InvalidVariableName;

impl VariableName {
    /// Parses a name.
    ///
    /// # Errors
    ///
    /// When the text is not a valid name, or may be a secret.
    pub fn parse(text: &str) -> Result<Self, InvalidVariableName> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.chars().all(is_word)
            && !TOKEN_PREFIXES.iter().any(|prefix| text.starts_with(prefix))
            // GitHub's oldest tokens have forty hexadecimal digits.
            && (text.contains('_') || !looks_like_a_token(text));
        if is_name { Ok(Self(text.to_owned())) } else { Err(InvalidVariableName) }
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_accepted_and_secrets_are_not() {
        for name in ["CI_TOKEN", "_x", "ci_token_2", "ACME_GITHUB_TOKEN_FOR_THE_SECRETS_OF_TEAM_2"]
        {
            assert!(VariableName::parse(name).is_ok(), "{name}");
        }
        for text in [
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "e72e16c7e42f292c6912e7710c838347ae178b4a",
            "not a name",
            "7NAME",
            "A=b",
            "",
        ] {
            assert_eq!(VariableName::parse(text), Err(InvalidVariableName), "{text}");
        }
    }
}
