//! Files that a configuration names: read with bounds, checked for what they should hold.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::reader::{Report, Value};
use crate::tls;

/// The longest `gateway.toml`, PEM or JSON file that is read, bytes.
const MAX_FILE: u64 = 1024 * 1024;

/// The text of `gateway.toml`, or what is wrong and what to do.
pub(super) fn read(path: &Path) -> Result<String, (String, &'static str)> {
    text(path).map_err(|cause| {
        (
            format!("the configuration cannot be read: {cause}"),
            "`hoopctl gateway init DIR` writes a first one",
        )
    })
}

/// A path, relative to the configuration's folder.
pub(super) fn path(value: &Value<'_>, report: &mut Report) -> Option<PathBuf> {
    let written = value.string(report)?;
    if written.is_empty() || written.contains('\0') {
        value.wrong("an empty path", "name a file or folder, relative to this file or absolute", report);
        return None;
    }
    Some(report.resolve(written))
}

/// A PEM file with at least one certificate.
pub(super) fn certificates(value: &Value<'_>, report: &mut Report) -> Option<PathBuf> {
    let (path, pem) = content(value, report)?;
    match tls::parse_certificates(&pem, &path.display().to_string()) {
        Ok(_) => Some(path),
        Err(error) => {
            value.mistake(&error.to_string(), "name a PEM file with certificates", report);
            None
        }
    }
}

/// A file that must be there and be text.
pub(super) fn existing(value: &Value<'_>, report: &mut Report) -> Option<PathBuf> {
    content(value, report).map(|(path, _)| path)
}

/// A certificate chain and its private key, both or none.
pub(super) fn pair(
    certificate: Option<Value<'_>>,
    key: Option<Value<'_>>,
    names: (&str, &str),
    report: &mut Report,
) -> Option<(PathBuf, PathBuf)> {
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return None,
        (Some(alone), None) => {
            let message = format!("`{}` needs `{}` beside it", names.0, names.1);
            alone.mistake(&message, "name both files, or neither", report);
            return None;
        }
        (None, Some(alone)) => {
            let message = format!("`{}` needs `{}` beside it", names.1, names.0);
            alone.mistake(&message, "name both files, or neither", report);
            return None;
        }
    };
    let chain = content(&certificate, report);
    let private = content(&key, report);
    let ((chain_path, chain), (key_path, private)) = (chain?, private?);
    private_to_owner(&key, &key_path, report);
    match tls::Identity::from_pem(&chain, &private) {
        Ok(_) => Some((chain_path, key_path)),
        Err(error) => {
            let at = if matches!(error, tls::IdentityError::Certificate(_)) { &certificate } else { &key };
            at.mistake(
                &error.to_string(),
                "name a PEM chain, leaf first, and the PEM key of its leaf",
                report,
            );
            None
        }
    }
}

/// Warns of a file with a secret that others than its owner can read.
pub(super) fn private_to_owner(value: &Value<'_>, path: &Path, report: &mut Report) {
    #[cfg(unix)]
    if let Ok(metadata) = fs::metadata(path) {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o777;
        if mode & 0o077 != 0 {
            let message =
                format!("{} holds a secret and others can read it (mode {mode:04o})", path.display());
            value.warning(&message, &format!("chmod 600 {}", path.display()), report);
        }
    }
    #[cfg(not(unix))]
    let _ = (value, path, report);
}

fn content(value: &Value<'_>, report: &mut Report) -> Option<(PathBuf, String)> {
    let path = path(value, report)?;
    report.consult(&path);
    match text(&path) {
        Ok(text) => Some((path, text)),
        Err(cause) => {
            let message = format!("{} cannot be read: {cause}", path.display());
            value.mistake(
                &message,
                "paths are relative to this file; the gateway's user must be able to read it",
                report,
            );
            None
        }
    }
}

/// The text of a regular file of bounded size, or why there is none.
pub(super) fn text(path: &Path) -> Result<String, String> {
    let cause = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    // Asked before opening: opening a pipe would wait for its writer.
    if !fs::metadata(path).map_err(cause)?.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    fs::File::open(path).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes)).map_err(cause)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("it is longer than {MAX_FILE} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}
