//! What is read of JSON, and that it is the same whatever the cuts.

use super::{Escapes, Malformed, Path, Scanner, Sink, scan::DEEPEST};

/// What a document says, and its bytes as they would be written again.
#[derive(Default)]
struct Heard {
    out: String,
    said: Vec<String>,
    now: Option<String>,
    key: bool,
}

impl Sink for Heard {
    fn raw(&mut self, bytes: &[u8]) {
        self.out.push_str(std::str::from_utf8(bytes).unwrap());
    }
    fn enter(&mut self, _: &Path, bracket: u8, _: u64) {
        self.out.push(char::from(bracket));
    }
    fn leave(&mut self, bracket: u8, _: u64) {
        self.out.push(char::from(bracket));
    }
    fn open(&mut self, path: &Path, key: bool, _: u64) {
        self.key = key;
        if !key {
            self.said.push(path.to_string());
        }
        self.now = Some(String::new());
    }
    fn text(&mut self, piece: &str, _: &Escapes) {
        self.now.as_mut().unwrap().push_str(piece);
    }
    fn close(&mut self, escapes: &Escapes, _: u64) {
        let text = self.now.take().unwrap();
        let mut written = Vec::new();
        escapes.write(&text, &mut written);
        self.out.push_str(&format!("\"{}\"", String::from_utf8(written).unwrap()));
        if !self.key {
            self.said.push(text);
        }
    }
    fn scalar(&mut self, path: &Path, text: &str, _: u64) {
        self.out.push_str(text);
        self.said.push(format!("{path}={text}"));
    }
}

fn read(pieces: &[&[u8]]) -> Result<Heard, Malformed> {
    let (mut scanner, mut heard) = (Scanner::default(), Heard::default());
    for piece in pieces {
        scanner.feed(piece, &mut heard)?;
    }
    scanner.finish(&mut heard)?;
    Ok(heard)
}

#[test]
fn every_value_is_told_with_its_path_whatever_the_cuts() {
    let json =
        br#" {"a":[1,-2.5e+3,"x\u00e9\ud83d\ude00y"], "b\u0062":{"c":null,"":true}, "d":"\ud800z\\\n"} "#;
    let whole = read(&[json]).unwrap();
    assert_eq!(
        whole.said,
        [
            "$.a[0]=1",
            "$.a[1]=-2.5e+3",
            "$.a[2]",
            "xé😀y",
            "$.bb.c=null",
            "$.bb.=true",
            "$.d",
            "\u{fffd}z\\\n"
        ]
    );
    for first in 0..json.len() {
        for second in first..json.len() {
            let cut = read(&[&json[..first], &json[first..second], &json[second..]]).unwrap();
            assert_eq!((cut.said, cut.out), (whole.said.clone(), whole.out.clone()), "{first} {second}");
        }
    }
}

#[test]
fn what_is_written_again_is_the_same_json() {
    for json in [
        "[]",
        "{}",
        "[[],{}]",
        "\"\"",
        "0",
        "[0,{\"a\":{}}]",
        "{\"é\":\"é\"}",
        "[1,2 ,3]",
        "\"\\u00e9\\/<\\u0026\"",
        "[\"\\u000A/\"]",
    ] {
        assert_eq!(read(&[json.as_bytes()]).unwrap().out, json);
    }
}

#[test]
fn anything_else_is_an_error() {
    let deep = "[".repeat(DEEPEST + 1);
    for (json, error) in [
        ("", Malformed::Short),
        ("{", Malformed::Short),
        ("\"a", Malformed::Short),
        ("[1,]", Malformed::At(3)),
        ("{\"a\":1,}", Malformed::At(7)),
        ("[1 2]", Malformed::At(3)),
        ("01", Malformed::At(0)),
        ("[-]", Malformed::At(2)),
        ("1.", Malformed::At(0)),
        ("nul", Malformed::At(0)),
        ("{1:2}", Malformed::At(1)),
        ("[}", Malformed::At(1)),
        ("{\"a\":1]", Malformed::At(6)),
        ("1 2", Malformed::At(2)),
        ("\"\\x\"", Malformed::At(2)),
        ("\"\\u12g4\"", Malformed::At(5)),
        ("\"a\nb\"", Malformed::At(1)),
        (deep.as_str(), Malformed::Deep),
    ] {
        let got = read(&[json.as_bytes()]).err();
        let same = matches!((got, error), (Some(Malformed::At(_)), Malformed::At(_))) || got == Some(error);
        assert!(same, "{json}: {got:?}");
    }
}

#[test]
fn broken_utf8_becomes_the_replacement_character_whatever_the_cuts() {
    let json = b"\"a\xff\xc3(\xe2\x82\"";
    for cut in 0..json.len() {
        assert_eq!(read(&[&json[..cut], &json[cut..]]).unwrap().said[1], "a\u{fffd}\u{fffd}(\u{fffd}");
    }
}
