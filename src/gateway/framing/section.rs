//! One head, or one trailer section, line by line (RFC 9112 §2.1, §5, §7.1.2).

use super::{MAX_FIELDS, MAX_HEAD, MAX_TARGET, Malformed, fields, octets};

/// What a section begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Answer,
    RequestTrailers,
    /// Fields that do not belong there are taken out of these on their way: the caller has most of the answer by then.
    AnswerTrailers,
}

impl Kind {
    pub(super) fn is_head(self) -> bool {
        matches!(self, Self::Request | Self::Answer)
    }
}

/// What a head says about its message's framing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// HTTP/1.0, which knows no chunks.
    pub(super) old: bool,
    /// An answer's.
    pub(super) status: u16,
    pub(super) length: Option<u64>,
    pub(super) chunked: bool,
    /// `Connection: upgrade` and `Upgrade` are both there.
    connection_upgrade: bool,
    upgrade: bool,
}

impl Facts {
    /// Whether a request asks to leave HTTP (RFC 9110 §7.8).
    pub(super) fn leaves(&self) -> bool {
        self.connection_upgrade && self.upgrade && !self.old
    }
}

/// A section while it comes.
#[derive(Debug)]
pub(super) struct Section {
    kind: Kind,
    /// Where the line under way begins, and up to where its end has been looked for: from the section's first byte.
    line: usize,
    seen: usize,
    begun: bool,
    blank: bool,
    fields: usize,
    facts: Facts,
}

impl Section {
    pub(super) fn new(kind: Kind) -> Self {
        let begun = !kind.is_head();
        Self { kind, line: 0, seen: 0, begun, blank: false, fields: 0, facts: Facts::default() }
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn facts(&self) -> Facts {
        self.facts
    }

    /// Reads on; `bytes` are the section's from its first. Its length with the empty line, once that is there.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Option<usize>, Malformed> {
        while let Some(found) = memchr::memchr(b'\n', bytes.get(self.seen..).unwrap_or_default()) {
            let end = self.seen + found;
            let line = bytes.get(self.line..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").ok_or(Malformed::LineEnd)?;
            (self.line, self.seen) = (end + 1, end + 1);
            if line.is_empty() {
                if self.begun {
                    return self.whole(end + 1).map(Some);
                }
                // One empty line before a request is forgiven (RFC 9112 §2.2).
                if self.blank || self.kind == Kind::Answer {
                    return Err(Malformed::RequestLine);
                }
                self.blank = true;
            } else if self.begun {
                self.field(line)?;
            } else {
                self.begun = true;
                self.first(line)?;
            }
        }
        self.seen = bytes.len();
        self.bounded(bytes.len())?;
        Ok(None)
    }

    fn bounded(&self, length: usize) -> Result<(), Malformed> {
        if !self.begun && length > MAX_TARGET + 64 && self.kind == Kind::Request {
            return Err(Malformed::TargetLong);
        }
        if length > MAX_HEAD { Err(Malformed::HeadLong) } else { Ok(()) }
    }

    /// The section is complete: what its lines say together.
    fn whole(&self, length: usize) -> Result<usize, Malformed> {
        self.bounded(length)?;
        let Facts { old, length: announced, chunked, .. } = self.facts;
        match (chunked, announced) {
            (true, _) if old => Err(Malformed::CodingVersion),
            (true, Some(_)) => Err(Malformed::LengthAndCoding),
            _ => Ok(length),
        }
    }

    fn first(&mut self, line: &[u8]) -> Result<(), Malformed> {
        match self.kind {
            Kind::Request => {
                let (_, _, old) = request_line(line)?;
                self.facts.old = old;
            }
            Kind::Answer => (self.facts.old, self.facts.status) = status_line(line)?,
            Kind::RequestTrailers | Kind::AnswerTrailers => {}
        }
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Malformed> {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return Err(Malformed::ManyFields);
        }
        let (name, value) = field(line)?;
        if !self.kind.is_head() {
            let good = self.kind == Kind::AnswerTrailers || fields::trailer(name);
            return if good { Ok(()) } else { Err(Malformed::Trailer) };
        }
        // Only these matter to framing; lengths tell most others apart.
        match name.len() {
            7 if name.eq_ignore_ascii_case(b"upgrade") => self.facts.upgrade = true,
            10 if name.eq_ignore_ascii_case(b"connection") => {
                let mut options = value.split(|byte| *byte == b',').map(octets::trimmed);
                self.facts.connection_upgrade |=
                    options.any(|option| option.eq_ignore_ascii_case(b"upgrade"));
            }
            14 if fields::is_like(name, b"content-length") => return self.length(name, value),
            17 if fields::is_like(name, b"transfer-encoding") => return self.coding(name, value),
            _ => {}
        }
        Ok(())
    }

    fn length(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        if self.facts.length.is_some() {
            return Err(Malformed::Lengths);
        }
        if name.contains(&b'_') {
            return Err(Malformed::FieldName);
        }
        self.facts.length = Some(fields::length(value)?);
        Ok(())
    }

    fn coding(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        if name.contains(&b'_') {
            return Err(Malformed::FieldName);
        }
        if self.facts.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(Malformed::Coding);
        }
        self.facts.chunked = true;
        Ok(())
    }
}

