//! The model a request's JSON body names, and what else it shows.

use super::{
    form::Form,
    json::{Listener, MAX_TEXT, Scalar, Scanner},
    looked::{Reader, Told, ambiguous},
    shown::Shown,
};
use crate::{gateway::respond::Problem, wire::code};

const MODEL: u8 = 1;

/// The length of the longest byte order mark that matters here, that of UTF-8.
const MARK: usize = 3;

/// Finds `model` at the root of a JSON document.
pub(super) struct Finder {
    scanner: Scanner,
    found: Found,
    /// Something comes behind the document.
    goes_on: bool,
    /// The first bytes that are no blanks, as many as a byte order mark has.
    start: Vec<u8>,
    /// Reads the same bytes where they say they are a form.
    form: Option<Form>,
}

struct Found {
    name: Option<Name>,
    /// There was another one.
    twice: bool,
    /// The model is named elsewhere, and no name in the body means anything.
    aside: bool,
    shown: Shown,
}

#[derive(PartialEq, Eq)]
enum Name {
    Is(String),
    TooLong,
    /// Not a text.
    Other,
}

impl Finder {
    pub(super) fn new(form: bool, keeps_input: bool) -> Self {
        let form = form.then(Form::new);
        let found = Found { name: None, twice: false, aside: false, shown: Shown::new(keeps_input) };
        Self { scanner: Scanner::new(), found, goes_on: false, start: Vec::new(), form }
    }

    /// For requests that name their model elsewhere.
    pub(super) fn aside(keeps_input: bool) -> Self {
        let mut finder = Self::new(false, keeps_input);
        finder.found.aside = true;
        finder
    }

    /// Whether the body begins as JSON does, in UTF-8, UTF-16 or UTF-32: more lenient servers may read it although we cannot. `None` as
    /// long as too little has come.
    fn resembles_json(&self) -> Option<bool> {
        match self.start.as_slice() {
            [] | [0xEF | 0xFE | 0xFF] | [0xEF, 0xBB] => None,
            [b'{' | b'[' | 0, ..] | [0xEF, 0xBB, 0xBF, ..] | [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] => {
                Some(true)
            }
            _ => Some(false),
        }
    }

    fn name(&self) -> Option<&str> {
        match &self.found.name {
            Some(Name::Is(name)) => Some(name),
            _ => None,
        }
    }
}

impl Reader for Finder {
    fn read(&mut self, bytes: &[u8]) {
        if let Some(form) = &mut self.form {
            form.read(bytes);
        }
        let blank = |byte: &&u8| self.start.is_empty() && byte.is_ascii_whitespace();
        let start: Vec<u8> =
            bytes.iter().skip_while(blank).take(MARK.saturating_sub(self.start.len())).copied().collect();
        self.start.extend(start);
        let behind = self.scanner.feed_first(bytes, &mut self.found);
        // A lone number or word is as likely the beginning of something else.
        if self.scanner.is_whole() && self.scanner.holds_others() {
            self.goes_on |= !behind.trim_ascii().is_empty();
        }
    }

    fn searches(&self) -> bool {
        let broken = self.scanner.is_broken() && self.resembles_json().is_some();
        let over = self.found.aside || self.scanner.is_whole() || broken;
        self.found.name.is_none() && !over
    }

    /// A name, whatever its value, or that there is none.
    fn guards(&self) -> bool {
        !self.found.aside && (self.found.name.is_some() || self.scanner.is_whole())
    }

