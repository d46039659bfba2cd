//! `hoopctl gateway mask`: the masker on stdin, so that it can be tried on one's own texts, offline.

use std::{
    io::{self, BufRead, Read},
    path::PathBuf,
    sync::Arc,
};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{
    super::{
        error::{DONE, Failure, Outcome},
        invocation::Invocation,
    },
    file, wrong,
};
use crate::{
    gateway::mask::{Key, Masker, NotUtf8, Rules, Style, Utf8},
    id,
};

/// As much is read at a time, in bytes.
const READ: usize = 64 * 1024;
/// The longest line of `--jsonl`, in bytes.
const LINE: u64 = 64 * 1024 * 1024;

/// The flags of `gateway mask`.
#[derive(Args, Debug)]
pub(super) struct Mask {
    /// Take the entities of this configuration file, and with --model what that model masks
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    config: Option<PathBuf>,
    /// The model whose `mask` is taken
    #[arg(long, value_name = "NAME", requires = "config")]
    model: Option<String>,
    /// What to mask: groups and entities, parted by commas [default: default]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    entities: Option<Vec<String>>,
    /// How a masked value is written [default: label]
    #[arg(long, value_name = "STYLE", value_parser = style)]
    style: Option<Style>,
    /// Each line is an object with `id` and `text`, and so is each line written
    #[arg(long)]
    jsonl: bool,
}

fn style(word: &str) -> Result<Style, String> {
    let known = || Style::ALL.map(Style::name).join(", ");
    Style::ALL.into_iter().find(|s| s.name() == word).ok_or_else(|| format!("known styles: {}", known()))
}

/// stdin, masked, to stdout.
pub(super) fn perform(args: &Mask, with: &Invocation) -> Outcome {
    let rules = Arc::new(rules(args, with)?);
    let masker = Masker::new(rules, Arc::new(Key::new(&id::random())));
    let input = io::stdin().lock();
    let masker = if args.jsonl { lines(masker, input, with)? } else { text(masker, input, with)? };
    let counts: Vec<String> = masker.counts().iter().map(|(name, n)| format!("{n} {name}")).collect();
    if counts.is_empty() {
        with.printer.note("nothing was masked");
    } else {
        with.printer.note(&format!("masked: {}", counts.join(", ")));
    }
    Ok(DONE)
}

fn rules(args: &Mask, with: &Invocation) -> Result<Rules, Failure> {
    let said = match &args.config {
        Some(path) => file::masking(path, args.model.as_deref()).map_err(|mistakes| {
            wrong(path, &mistakes, with).remedy("correct the file, or leave out --config")
        })?,
        None => file::Masking::default(),
    };
    let names = args.entities.clone().or(said.entities).unwrap_or_else(|| vec!["default".to_owned()]);
    let style = args.style.or(said.style).unwrap_or_default();
    Rules::new(&names, &said.customs, style).map_err(|error| {
        Failure::usage(error.to_string()).remedy("docs/masking.md lists groups and entities")
    })
}

/// Piece by piece, as it comes.
fn text(mut masker: Masker, mut input: impl Read, with: &Invocation) -> Result<Masker, Failure> {
    let (mut utf8, mut out) = (Utf8::default(), String::new());
    let mut buffer = vec![0; READ];
    loop {
        let read = match input.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(&error)),
        };
        if read == 0 {
            break;
        }
        let piece = utf8.take(buffer.get(..read).unwrap_or_default()).map_err(no_text)?;
        masker.push(&piece, &mut out);
        with.printer.raw(out.as_bytes())?;
        out.clear();
    }
    utf8.finish().map_err(no_text)?;
    masker.finish(&mut out);
    with.printer.raw(out.as_bytes())?;
    Ok(masker)
}

/// A line of `--jsonl`.
#[derive(Deserialize, Serialize)]
struct Line {
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    id: serde_json::Value,
    text: String,
}

fn lines(mut masker: Masker, mut input: impl BufRead, with: &Invocation) -> Result<Masker, Failure> {
    let mut number: u64 = 0;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        number += 1;
        let read = (&mut input).take(LINE + 1).read_until(b'\n', &mut bytes).map_err(|e| unreadable(&e))?;
        if read == 0 {
            return Ok(masker);
        }
        if bytes.len() as u64 > LINE {
            return Err(Failure::failed(format!("line {number} is longer than {LINE} bytes")));
        }
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_slice(&bytes).map_err(|error| {
            Failure::failed(format!("line {number} is no object with `id` and `text`: {error}"))
                .remedy("for plain text leave out --jsonl")
        })?;
        let mut masked = String::with_capacity(line.text.len());
        masker.push(&line.text, &mut masked);
        masker.finish(&mut masked);
        let line = Line { id: line.id, text: masked };
        let text = serde_json::to_string(&line).map_err(|error| Failure::failed(error.to_string()))?;
        with.printer.raw(format!("{text}\n").as_bytes())?;
    }
}

fn unreadable(error: &io::Error) -> Failure {
    Failure::failed(format!("stdin cannot be read: {error}"))
}

/// What cannot be understood is not passed on.
fn no_text(error: NotUtf8) -> Failure {
    Failure::failed(error.to_string()).remedy("convert it first, such as with iconv -t UTF-8")
}
