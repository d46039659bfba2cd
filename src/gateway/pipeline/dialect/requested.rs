//! The model a request's JSON body names, read from its first bytes; they are handed on as they came.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::json::{Listener, MAX_TEXT, Scalar, Scanner, UNKNOWN};
use crate::{
    gateway::{
        respond::Problem,
        upstream::{UpstreamError, Watch},
    },
    wire::code,
};

/// How far the name is looked for, bytes, and how long its bytes are waited for.
const WINDOW: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

const MODEL: u8 = 1;

/// What was read before anything was sent.
#[derive(Default)]
pub(in crate::gateway::pipeline) struct Looked {
    /// The name, where there is one.
    pub(in crate::gateway::pipeline) model: Option<String>,
    /// To be sent before the rest of the body.
    pub(in crate::gateway::pipeline) early: Vec<Frame<Bytes>>,
    /// Reads the rest as it passes: a second name that differs must not follow.
    pub(in crate::gateway::pipeline) watch: Option<Box<dyn Watch>>,
}

/// Reads a body up to the name, at most 64 KiB and 10 s of it.
///
/// # Errors
/// When the body names two models, one with an endless name, or breaks off.
pub(in crate::gateway::pipeline) async fn look(
    body: &mut Incoming,
    headers: &HeaderMap,
) -> Result<Looked, Problem> {
    let mut looked = Looked::default();
    let encoded = headers.get(http::header::CONTENT_ENCODING);
    if encoded.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(looked);
    }
    let mut finder = Finder::new();
    let deadline = Instant::now() + PATIENCE;
    let mut read = 0;
    while read < WINDOW && !body.is_end_stream() && finder.searches() {
        let Ok(frame) = timeout_at(deadline, body.frame()).await else { break };
        match frame {
            None => break,
            Some(Err(error)) => {
                tracing::debug!(%error, "a request body broke before it named its model");
                return Err(Problem::from(&UpstreamError::RequestCut));
            }
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    // No more than the window, so that what was found does not depend on how the bytes were cut.
                    let inside = data.get(..WINDOW - read).unwrap_or(data);
                    finder.read(inside);
                    if finder.name().is_some() {
                        finder.read(data.get(inside.len()..).unwrap_or_default());
                    }
                    read += data.len();
                }
                looked.early.push(frame);
            }
        }
    }
    looked.model = finder.judge()?.map(str::to_owned);
    if looked.model.is_some() {
        looked.watch = Some(Box::new(finder));
    }
    Ok(looked)
}

/// Finds `model` at the root of a JSON document.
struct Finder {
    scanner: Scanner,
    found: Found,
}

#[derive(Default)]
struct Found {
    name: Option<Name>,
    /// There was another one.
    twice: bool,
    /// The document is over.
    ended: bool,
}

#[derive(PartialEq, Eq)]
enum Name {
    Is(String),
    TooLong,
    /// Not a text.
    Other,
}

impl Finder {
    fn new() -> Self {
        Self { scanner: Scanner::new(), found: Found::default() }
    }

    fn read(&mut self, bytes: &[u8]) {
        self.scanner.feed(bytes, &mut self.found);
    }

    fn searches(&self) -> bool {
        self.found.name.is_none() && !self.found.ended && !self.scanner.is_broken()
    }

    fn name(&self) -> Option<&str> {
        match &self.found.name {
            Some(Name::Is(name)) => Some(name),
            _ => None,
        }
    }

    /// The one name.
    fn judge(&self) -> Result<Option<&str>, Problem> {
        if self.found.twice {
            let message = "the request names two models, and servers differ in which they take";
            return Err(Problem::new(code::BAD_REQUEST, message).remedy("send `model` once"));
        }
        if self.found.name == Some(Name::TooLong) {
            let message = format!("the request's `model` is longer than {MAX_TEXT} bytes");
            return Err(Problem::new(code::BAD_REQUEST, message).remedy("send the model's own name"));
        }
        Ok(self.name())
    }
}

impl Watch for Finder {
    fn passes(&mut self, bytes: &[u8]) -> bool {
        self.read(bytes);
        !self.found.twice
    }
}

impl Listener for Found {
    fn name(&self, name: &[u8]) -> u8 {
        // Some servers do not look at the case of names.
        if name.eq_ignore_ascii_case(b"model") { MODEL } else { UNKNOWN }
    }

