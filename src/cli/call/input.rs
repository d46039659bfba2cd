//! What `call` sends: stdin, a file or text, streamed and never collected.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::super::error::Failure;

/// How much is read at once, in bytes.
const PIECE: usize = 64 * 1024;

/// How long the first bytes are waited on to see whether they are all: a body of known length suits
/// more servers than a chunked one.
const GLANCE: Duration = Duration::from_millis(20);

/// A reader of the data.
type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// The data of one call, unread.
pub(super) enum Input {
    /// No body.
    None,
    /// Bytes at hand.
    Bytes(Bytes),
    /// To be read; with its length when that is known.
    Reader(Reader, Option<u64>),
}

impl Input {
    /// Opens what `--data` names; stdin for `--jsonl` without it.
    pub(super) async fn open(data: Option<&str>, lines: bool) -> Result<Self, Failure> {
        let stdin = || Self::Reader(Box::new(tokio::io::stdin()), None);
        match data {
            None if lines => Ok(stdin()),
            None => Ok(Self::None),
            Some("@-") => Ok(stdin()),
            Some(text) => match text.strip_prefix('@') {
                None => Ok(Self::Bytes(Bytes::copy_from_slice(text.as_bytes()))),
                Some(path) => Self::file(path).await,
            },
        }
    }

    async fn file(path: &str) -> Result<Self, Failure> {
        let wrong = |error: io::Error| {
            Failure::usage(format!("the data file {path} cannot be read: {error}"))
                .remedy("--data @FILE names a file, --data @- stdin")
        };
        let file = tokio::fs::File::open(path).await.map_err(wrong)?;
        let metadata = file.metadata().await.map_err(wrong)?;
        if metadata.is_dir() {
            return Err(wrong(io::ErrorKind::IsADirectory.into()));
        }
        let length = metadata.is_file().then_some(metadata.len());
        Ok(Self::Reader(Box::new(file), length))
    }

    /// The data as one request's body, its first bytes read.
    pub(super) async fn body(self) -> io::Result<InputBody> {
        match self {
            Self::None => Ok(InputBody { first: None, rest: None, length: Some(0), present: false }),
            Self::Bytes(bytes) => {
                let length = bytes.len() as u64;
                Ok(InputBody { first: Some(bytes), rest: None, length: Some(length), present: true })
            }
            Self::Reader(reader, length) => read_first(reader, length).await,
        }
    }

    /// The data as a reader.
    pub(super) fn reader(self) -> Reader {
        match self {
            Self::None => Box::new(tokio::io::empty()),
            Self::Bytes(bytes) => Box::new(io::Cursor::new(bytes)),
            Self::Reader(reader, _) => reader,
        }
    }
}

/// Reads the beginning; when the end follows at once, the length is known.
async fn read_first(mut reader: Reader, length: Option<u64>) -> io::Result<InputBody> {
    let mut first = BytesMut::with_capacity(PIECE);
    let mut ended = reader.read_buf(&mut first).await? == 0;
    while !ended && length.is_none() && first.len() < PIECE {
        match tokio::time::timeout(GLANCE, reader.read_buf(&mut first)).await {
            Ok(read) => ended = read? == 0,
            Err(_) => break,
        }
    }
    let length = if ended { Some(first.len() as u64) } else { length };
    let rest = (!ended).then_some(reader);
    Ok(InputBody { first: Some(first.freeze()), rest, length, present: true })
}

/// A request's body.
pub(super) struct InputBody {
    first: Option<Bytes>,
    rest: Option<Reader>,
    /// Bytes still to come, if known.
    length: Option<u64>,
    present: bool,
}

impl InputBody {
    /// What the data looks like by its beginning; `None` without data.
    pub(super) fn looks(&self) -> Option<&'static str> {
        if !self.present {
            return None;
        }
        Some(looks(self.first.as_deref().unwrap_or_default()))
    }
}

/// The content type the bytes look like.
pub(super) fn looks(bytes: &[u8]) -> &'static str {
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{' | b'[') => "application/json",
        _ => "application/octet-stream",
    }
}

impl Body for InputBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let piece = match self.first.take().filter(|first| !first.is_empty()) {
            Some(first) => first,
            None => match ready!(poll_piece(&mut self.rest, context)) {
                Some(Ok(piece)) => piece,
                end_or_error => return Poll::Ready(end_or_error.map(|error| error.map(Frame::data))),
            },
        };
        if let Some(left) = &mut self.length {
            *left = left.saturating_sub(piece.len() as u64);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.first.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

fn poll_piece(rest: &mut Option<Reader>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
    let Some(reader) = rest else { return Poll::Ready(None) };
    let mut piece = vec![0; PIECE];
    let mut buffer = ReadBuf::new(&mut piece);
    match ready!(Pin::new(reader).poll_read(context, &mut buffer)) {
        Err(error) => Poll::Ready(Some(Err(error))),
        Ok(()) => {
            let length = buffer.filled().len();
            if length == 0 {
                *rest = None;
                return Poll::Ready(None);
            }
            piece.truncate(length);
            Poll::Ready(Some(Ok(piece.into())))
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn short_input_has_a_known_length() {
        let input = Input::Reader(Box::new(&b" {\"a\":1}"[..]), None);
        let body = input.body().await.unwrap();
        assert_eq!(body.size_hint().exact(), Some(8));
        assert_eq!(body.looks(), Some("application/json"));
        assert_eq!(body.collect().await.unwrap().to_bytes(), " {\"a\":1}");
    }

    #[tokio::test]
    async fn slow_input_is_sent_before_it_ends() {
        let (mut writer, reader) = tokio::io::duplex(64);
        writer.write_all(b"first").await.unwrap();
        let mut body = Input::Reader(Box::new(reader), None).body().await.unwrap();
        assert_eq!(body.size_hint().exact(), None);
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "first");
        writer.write_all(b"second").await.unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "second");
        drop(writer);
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn data_names_text_files_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, vec![7; 200_000]).unwrap();
        let file =
            Input::open(Some(&format!("@{}", path.display())), false).await.unwrap().body().await.unwrap();
        assert_eq!(file.size_hint().exact(), Some(200_000));
        assert_eq!(file.looks(), Some("application/octet-stream"));
        assert_eq!(file.collect().await.unwrap().to_bytes().len(), 200_000);
        let text = Input::open(Some("[1]"), false).await.unwrap().body().await.unwrap();
        assert_eq!((text.looks(), text.size_hint().exact()), (Some("application/json"), Some(3)));
        let none = Input::open(None, false).await.unwrap().body().await.unwrap();
        assert_eq!((none.looks(), none.is_end_stream()), (None, true));
        for wrong in ["@/no/such/file".to_owned(), format!("@{}", dir.path().display())] {
            assert_eq!(Input::open(Some(&wrong), false).await.err().unwrap().exit_code(), 2, "{wrong}");
        }
    }
}
