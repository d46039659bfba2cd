//! What masking costs: the engine on English prose, on technical documentation and on text full of values, every wire format through its
//! lane, how much is held, and the memory of a stream.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    hint::black_box,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use hoopctl::gateway::mask::{Answer, Form, Key, Masker, Masking, Rules, Style};
use serde_json::Value;

use crate::report::median;

/// How long each figure is measured.
const MEASURED: Duration = Duration::from_secs(2);
/// Streams that are open at once where their memory is measured.
const STREAMS: usize = 2_000;

pub fn measure() {
    let rules = Arc::new(Rules::everything(Style::Label));
    let key = Arc::new(Key::new(&[7; 32]));
    let masker = || Masker::new(Arc::clone(&rules), Arc::clone(&key));
    let masking = || Arc::new(Masking::new(Arc::clone(&rules), Arc::from([]), Arc::clone(&key)));

    let (prose, documentation, dense) = (prose(), documentation(), dense());
    for (name, text) in [("prose", &prose), ("documentation", &documentation), ("dense text", &dense)] {
        for piece in [text.len(), 64, 4] {
            let speed = speed(text.len(), || engine(&mut masker(), text, piece));
            println!("engine, {name}, pieces of {piece:>8}: {speed:>6.1} MB/s");
        }
        println!("engine, {name}, held: median {} bytes", held(&mut masker(), text));
    }
    let (median, late) = delays(&mut masker(), &prose);
    println!(
        "engine, prose at 20 words a second: a character waits {median:.0} ms (median), {late:.0} ms (p95)"
    );
    for (format, wires) in wires() {
        let form = if format == "openai_json" { Form::Json } else { Form::Events };
        let length = wires.iter().map(Vec::len).sum();
        let speed = speed(length, || wires.iter().for_each(|wire| lane(&masking(), form, wire)));
        println!("lane, {format}, pieces of 1400: {speed:.1} MB/s");
    }
    let event = |text: &str| {
        format!("data: {}\n\n", serde_json::json!({"choices": [{"index": 0, "delta": {"content": text}}]}))
    };
    let long: String = prose.split_inclusive(' ').take(50_000).map(event).collect();
    let speed = speed(long.len(), || lane(&masking(), Form::Events, long.as_bytes()));
    println!("lane, prose, a word an event: {speed:.1} MB/s");

    let before = resident();
    let open: Vec<Answer> = (0..STREAMS)
        .map(|_| {
            let mut answer = Answer::new(Form::Events, true, &masking());
            answer.push(long.as_bytes().get(..64 * 1024).unwrap_or_default(), &mut Vec::new()).unwrap();
            answer
        })
        .collect();
    println!("memory of a stream: {} bytes", (resident() - before) * 1024 / open.len());
}

fn engine(masker: &mut Masker, text: &str, piece: usize) {
    let (mut out, mut from) = (String::new(), 0);
    while from < text.len() {
        let to = text.ceil_char_boundary((from + piece).min(text.len()));
        masker.push(&text[from..to], &mut out);
        from = to;
        if out.len() > 64 * 1024 {
            black_box(&out);
            out.clear();
        }
    }
    masker.finish(&mut out);
    black_box(&out);
}

fn lane(masking: &Arc<Masking>, form: Form, wire: &[u8]) {
    let (mut answer, mut out) = (Answer::new(form, true, masking), Vec::new());
    for piece in wire.chunks(1400) {
        out.clear();
        answer.push(piece, &mut out).unwrap();
    }
    answer.finish(&mut out).unwrap();
    black_box(&out);
}

/// Megabytes a second on one core.
fn speed(length: usize, mut run: impl FnMut()) -> f64 {
    let (start, mut rounds) = (Instant::now(), 0_u32);
    while start.elapsed() < MEASURED {
        run();
        rounds += 1;
    }
    length as f64 * f64::from(rounds) / 1e6 / start.elapsed().as_secs_f64()
}

/// What is held after each character.
fn held(masker: &mut Masker, text: &str) -> f64 {
    let mut out = String::new();
    let held: Vec<f64> = text
        .chars()
        .take(200_000)
        .map(|char| {
            masker.push(char.encode_utf8(&mut [0; 4]), &mut out);
            masker.held() as f64
        })
        .collect();
    median(&held)
}

/// How long characters wait for their masking when a word comes every 50 ms: median and 95th percentile, milliseconds. Of text that
/// stays as it is: what is out is the beginning of what came in.
fn delays(masker: &mut Masker, text: &str) -> (f64, f64) {
    let (mut out, mut came, mut delays) = (String::new(), Vec::new(), Vec::new());
    for (now, word) in text.split_inclusive(' ').take(20_000).enumerate() {
        came.extend(std::iter::repeat_n(now, word.len()));
        let before = out.len();
        masker.push(word, &mut out);
        delays.extend(came[before..out.len()].iter().map(|then| (now - then) as f64 * 50.0));
    }
    delays.sort_by(f64::total_cmp);
    (delays[delays.len() / 2], delays[delays.len() * 95 / 100])
}

/// English sentences: a licence.
fn prose() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("LICENSE-APACHE");
    fs::read_to_string(file).unwrap().repeat(80)
}

/// The product's own documentation, without its examples: names of programs, paths and figures in every line.
fn documentation() -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    files.sort();
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let is_text = |line: &&str| line.starts_with(|c: char| c.is_alphabetic()) && line.contains(' ');
    text.lines().filter(is_text).flat_map(|line| [line, "\n"]).collect::<String>().repeat(10)
}

fn data(file: &str) -> impl Iterator<Item = Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/masking").join(file);
    let lines = BufReader::new(flate2::read::GzDecoder::new(File::open(file).unwrap())).lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

/// The labelled documents, five values to each.
fn dense() -> String {
    data("dev.jsonl.gz")
        .flat_map(|document| [document["text"].as_str().unwrap().to_owned(), "\n".to_owned()])
        .collect()
}

fn wires() -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut wires: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for wire in data("dev-streams.jsonl.gz") {
        let bytes = wire["wire"].as_str().unwrap().as_bytes().to_vec();
        wires.entry(wire["format"].as_str().unwrap().to_owned()).or_default().push(bytes);
    }
    wires
}

/// Memory of this process, KiB.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
