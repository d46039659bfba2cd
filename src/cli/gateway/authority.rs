//! `hoopctl gateway ca`: the gateway's own certificate authority, its public side and its rotation.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    super::{
        error::{DONE, Failure, Outcome},
        invocation::Invocation,
    },
    load,
};
use crate::{
    clock::{parse_duration, rfc3339},
    config::laptop::Output,
    gateway::certs::{self, CertsError, Facts, LONGEST_OVERLAP, Role, RootFacts, Rotation},
    tls,
};

/// The flags of `gateway ca`.
#[derive(Args, Debug)]
pub(super) struct Ca {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the authority's SHA-256, for `hoopctl login --ca-fingerprint`
    Fingerprint(Place),
    /// Print the authority's certificate as PEM, for `hoopctl login --ca-file`
    Export(Place),
    /// Replace the authority's root, which laptops learn of before it changes
    Rotate(Rotate),
}

/// Where the authority lies.
#[derive(Args, Debug)]
struct Place {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "gateway.toml", conflicts_with = "state",
        value_hint = clap::ValueHint::FilePath)]
    config: PathBuf,
    /// The gateway's state folder, instead of its configuration
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    state: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct Rotate {
    #[command(flatten)]
    place: Place,
    /// Time for laptops to learn the next root, such as 14d; as configured unless said
    #[arg(long, value_name = "DURATION", value_parser = overlap)]
    overlap: Option<Duration>,
}

impl Place {
    fn state(&self, with: &Invocation) -> Result<PathBuf, Failure> {
        match &self.state {
            Some(state) => Ok(state.clone()),
            None => Ok(load(&self.config, with)?.certs.state),
        }
    }
}

/// Reads the public side of the state folder, or begins a rotation in it: a running gateway takes that up by itself.
pub(super) fn perform(args: &Ca, with: &Invocation) -> Outcome {
    match &args.what {
        What::Fingerprint(place) => {
            let facts = known(&place.state(with)?)?;
            show(&facts, with, |facts| {
                // One line, whatever goes on: scripts hand it to `login --ca-fingerprint`.
                facts.roots.first().map_or(Ok(()), |root| with.printer.line(&fingerprint(root)))?;
                tell(facts, with);
                Ok(())
            })
        }
        What::Export(place) => {
            let facts = known(&place.state(with)?)?;
            show(&facts, with, |facts| with.printer.raw(pem(facts).as_bytes()))
        }
        What::Rotate(args) => {
            let facts = certs::begin(&args.place.state(with)?, args.overlap, &with.clock).map_err(failure)?;
            show(&facts, with, |facts| {
                let next = facts.roots.iter().find(|root| root.role == Role::Next);
                next.map_or(Ok(()), |root| with.printer.line(&fingerprint(root)))?;
                with.printer.note(
                    "the next root is made: a running gateway tells laptops of it within seconds, another one at its start\n\
                     hoopctl gateway ca fingerprint says how far the rotation is",
                );
                Ok(())
            })
        }
    }
}

/// In JSON all verbs say the same: every root with its role, and where the rotation is.
fn show(facts: &Facts, with: &Invocation, human: impl FnOnce(&Facts) -> Result<(), Failure>) -> Outcome {
    if with.printer.manner().output == Output::Human {
        human(facts)?;
        return Ok(DONE);
    }
    let fingerprints: Vec<String> = facts.roots.iter().map(fingerprint).collect();
    let roots: Vec<Value> = facts
        .roots
        .iter()
        .map(|root| {
            json!({ "role": role(root.role), "fingerprint": fingerprint(root), "expires_at": rfc3339(root.expires_at) })
        })
        .collect();
    let rotation = facts.rotation.as_ref().map(|rotation| match rotation {
        Rotation::Prepared => json!({ "phase": "prepared" }),
        Rotation::Announced { switch_at } => {
            json!({ "phase": "announced", "switch_at": rfc3339(*switch_at) })
        }
        Rotation::Retiring { retire_at } => json!({ "phase": "retiring", "retire_at": rfc3339(*retire_at) }),
    });
    with.printer.document(&json!({
        "schema": 1,
        "fingerprint": fingerprints.first(),
        "fingerprints": fingerprints,
        "pem": pem(facts),
        "roots": roots,
        "rotation": rotation,
    }))?;
    Ok(DONE)
}

