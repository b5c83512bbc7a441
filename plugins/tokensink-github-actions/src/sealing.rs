//! Encrypts sealed boxes like libsodium's `crypto_box_seal`
//! (doc.libsodium.org/public-key_cryptography/sealed_boxes), in two steps: the slow step, which computes
//! the ephemeral key and the shared secret, is done before the token is known.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blake2::digest::consts::U24;
use blake2::{Blake2b, Digest as _};
use crypto_box::aead::{Aead as _, OsRng};
use crypto_box::{Nonce, PublicKey, SalsaBox, SecretKey};
use tokensink_core::{SinkError, Token};

/// The public key of a repository, an environment or an organization.
#[derive(Clone, Debug)]
pub(crate) struct SealingKey {
    id: String,
    key: PublicKey,
}

/// A prepared sealed box without a token.
pub(crate) struct Envelope {
    key_id: String,
    ephemeral: PublicKey,
    nonce: Nonce,
    cipher: SalsaBox,
}

/// An encrypted token as GitHub accepts it.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// The sealed box in base64.
    pub(crate) encrypted_value: String,
    pub(crate) key_id: String,
}

impl SealingKey {
    pub(crate) fn new(id: String, key: [u8; 32]) -> Self {
        Self { id, key: PublicKey::from(key) }
    }

    pub(crate) fn envelope(&self) -> Envelope {
        let secret = SecretKey::generate(&mut OsRng);
        let ephemeral = secret.public_key();
        let nonce = Blake2b::<U24>::new()
            .chain_update(ephemeral.as_bytes())
            .chain_update(self.key.as_bytes())
            .finalize();
        let cipher = SalsaBox::new(&self.key, &secret);
        Envelope { key_id: self.id.clone(), ephemeral, nonce, cipher }
    }
}

impl Envelope {
    /// Encrypts a token. It consumes the envelope, because two tokens under one nonce would reveal both.
    pub(crate) fn seal(self, token: &Token) -> Result<Sealed, SinkError> {
        let encrypted = self.cipher.encrypt(&self.nonce, token.expose().as_bytes());
        let encrypted = encrypted.map_err(|_| SinkError::other("cannot encrypt the token"))?;
        let sealed = [self.ephemeral.as_bytes().as_slice(), &encrypted].concat();
        Ok(Sealed { encrypted_value: STANDARD.encode(sealed), key_id: self.key_id })
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_of_the_key_can_decrypt_a_box() {
        let (owner, other) = (SecretKey::generate(&mut OsRng), SecretKey::generate(&mut OsRng));
        let key = SealingKey::new("1".to_owned(), *owner.public_key().as_bytes());
        let sealed = key.envelope().seal(&Token::new("secret")).unwrap();
        let bytes = STANDARD.decode(&sealed.encrypted_value).unwrap();
        assert_eq!(owner.unseal(&bytes).unwrap(), b"secret");
        assert!(other.unseal(&bytes).is_err());
        let again = key.envelope().seal(&Token::new("secret")).unwrap();
        assert_ne!(sealed.encrypted_value, again.encrypted_value);
    }
}
