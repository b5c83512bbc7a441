//! A QStash as the Developer API describes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use tokensink_core::{Fingerprint, Issued, Secret, Token};

/// The used fields of a `QStashUser` of the Developer API. None of its fields is documented as
/// required (upstash.com/docs/devops/developer-api).
#[derive(Deserialize)]
pub(crate) struct User {
    #[serde(default)]
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) region: String,
    #[serde(default, deserialize_with = "secret")]
    token: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    read_only_token: Option<Secret>,
    #[serde(default, deserialize_with = "secret")]
    password: Option<Secret>,
}

impl User {
    /// Returns the token and the fingerprints of the other secrets, or `None` without a token.
    pub(crate) fn issued(self) -> Option<Issued> {
        let token = Token::from(self.token.filter(|token| !token.is_empty())?);
        let others = [("read_only_token", self.read_only_token), ("password", self.password)];
        let others: BTreeMap<String, Fingerprint> = others
            .into_iter()
            .filter_map(|(field, secret)| {
                Some((field.to_owned(), Fingerprint::of(secret?.expose())))
            })
            .collect();
        Some(Issued::new(token).with_others(others))
    }
}

/// What a token may do, according to the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// The token of a QStash of the account. It can publish.
    Full,
    /// The read-only token of a QStash of the account. It cannot publish.
    ReadOnly {
        /// The id of the QStash.
        id: String,
        /// Its region.
        region: String,
    },
    /// Not a token of any QStash of the account.
    NotOfTheAccount,
}

impl TokenKind {
    /// Compares `token` with those of `users`.
    pub(crate) fn among(users: &[User], token: &Token) -> Self {
        let is_it = |secret: &Option<Secret>| {
            secret.as_ref().is_some_and(|secret| secret.expose() == token.expose())
        };
        if users.iter().any(|user| is_it(&user.token)) {
            return Self::Full;
        }
        match users.iter().find(|user| is_it(&user.read_only_token)) {
            Some(user) => Self::ReadOnly { id: user.id.clone(), region: user.region.clone() },
            None => Self::NotOfTheAccount,
        }
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}