/// What the fingerprints are for, while there are several.
fn tell(facts: &Facts, with: &Invocation) {
    let Some(rotation) = &facts.rotation else { return };
    for root in &facts.roots {
        let meaning = match (root.role, rotation) {
            (Role::Present, _) => "signs".to_owned(),
            (Role::Next, Rotation::Announced { switch_at }) => {
                format!("signs from {}; laptops are being told of it", rfc3339(*switch_at))
            }
            (Role::Next, _) => "waits for a running gateway to tell laptops of it".to_owned(),
            (Role::Retiring, Rotation::Retiring { retire_at }) => {
                format!("signs no longer, and is believed until {}", rfc3339(*retire_at))
            }
            (Role::Retiring, _) => "signs no longer".to_owned(),
        };
        with.printer.note(&format!("{} ({}) {meaning}", fingerprint(root), role(root.role)));
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Present => "present",
        Role::Next => "next",
        Role::Retiring => "retiring",
    }
}

fn fingerprint(root: &RootFacts) -> String {
    tls::fingerprint_text(&tls::fingerprint(&root.certificate))
}

fn pem(facts: &Facts) -> String {
    let certificates: Vec<_> = facts.roots.iter().map(|root| root.certificate.clone()).collect();
    tls::to_pem(&certificates)
}

fn known(state: &Path) -> Result<Facts, Failure> {
    certs::facts(state).map_err(failure)
}

fn failure(error: CertsError) -> Failure {
    match error {
        CertsError::File { path, cause } => Failure::failed(format!("{} cannot be used: {cause}", path.display()))
            .remedy("start the gateway once: it makes its authority then; or name its folder with --state, as a user who may read it"),
        CertsError::Authority { problem, remedy } | CertsError::Rotation { problem, remedy } => {
            Failure::failed(problem).remedy(remedy)
        }
        other => Failure::failed(other.to_string()).remedy("restore the file from a backup of the state folder"),
    }
}

fn overlap(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .filter(|span| (Duration::from_secs(1)..=LONGEST_OVERLAP).contains(span))
        .ok_or_else(|| "write a duration from 1s to 365d, such as 14d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::printer::{Printer, paper},
        clock::Clock,
        config::laptop,
    };

    fn invocation(printer: Printer) -> Invocation {
        let config =
            laptop::load(&laptop::Flags::default(), &|_| None, None, Path::new("/nonexistent/config.toml"))
                .unwrap();
        Invocation { config, printer, clock: Clock::system() }
    }

    fn ask(what: fn(Place) -> What, state: &Path) -> (Result<u8, Failure>, String) {
        let (printer, out, _) = paper::printer(Output::Human);
        let place = Place { config: "gateway.toml".into(), state: Some(state.to_path_buf()) };
        let outcome = perform(&Ca { what: what(place) }, &invocation(printer));
        (outcome, out.text())
    }

    #[test]
    fn the_authority_is_read_from_its_public_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (outcome, _) = ask(What::Fingerprint, dir.path());
        assert_eq!(outcome.unwrap_err().exit_code(), 1);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "asking makes no authority");

        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
        std::fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        let (outcome, fingerprint) = ask(What::Fingerprint, dir.path());
        assert_eq!(outcome.unwrap(), 0);
        assert!(tls::parse_fingerprint(fingerprint.trim_end()).is_ok(), "{fingerprint}");
        let (_, pem) = ask(What::Export, dir.path());
        let exported = tls::parse_certificates(&pem, "exported").unwrap();
        assert_eq!(tls::fingerprint_text(&tls::fingerprint(&exported[0])), fingerprint.trim_end());
    }

    #[test]
    fn a_rotation_begins_offline_and_every_root_is_shown_with_its_role_and_no_key() {
        let dir = tempfile::tempdir().unwrap();
        let first = certs::Authority::open(dir.path(), Clock::system()).unwrap().fingerprint();
        let rotate = |place| What::Rotate(Rotate { place, overlap: Some(Duration::from_secs(60)) });
        let (outcome, next) = ask(rotate, dir.path());
        assert_eq!(outcome.unwrap(), 0);
        let (_, signs) = ask(What::Fingerprint, dir.path());
        assert_eq!(signs, format!("{first}\n"), "scripts get the one that signs");
        assert_ne!(next, signs);
        let (_, pem) = ask(What::Export, dir.path());
        assert_eq!(tls::parse_certificates(&pem, "exported").unwrap().len(), 2);
        assert!(!pem.contains("PRIVATE"), "a key was exported");
        let error = ask(rotate, dir.path()).0.unwrap_err();
        assert_eq!(error.exit_code(), 1);

        let (printer, out, _) = paper::printer(Output::Json);
        let place = Place { config: "gateway.toml".into(), state: Some(dir.path().to_path_buf()) };
        perform(&Ca { what: What::Export(place) }, &invocation(printer)).unwrap();
        let json: Value = serde_json::from_str(&out.text()).unwrap();
        assert_eq!(
            (&json["roots"][0]["role"], &json["roots"][1]["role"]),
            (&json!("present"), &json!("next"))
        );
        assert_eq!(json["rotation"]["phase"], "prepared");
        assert!(!out.text().contains("PRIVATE"), "a key was exported");
    }
}
