//! `hoopctl gateway ca`: the public side of the gateway's own certificate authority.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    super::{
        error::{DONE, Failure, Outcome},
        invocation::Invocation,
    },
    load,
};
use crate::{config::laptop::Output, tls};

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

/// Reads `<state>/ca.pem`, which is public: no key is touched and none is made.
pub(super) fn perform(args: &Ca, with: &Invocation) -> Outcome {
    let (What::Fingerprint(place) | What::Export(place)) = &args.what;
    let state = match &place.state {
        Some(state) => state.clone(),
        None => load(&place.config, with)?.certs.state,
    };
    let certificates = certificates(&state.join("ca.pem"))?;
    let fingerprints: Vec<String> =
        certificates.iter().map(|one| tls::fingerprint_text(&tls::fingerprint(one))).collect();
    let pem = tls::to_pem(&certificates);
    let printer = &with.printer;
    match (&args.what, printer.manner().output) {
        (What::Fingerprint(_), Output::Human) => {
            fingerprints.iter().try_for_each(|fingerprint| printer.line(fingerprint))?;
        }
        (What::Export(_), Output::Human) => printer.raw(pem.as_bytes())?,
        (What::Fingerprint(_), _) => {
            printer.document(
                &json!({ "schema": 1, "fingerprint": fingerprints.first(), "fingerprints": fingerprints }),
            )?;
        }
        (What::Export(_), _) => printer.document(&json!({ "schema": 1, "pem": pem }))?,
    }
    Ok(DONE)
}

fn certificates(path: &Path) -> Result<Vec<tls::CertificateDer<'static>>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::failed(format!("{} cannot be read: {error}", path.display()))
            .remedy("start the gateway once: it makes its authority then; or name its folder with --state")
    })?;
    tls::parse_certificates(&text, &path.display().to_string()).map_err(|error| {
        Failure::failed(error.to_string()).remedy("restore the file from a backup of the state folder")
    })
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
}
