//! Service accounts: programs of the operator's own that log in with a secret or a key (RFC 6749 §4.4, RFC 7523).

use std::{
    collections::HashMap,
    net::IpAddr,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use tokio::time::Instant;
use x509_parser::{prelude::FromDer, public_key::PublicKey, x509::SubjectPublicKeyInfo};

use super::{
    config::{ServiceAccount, ServiceProof},
    provider::Claimed,
    sessions::sha256,
};
use crate::{
    clock::Clock,
    id,
    secret::{self, ExposeSecret},
};

/// The shortest secret that is accepted, in bytes.
const LEAST_SECRET: usize = 32;
/// The longest public key file, in bytes.
const MAX_KEY_FILE: u64 = 64 * 1024;
/// The longest signed assertion looked at, in bytes.
const MAX_ASSERTION: usize = 8 * 1024;
/// How far ahead the end of an assertion may lie, in seconds.
const MAX_AHEAD: i64 = 5 * 60;
/// How far a program's clock may be off, in seconds.
const LEEWAY: i64 = 60;
/// The longest identifier of an assertion, in bytes.
const MAX_ID: usize = 256;

/// A `service` provider.
pub(super) struct Service {
    name: String,
    accounts: Vec<Account>,
    /// Compared with when there is no such account, so that this takes as long.
    nobody: [u8; 32],
}

struct Account {
    name: String,
    groups: Vec<String>,
    proof: Proof,
}

enum Proof {
    /// SHA-256 of the secret.
    Secret([u8; 32]),
    /// The public half of its key, and the one algorithm that it is for.
    Key(Box<DecodingKey>, Algorithm),
}

/// What an account shows (RFC 6749 §2.3.1, RFC 7523 §2.2).
pub(super) enum Shown<'a> {
    Secret(&'a str),
    Assertion(&'a str),
}

/// An account that has proven itself.
#[derive(Debug)]
pub(super) struct Proven {
    pub(super) claimed: Claimed,
    /// The assertion's identifier and end, in seconds since 1970, that must not be used again.
    pub(super) once: Option<(String, i64)>,
}

/// What an assertion says (RFC 7523 §3).
#[derive(Deserialize)]
struct Assertion {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    iat: Option<i64>,
    jti: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Service {
    /// Reads every account's secret or key. Blocks on files and commands.
    pub(super) fn new(name: String, accounts: Vec<ServiceAccount>) -> Result<Self, String> {
        let accounts = accounts.into_iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { name, accounts, nobody: id::random() })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The account as it is configured now.
    pub(super) fn account(&self, name: &str) -> Option<Claimed> {
        self.accounts.iter().find(|account| account.name == name).map(Account::claimed)
    }

    /// Who shows this, if it is the account's own. Says why not for the log alone: whoever asks must not learn
    /// whether there is such an account.
    pub(super) fn prove(
        &self,
        name: &str,
        shown: &Shown<'_>,
        token_endpoint: &str,
        clock: &Clock,
    ) -> Result<Proven, &'static str> {
        let account = self.accounts.iter().find(|account| account.name == name);
        match (shown, account.map(|account| (account, &account.proof))) {
            (Shown::Secret(secret), Some((account, Proof::Secret(own)))) => {
                if secret::same(&sha256(secret.as_bytes()), own) {
                    Ok(Proven { claimed: account.claimed(), once: None })
                } else {
                    Err("the secret is wrong")
                }
            }
            (Shown::Assertion(jwt), Some((account, Proof::Key(key, algorithm)))) => {
                let once = assertion(jwt, key, *algorithm, name, token_endpoint, clock)?;
                Ok(Proven { claimed: account.claimed(), once: Some(once) })
            }
            (Shown::Secret(secret), _) => {
                // Whatever it is, the answer is no; only the time it takes matters.
                let _ = secret::same(&sha256(secret.as_bytes()), &self.nobody);
                Err("there is no such account with a secret")
            }
            (Shown::Assertion(_), _) => Err("there is no such account with a key"),
        }
    }
}

impl Account {
    fn claimed(&self) -> Claimed {
        Claimed { subject: self.name.clone(), email: None, name: None, groups: self.groups.clone() }
    }
}

/// The account that an assertion names, unverified: only chooses whose key it is checked with.
pub(super) fn named_by(assertion: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Subject {
        sub: String,
    }
    if assertion.len() > MAX_ASSERTION {
        return None;
    }
    jsonwebtoken::dangerous::insecure_decode_claims::<Subject>(assertion).ok().map(|claims| claims.sub)
}

fn open(account: ServiceAccount) -> Result<Account, String> {
    let ServiceAccount { name, groups, proof } = account;
    let proof = match proof {
        ServiceProof::Secret(source) => {
            let secret = source.read().map_err(|e| format!("the account `{name}`: {e}"))?;
            let length = secret.expose_secret().len();
            if length < LEAST_SECRET {
                return Err(format!(
                    "the secret of the account `{name}` has {length} characters, and {LEAST_SECRET} are the least; make one with: openssl rand -hex 32"
                ));
            }
            Proof::Secret(sha256(secret.expose_secret().as_bytes()))
        }
        ServiceProof::PublicKey(path) => {
            let (key, algorithm) =
                read_key(&path).map_err(|e| format!("the account `{name}`: {}: {e}", path.display()))?;
            Proof::Key(Box::new(key), algorithm)
        }
    };
    Ok(Account { name, groups, proof })
}

/// A public key (PEM, SubjectPublicKeyInfo) of a kind and strength that is accepted.
fn read_key(path: &Path) -> Result<(DecodingKey, Algorithm), String> {
    const REMEDY: &str = "give the public half of a P-256, Ed25519 or RSA key of 2048 bits or more: openssl pkey -in KEY.pem -pubout";
    let length = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if length > MAX_KEY_FILE {
        return Err(format!("it is longer than {MAX_KEY_FILE} bytes"));
    }
    let text = std::fs::read(path).map_err(|e| e.to_string())?;
    let wrong = || format!("it holds no public key that can be used; {REMEDY}");
    let (_, pem) = x509_parser::pem::parse_x509_pem(&text).map_err(|_| wrong())?;
    if pem.label != "PUBLIC KEY" {
        return Err(wrong());
    }
    let (_, info) = SubjectPublicKeyInfo::from_der(&pem.contents).map_err(|_| wrong())?;
    let raw = info.subject_public_key.data.as_ref();
    let usable = match info.parsed().map_err(|_| wrong())? {
        PublicKey::RSA(key) if key.key_size() >= 2048 => {
            DecodingKey::from_rsa_pem(&text).ok().map(|key| (key, Algorithm::RS256))
        }
        PublicKey::EC(point) if point.key_size() == 256 && raw.len() == 65 => {
            Some((DecodingKey::from_ec_der(raw), Algorithm::ES256))
        }
        // Ed25519 (RFC 8410 §3); x509-parser knows it as bytes.
        PublicKey::Unknown(_) if info.algorithm.algorithm.to_id_string() == "1.3.101.112" => {
            DecodingKey::from_ed_pem(&text).ok().map(|key| (key, Algorithm::EdDSA))
        }
        _ => None,
    };
    usable.ok_or_else(wrong)
}

/// The identifier and end of an assertion that is the account's own, for this gateway, in its time.
fn assertion(
    jwt: &str,
    key: &DecodingKey,
    algorithm: Algorithm,
    name: &str,
    token_endpoint: &str,
    clock: &Clock,
) -> Result<(String, i64), &'static str> {
    if jwt.len() > MAX_ASSERTION {
        return Err("the assertion is too long");
    }
    let mut validation = Validation::new(algorithm);
    // Checked below, against the clock that was handed in.
    (validation.validate_exp, validation.validate_aud) = (false, false);
    validation.required_spec_claims.clear();
    let data = jsonwebtoken::decode::<Assertion>(jwt, key, &validation)
        .map_err(|_| "the assertion is not signed with the account's key, or says too little")?;
    if data.header.crit.is_some() {
        return Err("the assertion demands extensions that are unknown");
    }
    let said = data.claims;
    let for_us = match &said.aud {
        Audience::One(one) => one == token_endpoint,
        Audience::Many(many) => many.iter().any(|one| one == token_endpoint),
    };
    let now = clock.unix_seconds();
    if said.iss != name || said.sub != name {
        return Err("the assertion is of another account");
    }
    if !for_us {
        return Err("the assertion is for another audience");
    }
    if now >= said.exp.saturating_add(LEEWAY) {
        return Err("the assertion's time is over");
    }
    if said.exp > now.saturating_add(MAX_AHEAD).saturating_add(LEEWAY) {
        return Err("the assertion ends more than 5 minutes from now");
    }
    if [said.nbf, said.iat].into_iter().flatten().any(|at| at > now.saturating_add(LEEWAY)) {
        return Err("the assertion's time has not come; compare the clocks");
    }
    if said.jti.is_empty() || said.jti.len() > MAX_ID {
        return Err("the assertion's identifier is empty or too long");
    }
    Ok((said.jti, said.exp.saturating_add(LEEWAY)))
}

/// Failures that are forgotten after this.
const WINDOW: Duration = Duration::from_mins(1);
/// Failures of one account from one address in a window.
const MOST_OF_ONE: u32 = 10;
/// Failures from one address in a window.
const MOST_OF_ALL: u32 = 100;
/// Addresses and accounts that are counted at once.
const MAX_COUNTED: usize = 10_000;

/// Where attempts come from, and the account's hash.
type Attempt = (Option<IpAddr>, [u8; 32]);

/// Who failed to prove an account lately.
#[derive(Default)]
pub(super) struct Failures(Mutex<HashMap<Attempt, Count>>);

struct Count {
    since: Instant,
    failed: u32,
}

impl Failures {
    /// Whether so many attempts failed that the next has to wait.
    pub(super) fn too_many(&self, source: Option<IpAddr>, account: &str) -> bool {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |key: [u8; 32], most: u32| {
            counts
                .get(&(source, key))
                .is_some_and(|count| count.since.elapsed() < WINDOW && count.failed >= most)
        };
        over(sha256(account.as_bytes()), MOST_OF_ONE) || over(ALL, MOST_OF_ALL)
    }

    /// Counts one.
    pub(super) fn note(&self, source: Option<IpAddr>, account: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_COUNTED {
            counts.retain(|_, count| count.since.elapsed() < WINDOW);
        }
        if counts.len() >= MAX_COUNTED {
            counts.clear();
        }
        for key in [ALL, sha256(account.as_bytes())] {
            let count =
                counts.entry((source, key)).or_insert_with(|| Count { since: Instant::now(), failed: 0 });
            if count.since.elapsed() >= WINDOW {
                *count = Count { since: Instant::now(), failed: 0 };
            }
            count.failed = count.failed.saturating_add(1);
        }
    }
}

/// In place of an account: all of an address.
const ALL: [u8; 32] = [0; 32];