    fn doubt(&self) -> Option<&'static str> {
        if self.found.twice {
            return Some("names two models");
        }
        if self.goes_on {
            return Some("goes on after its JSON document");
        }
        if self.scanner.is_broken() && self.found.name.is_none() && self.resembles_json() == Some(true) {
            return Some("begins like JSON and is no valid JSON in UTF-8 before it names a model");
        }
        self.found.name.as_ref()?;
        if self.scanner.is_broken() {
            return Some("names a model and is no valid JSON");
        }
        let form = self.form.as_ref().is_some_and(Form::found);
        form.then_some("says that it is a form, and names a model as JSON and as a form")
    }

    fn model(&self) -> Result<Option<String>, Problem> {
        if let Some(doubt) = self.doubt().filter(|_| !self.found.aside) {
            return Err(ambiguous(doubt));
        }
        if self.found.name == Some(Name::TooLong) {
            let message = format!("the request's `model` is longer than {MAX_TEXT} bytes");
            return Err(Problem::new(code::BAD_REQUEST, message).remedy("send the model's own name"));
        }
        Ok(self.name().map(str::to_owned))
    }

    fn told(&self) -> Told {
        let shown = &self.found.shown;
        Told { stream: shown.stream(), input: shown.input(), whole: self.scanner.is_whole() }
    }
}

impl Listener for Found {
    fn name(&self, name: &[u8]) -> u8 {
        // Some servers do not look at the case of names.
        if name.eq_ignore_ascii_case(b"model") { MODEL } else { Shown::name(name) }
    }

    fn wants_text(&self, path: &[u8]) -> Option<usize> {
        if path == [MODEL] { Some(MAX_TEXT) } else { self.shown.wants_text(path) }
    }

    fn value(&mut self, path: &[u8], value: Scalar<'_>) {
        if path != [MODEL] {
            return self.shown.value(path, value);
        }
        if self.aside {
            return;
        }
        let name = match value {
            Scalar::Text(text) => Name::Is(String::from_utf8_lossy(text).into_owned()),
            Scalar::LongText(_) => Name::TooLong,
            _ => Name::Other,
        };
        match &self.name {
            Some(first) => self.twice |= *first != name || name == Name::TooLong,
            None => self.name = Some(name),
        }
    }

    fn end(&mut self) {
        self.shown.message_ends();
    }

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
        let mut finder = Finder::new(form, true);
        for piece in pieces {
            finder.read(piece);
        }
        (finder.name().map(str::to_owned), finder.model().is_err())
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
        (r#"{"messages":[],}{"model":"b"}"#, None, true),
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
        assert_eq!(read(&[deeper.as_bytes()]), (None, true), "a server may follow it");
    }

    /// A body as more lenient servers read it, in their encodings.
    fn lenient() -> Vec<Vec<u8>> {
        let text = r#"{"model":"b"}"#;
        let marked = |mark: &[u8], body: &[u8]| [mark, body].concat();
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let wide: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect();
        vec![
            br#"{"x":NaN,"model":"b"}"#.to_vec(),
            br#" [{"x":Infinity,"model":"b"}]"#.to_vec(),
            b"{'model':'b'}".to_vec(),
            b"{/* */\"model\":\"b\"}".to_vec(),
            marked(&[0xEF, 0xBB, 0xBF], text.as_bytes()),
            marked(&[0xFF, 0xFE], &little),
            marked(&[0xFE, 0xFF], &big),
            little,
            big,
            wide,
        ]
    }

