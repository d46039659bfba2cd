//! What leaves the process sealed: login state in cookies, providers' refresh tokens in the database; and marks of our own tokens.

use std::{io, path::Path};

use aws_lc_rs::{
    aead::{self, Aad, Nonce, RandomizedNonceKey},
    hmac,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{id, secret};

const KEY_LEN: usize = 32;
/// Bytes of a mark: 128 bits are beyond guessing online.
const MARK_LEN: usize = 16;

/// The keys derived from `<state>/seal.key`.
pub(super) struct Seal {
    aead: RandomizedNonceKey,
    mark: hmac::Key,
}

impl Seal {
    /// Reads `<state>/seal.key` (32 bytes, 0600), or makes it at first start. Blocks on files.
    pub(super) fn open(state: &Path) -> io::Result<Self> {
        let master = secret::kept_key::<KEY_LEN>(state, "seal.key").map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => damaged(),
            _ => error,
        })?;
        let master = hmac::Key::new(hmac::HMAC_SHA256, master.as_slice());
        let derive = |label: &[u8]| hmac::sign(&master, label);
        Ok(Self {
            aead: RandomizedNonceKey::new(&aead::AES_256_GCM, derive(b"hoopctl seal 1").as_ref())
                .map_err(|_| damaged())?,
            mark: hmac::Key::new(hmac::HMAC_SHA256, derive(b"hoopctl mark 1").as_ref()),
        })
    }

    /// Encrypts for `context`; only the same context opens it again. `None` if encryption fails.
    pub(super) fn seal(&self, context: &str, plain: &[u8]) -> Option<Vec<u8>> {
        let mut body = plain.to_vec();
        let nonce = self.aead.seal_in_place_append_tag(Aad::from(context.as_bytes()), &mut body).ok()?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut body);
        Some(sealed)
    }

    /// Decrypts what [`Self::seal`] made for the same context; `None` for anything else.
    pub(super) fn open_sealed(&self, context: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, body) = sealed.split_at_checked(aead::NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self.aead.open_in_place(nonce, Aad::from(context.as_bytes()), &mut body).ok()?.len();
        body.truncate(length);
        Some(body)
    }

    /// A token that only this gateway can have made, for a session: random bytes and a mark over both.
    pub(super) fn marked_token(&self, session: &str) -> secret::SecretString {
        let random: [u8; MARK_LEN] = id::random();
        let mut secret = random.to_vec();
        secret.extend(self.mark_of(session, &random).as_ref().iter().take(MARK_LEN));
        format!("{session}.{}", URL_SAFE_NO_PAD.encode(secret)).into()
    }

    /// The session a token of [`Self::marked_token`] was made for, however old the token is.
    pub(super) fn session_of<'a>(&self, token: &'a str) -> Option<&'a str> {
        let (session, secret) = token.rsplit_once('.')?;
        let secret = URL_SAFE_NO_PAD.decode(secret).ok()?;
        let (random, mark) = secret.split_at_checked(MARK_LEN)?;
        let expected = self.mark_of(session, random);
        secret::same(expected.as_ref().get(..MARK_LEN)?, mark).then_some(session)
    }

    /// What forms on the pages of a session must bring back; nobody but this gateway can make it.
    pub(super) fn form_token(&self, session: &str) -> String {
        URL_SAFE_NO_PAD.encode(self.mark_of("form", session.as_bytes()))
    }

    fn mark_of(&self, session: &str, random: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.mark);
        context.update(session.as_bytes());
        context.update(b".");
        context.update(random);
        context.sign()
    }
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "it is damaged; restore it from a backup, or remove it: then everybody logs in again",
    )
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn seal() -> (tempfile::TempDir, Seal) {
        let dir = tempfile::tempdir().unwrap();
        let seal = Seal::open(dir.path()).unwrap();
        (dir, seal)
    }

    #[test]
    fn sealed_things_open_in_their_own_context_alone_and_after_a_restart() {
        let (dir, seal) = seal();
        let sealed = seal.seal("a", b"refresh").unwrap();
        assert_eq!(*seal.open_sealed("a", &sealed).unwrap(), b"refresh");
        assert!(seal.open_sealed("b", &sealed).is_none());
        assert!(!sealed.windows(7).any(|window| window == b"refresh"));
        assert_eq!(*Seal::open(dir.path()).unwrap().open_sealed("a", &sealed).unwrap(), b"refresh");
        for cut in 0..sealed.len() {
            assert!(seal.open_sealed("a", &sealed[..cut]).is_none());
        }
    }

    #[test]
    fn marks_are_this_gateways_own() {
        let (_dir, seal) = seal();
        let token = seal.marked_token("ses_1");
        let token = token.expose_secret();
        assert_eq!(seal.session_of(token), Some("ses_1"));
        assert_eq!(seal.session_of(&token.replace("ses_1", "ses_2")), None);
        assert_eq!(seal.session_of("ses_1.AAAA"), None);
        assert_eq!(self::seal().1.session_of(token), None);
    }

    #[test]
    fn a_damaged_key_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        secret::write_private(&dir.path().join("seal.key"), b"short").unwrap();
        assert!(Seal::open(dir.path()).is_err());
    }
}
