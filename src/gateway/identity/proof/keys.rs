//! Providers' signing keys: confusion of algorithms, weak and unfit keys, rotation, and floods of unknown ones.

use std::time::Duration;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::KeyPair as _,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::{
    provider::{Idp, Inner, Key},
    world::World,
};

/// An RSA key of 2048 bits.
pub(super) struct Rsa {
    pub(super) pem: String,
    modulus: Vec<u8>,
}

impl Rsa {
    pub(super) fn new() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let body = STANDARD.encode(der.as_ref());
        let lines: Vec<&str> =
            body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let (begin, end) = ("-----BEGIN PRIVATE", "-----END PRIVATE");
        let pem = format!("{begin} KEY-----\n{}\n{end} KEY-----\n", lines.join("\n"));
        let modulus = pair.public_key().modulus().big_endian_without_leading_zero().to_vec();
        Self { pem, modulus }
    }

    fn jwk(&self, modulus: &[u8], more: &Value) -> Value {
        let mut jwk = json!({"kty": "RSA", "kid": "r1", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB"});
        jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        jwk
    }

    fn sign(&self, algorithm: Algorithm, kid: Option<&str>, claims: &Value) -> String {
        let mut header = Header::new(algorithm);
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &EncodingKey::from_rsa_pem(self.pem.as_bytes()).unwrap())
            .unwrap()
    }
}

/// What the laptop is told when Alice logs in at a provider that publishes and signs like this; `None`: she is in.
async fn login(
    published: Vec<Value>,
    sign: impl Fn(&Value, &Key) -> String + Send + 'static,
) -> Option<String> {
    let (world, idp) = World::company().await;
    {
        let mut inner = idp.lock();
        inner.published = published;
        inner.forge = Some(Box::new(sign));
    }
    let answer = world.company_callback(&idp).await;
    let refused = answer.location().as_str().contains("error=");
    assert_eq!(refused, world.happenings().len() == 1);
    refused.then(|| answer.sent("error_description"))
}

#[tokio::test]
async fn rsa_keys_serve_their_own_algorithms_alone() {
    use Algorithm::{PS256, PS384, PS512, RS256, RS384, RS512};
    for algorithm in [RS256, RS384, RS512, PS256, PS384, PS512] {
        let rsa = Rsa::new();
        let jwk = rsa.jwk(&rsa.modulus, &json!({"use": "sig"}));
        let told = login(vec![jwk], move |claims, _| rsa.sign(algorithm, Some("r1"), claims)).await;
        assert_eq!(told, None, "{algorithm:?}");
    }
    for (more, why) in [
        (json!({"alg": "RS512"}), "another algorithm"),
        (json!({"use": "enc"}), "a key for encryption"),
        (json!({"key_ops": ["encrypt"]}), "a key for encryption"),
        (json!({"kid": "r2"}), "another key"),
    ] {
        let rsa = Rsa::new();
        let jwk = rsa.jwk(&rsa.modulus, &more);
        let told = login(vec![jwk], move |claims, _| rsa.sign(RS256, Some("r1"), claims)).await;
        assert!(told.unwrap().contains("does not publish"), "{why}");
    }
}

#[tokio::test]
async fn a_short_rsa_key_is_refused_by_name() {
    let rsa = Rsa::new();
    // The first half of it, with zeros before: what counts is the number, not its length as written.
    let short: Vec<u8> = [vec![0; 128], rsa.modulus[..128].to_vec()].concat();
    let jwk = rsa.jwk(&short, &json!({}));
    let told = login(vec![jwk], move |claims, _| rsa.sign(Algorithm::RS256, Some("r1"), claims)).await;
    assert!(told.unwrap().contains("shorter than 2048 bits"));
}

