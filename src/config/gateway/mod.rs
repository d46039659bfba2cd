//! `gateway.toml`: read, checked and assembled into the gateway's `Config`, every mistake in one pass.
//!
//! [`check`] reads the file and its policies without touching the network, the environment's secrets or the state folder;
//! [`load`] is the same for those who only want the configuration; [`init`] writes a first one; [`Watched`] follows it.

mod case;
mod file;
mod init;
mod reader;
mod section;
mod value;
mod watch;

use std::path::{Path, PathBuf};

use crate::gateway::{Config, accept, certs, identity, policy, store};
use reader::Report;

pub use crate::gateway::policy::Mistake;
pub use case::{Case, PolicyTest, policy_tests, word};
pub use init::init;
pub use section::mask::Masking;
pub use watch::Watched;

/// What a look at `gateway.toml` and its policies found.
#[derive(Debug)]
pub struct Checked {
    /// The configuration; only there when nothing is wrong.
    pub config: Option<Config>,
    /// What keeps a gateway from running with it, in the order of files and lines.
    pub mistakes: Vec<Mistake>,
    /// What is allowed but worth a look, in the same order.
    pub warnings: Vec<Mistake>,
    /// Every file and folder that was looked at: the configuration may change when one of them does.
    consulted: Vec<PathBuf>,
}

/// Reads and checks `gateway.toml` and its policies: every mistake in one pass.
///
/// # Errors
/// Every mistake, in the order of files and lines; never empty.
pub fn load(path: &Path) -> Result<Config, Vec<Mistake>> {
    let checked = check(path);
    checked.config.ok_or(checked.mistakes)
}

/// Reads and checks `gateway.toml` and its policies, with warnings.
pub fn check(path: &Path) -> Checked {
    let mut report = Report::new(path);
    let config = match file::read(path) {
        Ok(text) => read(&text, &mut report),
        Err((message, remedy)) => {
            report.elsewhere(path, message, Some(remedy));
            None
        }
    };
    let (mistakes, warnings, consulted) = report.finish();
    Checked { config: config.filter(|_| mistakes.is_empty()), mistakes, warnings, consulted }
}

/// Reads what `gateway.toml` says about masking, for `hoopctl gateway mask`: `[[entity]]` and the `mask` of one model.
///
/// # Errors
/// Every mistake in these parts, in the order of lines; never empty.
pub fn masking(path: &Path, model: Option<&str>) -> Result<Masking, Vec<Mistake>> {
    let mut report = Report::new(path);
    let masking = match file::read(path) {
        Ok(text) => report.parse(&text).map(|document| {
            section::mask::read(&mut reader::Table::root(document.get_ref()), model, &mut report)
        }),
        Err((message, remedy)) => {
            report.elsewhere(path, message, Some(remedy));
            None
        }
    };
    let (mistakes, ..) = report.finish();
    masking.filter(|_| mistakes.is_empty()).ok_or(mistakes)
}

fn read(text: &str, report: &mut Report) -> Option<Config> {
    let document = report.parse(text)?;
    let mut root = reader::Table::root(document.get_ref());
    let gateway = section::gateway::read(&mut root, report);
    let tls = section::tls::read(&mut root, gateway.public_url.as_ref(), report);
    let (database, recordings) = section::storage::read(&mut root, &gateway.state, report);
    let audit = section::audit::read(&mut root, report);
    let anomalies = section::anomalies::read(&mut root, report);
    let approvals = section::approvals::read(&mut root, report);
    let sessions = section::sessions::read(&mut root, report);
    let providers = section::identity::read(&mut root, gateway.public_url.as_ref(), report);
    let mut customs = section::mask::Customs::read(&mut root, report);
    let (models, facts) = section::model::read(&mut root, &gateway.relaxed_networks, &mut customs, report);
    customs.across(report);
    section::tls::across(&tls, &sessions, report);
    root.finish(report);
    section::gateway::across(&gateway, &providers, &models, report);
    if let Some(dir) = &gateway.policies {
        policies(dir, &facts, report);
    }

    let state = gateway.state;
    let public_url = gateway.public_url?;
    let own_roots = tls.source.is_own();
    Some(Config {
        certs: certs::Config {
            state: state.clone(),
            names: section::gateway::names(&public_url),
            source: tls.source,
            overlap: tls.overlap,
            client_life: sessions.credential_life,
        },
        identity: identity::Config {
            public_url: public_url.clone(),
            providers,
            credential_life: sessions.credential_life,
            session_life: sessions.session_life,
            token_life: sessions.token_life,
            state: state.clone(),
            own_roots,
        },
        accept: accept::Config {
            public_url,
            listen: gateway.listen,
            client_certificates: gateway.client_certificates,
        },
        policies: gateway.policies?,
        models,
        store: store::Config { state, database },
        approval_lapse: approvals.lapse,
        notify: approvals.notify,
        audit,
        anomalies,
        recordings,
        metrics: gateway.metrics,
    })
}

fn policies(dir: &Path, facts: &[policy::ModelFacts], report: &mut Report) {
    report.consult(dir);
    match policy::Policies::load(dir, facts) {
        Ok(policies) => report.adopt_warnings(policies.warnings()),
        Err(mistakes) => report.adopt(mistakes),
    }
}

#[cfg(test)]
mod tests;
