//! Server-sent events as they come, in any pieces (WHATWG HTML §9.2.6): each block of lines up to an empty one.

use super::NotUnderstood;

/// The longest event, bytes.
pub(super) const LONGEST: usize = 8 * 1024 * 1024;

/// A block of lines, with the empty line that ends it.
#[derive(Debug, Default)]
pub(super) struct Block {
    /// As it came.
    pub(super) bytes: Vec<u8>,
    /// The value of its last `event:`.
    pub(super) name: Option<String>,
    /// Its `data:` lines, joined; `None` without any.
    pub(super) data: Option<String>,
}

/// Cuts a stream into blocks.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    held: Vec<u8>,
    /// Where the line begins that was not whole at the last look.
    line: usize,
}

impl Blocks {
    /// Takes bytes; [`Blocks::next`] gives what they complete.
    ///
    /// # Errors
    /// When an event is longer than 8 MiB.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), NotUnderstood> {
        self.held.extend_from_slice(bytes);
        if self.held.len() > LONGEST { Err(NotUnderstood::TooLong) } else { Ok(()) }
    }

    /// The next whole block. A carriage return that ends what is there may be half of a line's end, and waits.
    pub(super) fn next(&mut self) -> Option<Block> {
        loop {
            let (end, after) = line_end(&self.held, self.line)?;
            let empty = end == self.line;
            self.line = after;
            if empty {
                let rest = self.held.split_off(after);
                let bytes = std::mem::replace(&mut self.held, rest);
                self.line = 0;
                return Some(Block::of(bytes));
            }
        }
    }

    /// What is left of a stream that has ended. A block without its empty line is none to a client, and may be anything.
    pub(super) fn rest(&mut self) -> Option<Block> {
        self.line = 0;
        let bytes = std::mem::take(&mut self.held);
        (!bytes.is_empty()).then(|| Block::of(bytes))
    }
}

/// Where the line from `from` on ends, and where the next one begins.
fn line_end(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let rest = bytes.get(from..)?;
    let end = from + memchr::memchr2(b'\n', b'\r', rest)?;
    match (bytes.get(end)?, bytes.get(end + 1)) {
        (b'\r', None) => None,
        (b'\r', Some(b'\n')) => Some((end, end + 2)),
        _ => Some((end, end + 1)),
    }
}

impl Block {
    fn of(bytes: Vec<u8>) -> Self {
        let mut block = Self::default();
        let text = String::from_utf8_lossy(&bytes);
        for line in lines(text.strip_prefix('\u{feff}').unwrap_or(&text)) {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => block.name = Some(value.to_owned()),
                "data" => match &mut block.data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => block.data = Some(value.to_owned()),
                },
                _ => {}
            }
        }
        block.bytes = bytes;
        block
    }

    /// The block again with other data and other comments.
    pub(super) fn with(&self, data: Option<&str>, comment: impl Fn(&str) -> String, out: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(&self.bytes);
        let mut told = false;
        for line in lines(&text).filter(|line| !line.is_empty()) {
            let field = line.strip_prefix('\u{feff}').unwrap_or(line).split(':').next().unwrap_or_default();
            match (field, data) {
                ("data", Some(_)) if told => {}
                ("data", Some(data)) => {
                    told = true;
                    write_data(data, out);
                }
                ("", _) => {
                    out.push(b':');
                    out.extend_from_slice(comment(line.get(1..).unwrap_or_default()).as_bytes());
                    out.push(b'\n');
                }
                _ => {
                    out.extend_from_slice(line.as_bytes());
                    out.push(b'\n');
                }
            }
        }
        out.push(b'\n');
    }
}

/// An event of our own.
pub(super) fn write(name: Option<&str>, data: &str, out: &mut Vec<u8>) {
    if let Some(name) = name {
        out.extend_from_slice(format!("event: {name}\n").as_bytes());
    }
    write_data(data, out);
    out.push(b'\n');
}

fn write_data(data: &str, out: &mut Vec<u8>) {
    for line in data.split('\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}
