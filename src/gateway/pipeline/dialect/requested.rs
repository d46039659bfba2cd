//! The model a request's JSON body names, read from its first bytes; they are handed on as they came.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::{
    form::Form,
    json::{Listener, MAX_TEXT, Scalar, Scanner, UNKNOWN},
};
use crate::{
    gateway::{
        framing,
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
    /// Reads the rest as it passes: nothing may follow from which a server could take another name.
    pub(in crate::gateway::pipeline) watch: Option<Box<dyn Watch>>,
}

/// Reads a body up to the name, at most 64 KiB and 10 s of it.
///
/// # Errors
/// When the body names two models or one with an endless name, is more than the one JSON document it was read as, or breaks off.
pub(in crate::gateway::pipeline) async fn look(
    body: &mut Incoming,
    headers: &HeaderMap,
) -> Result<Looked, Problem> {
    let mut looked = Looked::default();
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    let encoded = encodings.iter().any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encoded || is_of(headers, b"multipart/") {
        return Ok(looked);
    }
    // `curl -d` says form and sends JSON, which is what the servers of these dialects read.
    let mut finder = Finder::new(is_of(headers, b"application/x-www-form-urlencoded"));
    let deadline = Instant::now() + PATIENCE;
    let mut read = 0;
    while read < WINDOW && !body.is_end_stream() && finder.searches() {
        let Ok(frame) = timeout_at(deadline, body.frame()).await else { break };
        match frame {
            None => break,
            Some(Err(error)) => {
                tracing::debug!(%error, "a request body broke before it named its model");
                let cut = UpstreamError::RequestCut;
                return Err(Problem::from(
                    &framing::refused_by(&error).map_or(cut, UpstreamError::RequestMalformed),
                ));
            }
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    // No more than the window, so that what was found does not depend on how the bytes were cut.
                    let inside = data.get(..WINDOW - read).unwrap_or(data);
                    finder.read(inside);
                    if !finder.searches() {
                        finder.read(data.get(inside.len()..).unwrap_or_default());
                    }
                    read += data.len();
                }
                looked.early.push(frame);
            }
        }
    }
    looked.model = finder.judge()?.map(str::to_owned);
    if finder.guards() {
        looked.watch = Some(Box::new(finder));
    }
    Ok(looked)
}

/// Whether any content type of the request begins so.
fn is_of(headers: &HeaderMap, kind: &[u8]) -> bool {
    let values = headers.get_all(header::CONTENT_TYPE).iter();
    let mut kinds = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    kinds.any(|one| one.trim_ascii().get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind)))
}

/// Finds `model` at the root of a JSON document.
struct Finder {
    scanner: Scanner,
    found: Found,
    /// Something comes behind the document.
    goes_on: bool,
    /// Reads the same bytes where they say they are a form.
    form: Option<Form>,
}

#[derive(Default)]
struct Found {
    name: Option<Name>,
    /// There was another one.
    twice: bool,
}

#[derive(PartialEq, Eq)]
enum Name {
    Is(String),
    TooLong,
    /// Not a text.
    Other,
}

impl Finder {
    fn new(form: bool) -> Self {
        let form = form.then(Form::new);
        Self { scanner: Scanner::new(), found: Found::default(), goes_on: false, form }
    }

    fn read(&mut self, bytes: &[u8]) {
        if let Some(form) = &mut self.form {
            form.read(bytes);
        }
        let behind = self.scanner.feed_first(bytes, &mut self.found);
        // A lone number or word is as likely the beginning of something else.
        if self.scanner.is_whole() && self.scanner.holds_others() {
            self.goes_on |= !behind.trim_ascii().is_empty();
        }
    }

    fn searches(&self) -> bool {
        self.found.name.is_none() && !self.scanner.is_whole() && !self.scanner.is_broken()
    }

    /// Whether what follows has to agree with what was found: a name, whatever its value, or that there is none.
    fn guards(&self) -> bool {
        self.found.name.is_some() || self.scanner.is_whole()
    }