    fn wants_text(&self, path: &[u8]) -> bool {
        path == [MODEL]
    }

    fn value(&mut self, path: &[u8], value: Scalar<'_>) {
        if path != [MODEL] || self.ended {
            return;
        }
        let name = match value {
            Scalar::Text(text) => Name::Is(String::from_utf8_lossy(text).into_owned()),
            Scalar::LongText => Name::TooLong,
            Scalar::Number(_) | Scalar::Other => Name::Other,
        };
        match &self.name {
            Some(first) => self.twice |= *first != name || name == Name::TooLong,
            None => self.name = Some(name),
        }
    }

    fn end(&mut self) {
        self.ended = true;
    }

    fn broken(&mut self) {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::*;

    fn read(pieces: &[&[u8]]) -> (Option<String>, bool) {
        let mut finder = Finder::new();
        for piece in pieces {
            finder.read(piece);
        }
        (finder.name().map(str::to_owned), finder.judge().is_err())
    }

    const BODIES: [(&str, Option<&str>, bool); 16] = [
        (r#"{"model":"gpt-4o","messages":[]}"#, Some("gpt-4o"), false),
        (
            r#"{"messages":[{"model":"inner","content":"{\"model\":\"x\"}"}],"model" : "outer"}"#,
            Some("outer"),
            false,
        ),
        (r#"{"m\u006fdel":"a\u00e9\ud83d\ude00\/\n"}"#, Some("aé😀/\n"), false),
        (r#"{"model":"a","model":"a"}"#, Some("a"), false),
        (r#"{"model":"a","x":[1,{"y":[]}],"model":"b"}"#, Some("a"), true),
        (r#"{"model":"a","MODEL":"b"}"#, Some("a"), true),
        (r#"{"model":null,"model":"b"}"#, None, true),
        (r#"{"model":{"model":"b"}}"#, None, false),
        (r#"{"model":17}"#, None, false),
        (r#"[{"model":"a"}]"#, Some("a"), false),
        (r#"{"messages":[],}{"model":"b"}"#, None, false),
        (r#"{"x":"y"}{"model":"b"}"#, None, false),
        (r#"{"x":-1.5e3,"y":true,"z":false,"n":null,"model":"m"}"#, Some("m"), false),
        ("--boundary\r\nmodel", None, false),
        ("", None, false),
        ("  {  }  ", None, false),
    ];

    #[test]
    fn the_name_at_the_root_is_found_and_no_other() {
        for (body, name, refused) in BODIES {
            assert_eq!(read(&[body.as_bytes()]), (name.map(str::to_owned), refused), "{body}");
        }
    }

    #[test]
    fn a_name_without_end_is_refused_and_deep_nesting_is_no_name() {
        let long = format!(r#"{{"model":"{}"}}"#, "x".repeat(MAX_TEXT + 1));
        assert_eq!(read(&[long.as_bytes()]), (None, true));
        let deep = format!(r#"{{"a":{}{},"model":"m"}}"#, "[".repeat(100), "]".repeat(100));
        assert_eq!(read(&[deep.as_bytes()]), (Some("m".to_owned()), false));
        let deeper = format!(r#"{{"a":{}{},"model":"m"}}"#, "[".repeat(1000), "]".repeat(1000));
        assert_eq!(read(&[deeper.as_bytes()]), (None, false));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn any_cut_reads_the_same(which in 0..BODIES.len(), cuts in proptest::collection::vec(any::<u16>(), 0..8)) {
            let body = BODIES[which].0.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| usize::from(*cut) % (body.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([body.len()]) {
                pieces.push(&body[from..cut]);
                from = cut;
            }
            assert_eq!(read(&pieces), read(&[body]));
        }

        #[test]
        fn any_document_reads_as_a_parser_reads_it(name in ".{0,12}", before in proptest::collection::vec(".{0,6}", 0..4)) {
            let mut document = serde_json::Map::new();
            for (at, text) in before.iter().enumerate() {
                document.insert(format!("k{at}{text}"), serde_json::json!({ "model": text, "list": [text, at, null] }));
            }
            document.insert("model".to_owned(), name.clone().into());
            let body = serde_json::Value::Object(document).to_string();
            assert_eq!(read(&[body.as_bytes()]), (Some(name), false));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(&[&bytes]);
        }
    }
}
