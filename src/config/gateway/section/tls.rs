//! `[tls]`: where the server's certificate comes from, and how slowly the own CA is rotated.

use std::time::Duration;

use url::{Host, Url};

use super::sessions;
use crate::{
    config::gateway::{
        file,
        reader::{Report, Table, Value},
        value,
    },
    gateway::certs::{LONGEST_OVERLAP, OVERLAP, Source, acme},
};

/// What `[tls]` says.
pub(in crate::config::gateway) struct Section {
    pub(in crate::config::gateway) source: Source,
    pub(in crate::config::gateway) overlap: Duration,
    /// Of `rotation_overlap`.
    span: std::ops::Range<usize>,
}

/// Reads `[tls]`.
pub(in crate::config::gateway) fn read(
    root: &mut Table<'_>,
    public_url: Option<&Url>,
    report: &mut Report,
) -> Section {
    let mut table = root.section("tls", report);
    let (certificate, key) = (table.take("certificate"), table.take("key"));
    let files = file::pair(certificate, key, ("certificate", "key"), report);
    let ordered = table.take("acme");
    let mut span = table.span().clone();
    let overlap = table.read("rotation_overlap", report, |value, report| {
        span = value.span().clone();
        value::duration(value, Duration::from_hours(1)..=LONGEST_OVERLAP, report)
    });
    let source = match (files, ordered) {
        (Some(_), Some(acme)) => {
            let remedy = "keep `acme`, or `certificate` and `key`";
            acme.mistake("a server has its certificate from files or by ACME, not both", remedy, report);
            Source::Own
        }
        (Some((certificate, key)), None) => Source::Files { certificate, key },
        (None, Some(value)) => acme(&value, public_url, report).map_or(Source::Own, Source::Acme),
        (None, None) => Source::Own,
    };
    table.finish(report);
    Section { source, overlap: overlap.unwrap_or(OVERLAP), span }
}

/// What only shows when all sections have been read.
pub(in crate::config::gateway) fn across(
    section: &Section,
    sessions: &sessions::Section,
    report: &mut Report,
) {
    if section.overlap < sessions.session_life {
        let message = "`rotation_overlap` is shorter than `session_life`".to_owned();
        let remedy =
            "every session has to hear of the next root before it is used: write a longer `rotation_overlap`";
        report.mistake(&section.span, message, Some(remedy.to_owned()));
    }
}

fn acme(value: &Value<'_>, public_url: Option<&Url>, report: &mut Report) -> Option<acme::Config> {
    let mut table = value.table(report)?;
    let such_as = "\"https://acme-v02.api.letsencrypt.org/directory\"";
    let directory = table.need("directory", such_as, report, value::secure_url);
    let contact = table.read("contact", report, contact);
    let ca = table.read("ca", report, file::certificates);
    let external = table.take("external").and_then(|value| external(&value, report));
    let agreed = table.take("terms_agreed");
    if agreed.as_ref().is_none_or(|agreed| agreed.truth(report) != Some(true)) {
        let message = "`acme` needs `terms_agreed = true`".to_owned();
        let remedy = "read the terms of service of the directory's operator, and write it".to_owned();
        report.mistake(table.span(), message, Some(remedy));
    }
    if public_url.is_some_and(|url| !matches!(url.host(), Some(Host::Domain(_)))) {
        let remedy = "give `public_url` a name, or the gateway a certificate from files";
        value.mistake("ACME proves names, and the host of `public_url` is an address", remedy, report);
    }
    table.finish(report);
    Some(acme::Config { directory: directory?, contact: contact.unwrap_or_default(), ca, external })
}

fn contact(value: &Value<'_>, report: &mut Report) -> Option<Vec<String>> {
    let contact = value::texts(value, report)?;
    if contact.iter().all(|one| one.starts_with("mailto:")) {
        return Some(contact);
    }
    value.wrong("not a list of mail addresses", "write [\"mailto:ops@example.com\"]", report);
    None
}

fn external(value: &Value<'_>, report: &mut Report) -> Option<acme::External> {
    let mut table = value.table(report)?;
    let kid = table.need("kid", "\"the identifier that the operator gave\"", report, value::text);
    let key = table.need("key", "{ env = \"ACME_EAB_KEY\" }", report, value::secret);
    table.finish(report);
    Some(acme::External { kid: kid?, key: key? })
}
