//! Every form against bytes that nobody sent: seeded mutations of the corpus in `tests/masking/corpus`, as many each time. Nothing
//! panics, nothing grows, and what is masked does not depend on the cuts.

use std::{fs, path::Path};

use super::{Answer, Form, NotUnderstood, masking};
use crate::gateway::mask::Masker;

/// Mutations of each seed.
const ROUNDS: usize = 250;

/// Marsaglia's xorshift: the same numbers each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % bound.max(1)
    }

    fn mutated(&mut self, seed: &[u8]) -> Vec<u8> {
        const DICTIONARY: [&[u8]; 14] = [
            b"\"",
            b"\\",
            b"\\u00",
            b"\\ud83d",
            b"{",
            b"]",
            b",",
            b"\n\n",
            b"\r",
            b"data: ",
            b"\xff",
            b"\xe2\x82",
            b"4111 1111 1111 1111",
            b"1e",
        ];
        let mut bytes = seed.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let to = (at + self.below(12)).min(bytes.len());
            match self.below(5) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 => drop(bytes.drain(at..to)),
                2 => drop(bytes.splice(at..at, DICTIONARY[self.below(DICTIONARY.len())].iter().copied())),
                3 => {
                    let again = bytes[at..to].to_vec();
                    drop(bytes.splice(at..at, again));
                }
                _ => bytes.truncate(bytes.len() - self.below(bytes.len() / 4 + 1)),
            }
        }
        bytes
    }

    fn cuts(&mut self, length: usize) -> Vec<usize> {
        let mut cuts: Vec<usize> = (0..self.below(12)).map(|_| self.below(length + 1)).collect();
        cuts.sort_unstable();
        cuts
    }
}

fn forms(name: &str) -> Vec<Form> {
    match name.split('-').next().unwrap() {
        "events" => vec![Form::Events],
        "lines" => vec![Form::Lines],
        "json" => vec![Form::Json, Form::Asked],
        "text" => vec![Form::Text],
        "grpc" => {
            vec![Form::Inference { streams: false }, Form::Inference { streams: true }, Form::InferenceAsked]
        }
        "websocket" => vec![Form::WebSocket],
        other => panic!("no form is called {other}"),
    }
}

fn run(form: Form, bytes: &[u8], cuts: &[usize]) -> Result<Vec<u8>, NotUnderstood> {
    let (mut answer, mut out) = (Answer::new(form, true, &masking()), Vec::new());
    let mut from = 0;
    let mut read = || {
        for to in cuts.iter().copied().chain([bytes.len()]) {
            answer.push(&bytes[from..to], &mut out)?;
            from = to;
        }
        answer.finish(&mut out)
    };
    let read = read();
    if read.is_err() {
        answer.abort(&mut out);
    }
    assert!(out.len() <= 20 * bytes.len() + 4096, "{} bytes became {}", bytes.len(), out.len());
    read.map(|()| out)
}

fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/masking/corpus");
    let mut seeds: Vec<(String, Vec<u8>)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 16, "seeds are missing");
    seeds
}

#[test]
fn every_form_takes_anything_and_the_cuts_do_not_matter() {
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    for (name, seed) in corpus() {
        for form in forms(&name) {
            for round in 0..ROUNDS {
                let bytes = if round == 0 { seed.clone() } else { draw.mutated(&seed) };
                let whole = run(form, &bytes, &[]);
                let cuts = draw.cuts(bytes.len());
                assert_eq!(
                    whole,
                    run(form, &bytes, &cuts),
                    "{name} {form:?} {cuts:?} {:?}",
                    bytes.escape_ascii().to_string()
                );
            }
            assert!(run(form, &seed, &[]).is_ok() || form != forms(&name)[0], "{name} is a good one");
        }
    }
}

#[test]
fn the_engine_takes_anything_and_the_cuts_do_not_matter() {
    let mut draw = Draw(0x2545_f491_4f6c_dd1d);
    for (name, seed) in corpus() {
        for _ in 0..ROUNDS {
            let bytes = draw.mutated(&seed);
            let text = String::from_utf8_lossy(&bytes);
            let masked = |cuts: &[usize]| {
                let (mut masker, mut out, mut from): (Masker, _, _) = (masking().masker(), String::new(), 0);
                for to in cuts.iter().map(|cut| text.floor_char_boundary(*cut)).chain([text.len()]) {
                    masker.push(&text[from..to], &mut out);
                    from = to;
                }
                masker.finish(&mut out);
                out
            };
            let cuts = draw.cuts(text.len());
            assert_eq!(masked(&[]), masked(&cuts), "{name} {cuts:?} {text:?}");
        }
    }
}