/// Method, target, and whether the version is 1.0.
pub(super) fn request_line(line: &[u8]) -> Result<(&[u8], &[u8], bool), Malformed> {
    let mut parts = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Malformed::RequestLine);
    };
    let old = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            return Err(Malformed::Version);
        }
        _ => return Err(Malformed::RequestLine),
    };
    if !octets::token(method)
        || method.iter().any(u8::is_ascii_lowercase)
        || method == b"CONNECT"
        || method == b"TRACE"
    {
        return Err(Malformed::Method);
    }
    if target.len() > MAX_TARGET {
        return Err(Malformed::TargetLong);
    }
    if is_target(method, target) { Ok((method, target, old)) } else { Err(Malformed::Target) }
}

/// RFC 9112 §3.2: origin form, `*` with OPTIONS, or a whole URI.
fn is_target(method: &[u8], target: &[u8]) -> bool {
    match target {
        [b'/', ..] => octets::path_and_query(target),
        b"*" => method == b"OPTIONS",
        _ => {
            octets::path_and_query(target)
                && http::Uri::try_from(target)
                    .is_ok_and(|uri| uri.scheme().is_some() && uri.authority().is_some())
        }
    }
}

/// Whether the version is 1.0, and the status.
fn status_line(line: &[u8]) -> Result<(bool, u16), Malformed> {
    let (version, rest) = line.split_at_checked(8).ok_or(Malformed::StatusLine)?;
    let old = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => return Err(Malformed::StatusLine),
    };
    let (digits, reason) = match rest {
        [b' ', digits @ ..] => digits.split_at_checked(3).ok_or(Malformed::StatusLine)?,
        _ => return Err(Malformed::StatusLine),
    };
    let status = digits.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + u16::from(digit - b'0')).ok_or(Malformed::StatusLine)
    })?;
    // Many servers leave out the blank before a reason that is empty.
    let told = reason.is_empty() || (reason.starts_with(b" ") && octets::field_value(reason));
    if status < 100 || !told {
        return Err(Malformed::StatusLine);
    }
    Ok((old, status))
}

/// Name, and value without the blanks around it.
pub(super) fn field(line: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    if let [b' ' | b'\t', ..] = line {
        return Err(Malformed::Folded);
    }
    let colon = memchr::memchr(b':', line).ok_or(Malformed::FieldName)?;
    let (name, value) = line.split_at_checked(colon).unwrap_or_default();
    if !octets::token(name) {
        return Err(Malformed::FieldName);
    }
    let value = octets::trimmed(value.get(1..).unwrap_or_default());
    if octets::field_value(value) { Ok((name, value)) } else { Err(Malformed::FieldValue) }
}