#[tokio::test]
async fn a_public_key_is_no_secret_and_no_key_of_another_kind() {
    let rsa = Rsa::new();
    let jwk = rsa.jwk(&rsa.modulus, &json!({"alg": "RS256"}));
    let forms = [
        rsa.modulus.clone(),
        URL_SAFE_NO_PAD.encode(&rsa.modulus).into_bytes(),
        jwk.to_string().into_bytes(),
        format!("{}\n", STANDARD.encode(&rsa.modulus)).into_bytes(),
    ];
    for secret in forms {
        let told = login(vec![jwk.clone()], move |claims, _| {
            let mut header = Header::new(Algorithm::HS256);
            header.kid = Some("r1".to_owned());
            jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&secret)).unwrap()
        });
        assert!(told.await.is_some());
    }
    // An EC key under the name of the RSA key, and the reverse.
    let key = Key::new("r1");
    let told = login(vec![jwk], move |claims, _| key.sign(claims)).await;
    assert!(told.unwrap().contains("does not publish"));
    let ec = Key::new("r1").jwk;
    let told = login(vec![ec], move |claims, _| rsa.sign(Algorithm::RS256, Some("r1"), claims)).await;
    assert!(told.unwrap().contains("does not publish"));
}

#[tokio::test]
async fn keys_and_tokens_without_a_name_are_matched_by_their_signature() {
    for (key_named, token_named) in [(true, false), (false, true), (false, false)] {
        let rsa = Rsa::new();
        let mut jwk = rsa.jwk(&rsa.modulus, &json!({}));
        if !key_named {
            jwk.as_object_mut().unwrap().remove("kid");
        }
        let kid = token_named.then_some("r1");
        let other = Rsa::new();
        let others = other.jwk(&other.modulus, &json!({"kid": "r0"}));
        let told = login(vec![others.clone(), jwk.clone()], move |claims, _| {
            rsa.sign(Algorithm::RS256, kid, claims)
        });
        assert_eq!(told.await, None);
        let stranger = Rsa::new();
        let told =
            login(vec![others, jwk], move |claims, _| stranger.sign(Algorithm::RS256, kid, claims)).await;
        assert!(told.unwrap().contains("signature is wrong"));
    }
}

fn rotate(inner: &mut Inner, kid: &str) {
    inner.key = Key::new(kid);
    inner.published = vec![inner.key.jwk.clone()];
}

async fn forged(world: &World, idp: &Idp, kid: &str) {
    let kid = kid.to_owned();
    idp.lock().forge = Some(Box::new(move |claims, _| Key::new(&kid).sign(claims)));
    assert_eq!(world.company_callback(idp).await.sent("error"), "server_error");
    idp.lock().forge = None;
}

#[tokio::test]
async fn a_known_key_costs_no_read_and_a_rotation_one_even_right_after_another() {
    let (world, idp) = World::company().await;
    world.company_login(&idp).await;
    world.company_login(&idp).await;
    assert_eq!(idp.lock().jwks_reads, 1);
    forged(&world, &idp, "unknown").await;
    assert_eq!(idp.lock().jwks_reads, 2, "an unknown key is looked for");
    forged(&world, &idp, "unknown").await;
    assert_eq!(idp.lock().jwks_reads, 2, "once");
    for (kid, reads) in [("k2", 3), ("k3", 4)] {
        rotate(&mut idp.lock(), kid);
        world.company_login(&idp).await;
        world.company_login(&idp).await;
        assert_eq!(idp.lock().jwks_reads, reads, "{kid}");
    }
    // A key that was replaced under its own name.
    rotate(&mut idp.lock(), "k3");
    world.company_login(&idp).await;
    assert_eq!(idp.lock().jwks_reads, 5);
}

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_few_reads_and_a_rotation_behind_it_gets_in() {
    let (world, idp) = World::company().await;
    world.company_login(&idp).await;
    for n in 0..30 {
        forged(&world, &idp, &format!("flood-{n}")).await;
    }
    assert_eq!(idp.lock().jwks_reads, 1 + 4, "the burst");
    rotate(&mut idp.lock(), "k2");
    for second in 0..4 {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(15)).await;
        tokio::time::resume();
        for n in 0..5 {
            forged(&world, &idp, &format!("more-{second}-{n}")).await;
        }
        world.company_login(&idp).await;
    }
    assert_eq!(idp.lock().jwks_reads, 1 + 4 + 4, "four a minute");
}
