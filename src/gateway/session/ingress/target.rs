//! What follows `/models/`: the model's name, and the rest of the target byte for byte.

use http::{Uri, uri::PathAndQuery};

use crate::{gateway::respond::Problem, wire::code};

/// Where the models are.
pub(super) const PREFIX: &str = "/models/";

/// The longest written name, bytes; names in `gateway.toml` are shorter.
const MAX_WRITTEN: usize = 256;

/// Where a request goes.
#[derive(Debug)]
pub(super) struct Target {
    /// The model's name; it need not exist.
    pub(super) model: String,
    /// What an application behind `hoopctl connect` would have sent: everything behind the name, nothing decoded or tidied.
    pub(super) uri: Uri,
}

impl Target {
    /// Splits the target of a request whose path begins with [`PREFIX`].
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        let sent = uri.path_and_query().map_or("", PathAndQuery::as_str);
        let behind = sent.strip_prefix(PREFIX).unwrap_or_default();
        let end = behind.find(['/', '?']).unwrap_or(behind.len());
        let (written, rest) = behind.split_at_checked(end).unwrap_or_default();
        let model = name(written)?;
        let rest = match rest.as_bytes().first() {
            Some(b'/') => rest.parse(),
            Some(_) => format!("/{rest}").parse(),
            None => Ok(PathAndQuery::from_static("/")),
        };
        let rest = rest.map_err(|_| Problem::new(code::BAD_REQUEST, "the request's path cannot be read"))?;
        let mut parts = uri.clone().into_parts();
        parts.path_and_query = Some(rest);
        let uri = Uri::from_parts(parts)
            .map_err(|_| Problem::new(code::BAD_REQUEST, "the request's target cannot be read"))?;
        Ok(Self { model, uri })
    }
}

/// The name as it was meant: percent-decoded once (RFC 3986 §2.4), of printable ASCII, which all names of models are.
fn name(written: &str) -> Result<String, Problem> {
    let unreadable = || {
        Problem::new(code::MODEL_UNKNOWN, "the path names no model")
            .remedy("send requests to /models/MODEL/…, and list the models you may use: hoopctl models")
    };
    if written.is_empty() || written.len() > MAX_WRITTEN {
        return Err(unreadable());
    }
    let mut name = String::with_capacity(written.len());
    let mut bytes = written.bytes();
    while let Some(byte) = bytes.next() {
        let meant = match byte {
            b'%' => hex(bytes.next()).zip(hex(bytes.next())).map(|(high, low)| high << 4 | low),
            _ => Some(byte),
        };
        match meant {
            Some(byte @ b'!'..=b'~') => name.push(char::from(byte)),
            _ => return Err(unreadable()),
        }
    }
    Ok(name)
}

fn hex(digit: Option<u8>) -> Option<u8> {
    let digit = char::from(digit?).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(sent: &str) -> Option<(String, String)> {
        let target = Target::of(&sent.parse().unwrap()).ok()?;
        Some((target.model, target.uri.path_and_query().unwrap().to_string()))
    }

    #[test]
    fn the_prefix_goes_and_every_other_byte_stays() {
        for (sent, model, passed) in [
            ("/models/m", "m", "/"),
            ("/models/m/", "m", "/"),
            ("/models/m?", "m", "/?"),
            ("/models/m?a=/b", "m", "/?a=/b"),
            ("/models/m/v1/chat/completions", "m", "/v1/chat/completions"),
            ("/models/m//v1//", "m", "//v1//"),
            ("/models/m/../x/./y", "m", "/../x/./y"),
            ("/models/m/%2e%2E/a%2Fb%20c%25?q=%2F&x=+&&=", "m", "/%2e%2E/a%2Fb%20c%25?q=%2F&x=+&&="),
            ("/models/m/models/n/", "m", "/models/n/"),
            (
                "/models/m/v1beta/models/g:generateContent?alt=sse",
                "m",
                "/v1beta/models/g:generateContent?alt=sse",
            ),
            ("/models/fraud%2Ddetector/v2", "fraud-detector", "/v2"),
            ("/models/a%2Fb/c", "a/b", "/c"),
            ("/models/a%252Fb/c", "a%2Fb", "/c"),
            ("/models/../models/m/", "..", "/models/m/"),
            ("https://gateway.test/models/m/x?y", "m", "/x?y"),
        ] {
            assert_eq!(split(sent), Some((model.to_owned(), passed.to_owned())), "{sent}");
        }
    }

    #[test]
    fn what_names_no_model_is_refused() {
        let long = format!("/models/{}/", "a".repeat(MAX_WRITTEN + 1));
        for sent in [
            "/models/",
            "/models//v1",
            "/models/?x",
            "/models/%",
            "/models/%zz/",
            "/models/%00/",
            "/models/a%20b/",
            "/models/%ff/",
            "/models/a%0d%0ab/",
            &long,
        ] {
            assert_eq!(split(sent), None, "{sent}");
        }
    }

    #[test]
    fn an_authority_stays_for_the_checks_of_the_request() {
        let target = Target::of(&"https://gateway.test:8443/models/m/x".parse().unwrap()).unwrap();
        assert_eq!(target.uri.authority().unwrap(), "gateway.test:8443");
    }
}