    #[test]
    fn what_only_lenient_servers_read_as_json_is_refused_however_it_is_cut() {
        for body in lenient() {
            assert_eq!(read(&[&body]), (None, true), "{body:?}");
            // As the gate reads: no further than it searches.
            let mut finder = Finder::new(false, false);
            for byte in &body {
                if finder.searches() {
                    finder.read(std::slice::from_ref(byte));
                }
            }
            assert!(finder.model().is_err(), "{body:?} byte by byte");
            let mut aside = Finder::aside(false);
            aside.read(&body);
            assert!(aside.model().is_ok(), "the path names it");
        }
        for other in
            [&b"\xFF\xD8\xFF\xE0 a picture"[..], b"RIFF\0\0", b"\xEF\xBB", b"\xFF", b"model=b", b"--x\r\n"]
        {
            assert!(!read(&[other]).1, "{other:?}");
        }
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
            let mut finder = Finder::new(false, false);
            finder.read(first.as_bytes());
            assert!(finder.guards() && finder.model().is_ok(), "{first}");
            finder.read(then.as_bytes());
            assert!(finder.doubt().is_some(), "{first} {then}");
        }
    }

    /// Body, the stream flag, the input.
    const SHOWN: [(&str, Option<bool>, Option<&str>); 17] = [
        (
            r#"{"model":"m","stream":true,"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}"#,
            Some(true),
            Some("c"),
        ),
        (
            r#"{"messages":[{"content":[{"type":"text","text":"one"},{"type":"image_url","image_url":{"url":"x"}},{"type":"text","text":"two"}],"role":"user"},{"role":"assistant","content":"b"}],"stream":false}"#,
            Some(false),
            Some("one\ntwo"),
        ),
        (
            r#"{"messages":[{"role":"user","content":"asked"},{"role":"user","content":[{"type":"tool_result","content":"t"}]}]}"#,
            None,
            Some("asked"),
        ),
        (r#"{"input":"embed me"}"#, None, Some("embed me")),
        (r#"{"input":["a","b"]}"#, None, Some("a\nb")),
        (r#"{"input":[[1,2],[3]]}"#, None, None),
        (
            r#"{"input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]},{"type":"function_call_output","output":"o"}]}"#,
            None,
            Some("hi"),
        ),
        (r#"{"prompt":"p","stream":"true"}"#, None, Some("p")),
        (
            r#"{"contents":[{"role":"user","parts":[{"text":"g"}]},{"role":"model","parts":[{"text":"h"}]}]}"#,
            None,
            Some("g"),
        ),
        (r#"{"contents":[{"parts":[{"text":"no role"}]}]}"#, None, Some("no role")),
        (r#"{"content":{"parts":[{"text":"e"}]}}"#, None, Some("e")),
        (
            r#"{"requests":[{"content":{"parts":[{"text":"e"}]}},{"content":{"parts":[{"text":"f"}]}}]}"#,
            None,
            Some("f"),
        ),
        (r#"{"text_input":"t"}"#, None, Some("t")),
        (r#"{"metadata":{"stream":true,"prompt":"x"}}"#, None, None),
        (r#"{"stream":null}"#, None, None),
        // As far as it came.
        (r#"{"messages":[{"role":"user","content":"first"}, }"#, None, Some("first")),
        ("\u{1}\u{2}", None, None),
    ];

    fn told(pieces: &[&[u8]]) -> (Option<bool>, Option<String>) {
        let mut finder = Finder::new(false, true);
        pieces.iter().for_each(|piece| finder.read(piece));
        let told = finder.told();
        (told.stream, told.input)
    }

    #[test]
    fn the_stream_flag_and_what_is_asked_are_read() {
        for (body, stream, input) in SHOWN {
            assert_eq!(told(&[body.as_bytes()]), (stream, input.map(str::to_owned)), "{body}");
            let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
            assert_eq!(told(&bytes), (stream, input.map(str::to_owned)), "{body} byte by byte");
        }
    }

    #[test]
    fn an_input_has_a_bound_and_nothing_is_kept_unasked() {
        for character in ["x", "é", "😀"] {
            let body = format!(r#"{{"model":"m","prompt":"{}"}}"#, character.repeat(3000));
            let input = told(&[body.as_bytes()]).1.unwrap();
            assert!(input.len() > 2040 && input.len() <= 2048, "{}", input.len());
            assert_eq!(input.replace(character, ""), "", "no half a character");
        }
        let mut finder = Finder::new(false, false);
        finder.read(br#"{"prompt":"secret","stream":true}"#);
        assert_eq!(finder.told(), Told { stream: Some(true), input: None, whole: true });
    }

    #[test]
    fn aside_of_a_path_the_body_names_no_model() {
        let mut finder = Finder::aside(true);
        finder.read(br#"{"model":"a","model":"b","stream":true,"prompt":"p"} x"#);
        assert!(!finder.searches() && !finder.guards() && finder.model().unwrap().is_none());
        assert_eq!(finder.told().stream, Some(true));
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
