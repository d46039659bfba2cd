//! What a text means as a value; the error is the remedy.

use url::Url;

use super::{Color, Output};
use crate::{client::StoreChoice, tunnel::Transport};

/// Reads a gateway's address; a bare host is taken for `https://`.
///
/// # Errors
/// The remedy, when it is no `https` address of a host.
pub fn gateway_url(text: &str) -> Result<Url, String> {
    let remedy = || "write the gateway's address, such as https://gateway.example.com".to_owned();
    let whole = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&whole).map_err(|_| remedy())?;
    if url.scheme() == "http" {
        return Err("TLS is mandatory: write https:// instead of http://".to_owned());
    }
    let plain = url.username().is_empty() && url.password().is_none();
    if url.scheme() != "https" || url.host().is_none() || !plain {
        return Err(remedy());
    }
    Ok(url)
}

pub(super) fn profile_name(text: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&text.len())
        && !text.starts_with('.')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if fits {
        Ok(text.to_owned())
    } else {
        Err("write 1 to 64 letters, digits, `.`, `_` or `-`, not beginning with `.`".to_owned())
    }
}

pub(super) fn output(text: &str) -> Result<Output, String> {
    match text {
        "human" => Ok(Output::Human),
        "json" => Ok(Output::Json),
        "jsonl" => Ok(Output::Jsonl),
        _ => Err("write human, json or jsonl".to_owned()),
    }
}

pub(super) fn color(text: &str) -> Result<Color, String> {
    match text {
        "auto" => Ok(Color::Auto),
        "always" => Ok(Color::Always),
        "never" => Ok(Color::Never),
        _ => Err("write auto, always or never".to_owned()),
    }
}

pub(super) fn store_choice(text: &str) -> Result<StoreChoice, String> {
    match text {
        "keyring" => Ok(StoreChoice::Keyring),
        "file" => Ok(StoreChoice::File),
        "memory" => Ok(StoreChoice::Memory),
        _ => Err("write keyring, file or memory".to_owned()),
    }
}

/// `None`: both carriers, raced.
pub(super) fn carrier(text: &str) -> Result<Option<Transport>, String> {
    match text {
        "auto" => Ok(None),
        "quic" => Ok(Some(Transport::Quic)),
        "tcp" => Ok(Some(Transport::Tcp)),
        _ => Err("write auto, quic or tcp".to_owned()),
    }
}

pub(super) fn truth(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

pub(super) fn verbosity(text: &str) -> Result<u8, String> {
    text.parse().map_err(|_| "write 0, 1 or 2".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_cannot_name_a_path() {
        for wrong in ["", "..", ".hidden", "a/b", "a b", &"x".repeat(65)] {
            assert!(profile_name(wrong).is_err(), "{wrong}");
        }
        assert_eq!(profile_name("work-2.eu").unwrap(), "work-2.eu");
    }

    #[test]
    fn a_gateway_is_an_https_host() {
        assert_eq!(gateway_url("gw.example.test:8443").unwrap().as_str(), "https://gw.example.test:8443/");
        for wrong in ["http://gw", "ftp://gw", "https://", "https://user:word@gw", "a b"] {
            assert!(gateway_url(wrong).is_err(), "{wrong}");
        }
    }
}
