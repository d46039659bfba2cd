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
    /// How much of it was given as blocks.
    given: usize,
    /// Where the line begins that was not whole at the last look.
    line: usize,
}

impl Blocks {
    /// Takes bytes; [`Blocks::next`] gives what they complete.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole block. A carriage return that ends what is there may be half of a line's end, and waits.
    ///
    /// # Errors
    /// When an event is longer than 8 MiB.
    pub(super) fn next(&mut self) -> Result<Option<Block>, NotUnderstood> {
        while let Some((end, after)) = line_end(&self.held, self.line) {
            let empty = end == self.line;
            self.line = after;
            if empty {
                let bytes = self.held.get(self.given..after).unwrap_or_default().to_vec();
                self.given = after;
                return if bytes.len() > LONGEST {
                    Err(NotUnderstood::TooLong)
                } else {
                    Ok(Some(Block::of(bytes)))
                };
            }
        }
        self.held.drain(..self.given);
        self.line -= self.given;
        self.given = 0;
        if self.held.len() > LONGEST { Err(NotUnderstood::TooLong) } else { Ok(None) }
    }

    /// What is left of a stream that has ended. A block without its empty line is none to a client, and may be anything.
    pub(super) fn rest(&mut self) -> Option<Block> {
        self.line = 0;
        let bytes = std::mem::take(&mut self.held).split_off(std::mem::take(&mut self.given));
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

    /// The block again with other data, and other comments and unknown fields.
    pub(super) fn with(&self, data: Option<&str>, other: impl Fn(&str) -> String, out: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(&self.bytes);
        let end = self.line_end();
        let mut told = false;
        for line in lines(&text).filter(|line| !line.is_empty()) {
            let (mark, line) = line.split_at(line.len() - line.trim_start_matches('\u{feff}').len());
            out.extend_from_slice(mark.as_bytes());
            let field = line.split(':').next().unwrap_or_default();
            match (field, data) {
                ("data", Some(_)) if told => {}
                ("data", Some(data)) => {
                    told = true;
                    write_data(data, end, out);
                }
                ("data" | "event" | "id" | "retry", _) => {
                    out.extend_from_slice(line.as_bytes());
                    out.extend_from_slice(end.as_bytes());
                }
                _ => {
                    let (field, value) = line.split_once(':').unwrap_or((line, ""));
                    out.extend_from_slice(other(field).as_bytes());
                    if field.len() < line.len() {
                        out.push(b':');
                    }
                    out.extend_from_slice(other(value).as_bytes());
                    out.extend_from_slice(end.as_bytes());
                }
            }
        }
        out.extend_from_slice(end.as_bytes());
    }

    /// Whether there is a line that is neither data nor one of the fields that are names or numbers.
    pub(super) fn has_other(&self) -> bool {
        let text = String::from_utf8_lossy(&self.bytes);
        lines(text.trim_start_matches('\u{feff}')).any(|line| {
            !line.is_empty() && !matches!(line.split(':').next(), Some("data" | "event" | "id" | "retry"))
        })
    }

    /// How its lines end.
    fn line_end(&self) -> &'static str {
        match memchr::memchr2(b'\n', b'\r', &self.bytes).and_then(|at| self.bytes.get(at..)) {
            Some([b'\r', b'\n', ..]) => "\r\n",
            Some([b'\r', ..]) => "\r",
            _ => "\n",
        }
    }
}

/// An event of our own.
pub(super) fn write(name: Option<&str>, data: &str, out: &mut Vec<u8>) {
    if let Some(name) = name {
        out.extend_from_slice(format!("event: {name}\n").as_bytes());
    }
    write_data(data, "\n", out);
    out.push(b'\n');
}

fn write_data(data: &str, end: &str, out: &mut Vec<u8>) {
    for line in data.split('\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(end.as_bytes());
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}