    fn name(&self) -> Option<&str> {
        match &self.found.name {
            Some(Name::Is(name)) => Some(name),
            _ => None,
        }
    }

    /// Why a server could take another model from the body.
    fn doubt(&self) -> Option<&'static str> {
        if self.found.twice {
            return Some("names two models");
        }
        if self.goes_on {
            return Some("goes on after its JSON document");
        }
        self.found.name.as_ref()?;
        if self.scanner.is_broken() {
            return Some("names a model and is no valid JSON");
        }
        let form = self.form.as_ref().is_some_and(Form::found);
        form.then_some("says that it is a form, and names a model as JSON and as a form")
    }

    /// The one name.
    fn judge(&self) -> Result<Option<&str>, Problem> {
        if let Some(doubt) = self.doubt() {
            let message = format!("the request {doubt}, and servers differ in which model they take");
            let remedy = "send one JSON document with `model` once, as application/json";
            return Err(Problem::new(code::BAD_REQUEST, message).remedy(remedy));
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
        self.doubt().is_none()
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
        if path != [MODEL] {
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

    fn end(&mut self) {}

    fn broken(&mut self) {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{ProptestConfig, any, proptest};

    use super::*;

    fn read(pieces: &[&[u8]]) -> (Option<String>, bool) {
        read_as(false, pieces)
    }

    fn read_as(form: bool, pieces: &[&[u8]]) -> (Option<String>, bool) {
        let mut finder = Finder::new(form);
        for piece in pieces {
            finder.read(piece);
        }
        (finder.name().map(str::to_owned), finder.judge().is_err())
    }

    const BODIES: [(&str, Option<&str>, bool); 25] = [
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
        (r#"{"x":"y"}{"model":"b"}"#, None, true),
        (r#"{"x":"y"}  &model=b"#, None, true),
        (r#"{"model":"a"}&model=b"#, Some("a"), true),
        (r#"{"model":"a"}"&model=b"#, Some("a"), true),
        ("{\"model\":\"a\"}\r\n\t ", Some("a"), false),
        (r#"{"model":"a","x":NaN,"model":"b"}"#, Some("a"), true),
        (r#"[{"model":"a"},{"model":"b"}]"#, Some("a"), true),
        ("[]{\"model\":\"b\"}", None, true),
        ("17 bytes of something else", None, false),
        ("\"text\" {}", None, false),
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

    #[test]
    fn json_that_says_it_is_a_form_is_read_and_names_no_model_as_a_form() {
        for (body, name, refused) in [
            (r#"{"model":"a","prompt":"R&D = x; y"}"#, Some("a"), false),
            (r#"{"model":"a","prompt":"&model=b&"}"#, Some("a"), true),
            (r#"{"model":"a","prompt":"&model=b"#, Some("a"), true),
            (r#"{"prompt":"&model=b"}"#, None, false),
            ("model=b&prompt=x", None, false),
        ] {
            assert_eq!(read_as(true, &[body.as_bytes()]), (name.map(str::to_owned), refused), "{body}");
        }
        assert!(!read(&[br#"{"model":"a","prompt":"&model=b&"}"#]).1, "JSON is not read as a form");
    }

    #[test]
    fn a_key_without_a_name_is_watched_like_one_with() {
        for (first, then) in
            [(r#"{"model":null,"#, r#""model":"b"}"#), (r#"{"x":1}"#, r#"{"model":"b"}"#), ("[]", "x")]
        {
            let mut finder = Finder::new(false);
            finder.read(first.as_bytes());
            assert!(finder.guards() && finder.judge().is_ok(), "{first}");
            assert!(!finder.passes(then.as_bytes()), "{first} {then}");
        }
    }

    #[test]
    fn any_content_type_counts() {
        let mut headers = HeaderMap::new();
        headers.append("content-type", "application/json".parse().unwrap());
        assert!(!is_of(&headers, b"multipart/"));
        headers.append("content-type", "text/plain, Multipart/Form-Data; boundary=x".parse().unwrap());
        assert!(is_of(&headers, b"multipart/"));
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
