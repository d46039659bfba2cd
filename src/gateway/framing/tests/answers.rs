//! Answers of models' servers.

use std::sync::Arc;

use http::Method;

use super::super::{
    Answers, Malformed,
    course::{Course, Side},
};

/// What is wrong with the answer to a request of this method, in one piece and byte by byte.
fn read(method: &Method, leave: bool, bytes: &[u8]) -> Option<Malformed> {
    let verdicts = [bytes.len(), 1].map(|piece| {
        let answers = Arc::<Answers>::default();
        answers.expect(method, leave);
        let mut course = Course::new(Side::Answers(answers));
        let mut held = Vec::new();
        for piece in bytes.chunks(piece) {
            held.extend_from_slice(piece);
            match course.read(&held) {
                Ok(passes) => drop(held.drain(..passes)),
                Err(failed) => return Some(failed.malformed),
            }
        }
        None
    });
    assert_eq!(verdicts[0], verdicts[1], "{}", String::from_utf8_lossy(bytes));
    verdicts[0]
}

#[test]
fn an_answer_ends_in_one_place_or_is_none() {
    use Malformed::{
        ChunkEnd, ChunkSize, Coding, CodingVersion, FieldName, FieldValue, Folded, Length, LengthAndCoding,
        Lengths, LineEnd, StatusLine, Unasked,
    };
    for (answer, fault) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", None),
        ("HTTP/1.1 200 \r\ncontent-length: 1\r\n\r\nx", None),
        ("HTTP/1.1 200\r\ncontent-length: 1\r\n\r\nx", None),
        ("HTTP/1.0 200 OK\r\n\r\nuntil the end\n\n", None),
        ("HTTP/1.1 204 No Content\r\n\r\n", None),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n", None),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            None,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\ngrpc-status: 0\r\n\r\n",
            None,
        ),
        ("HTTP/1.1 200 OK\ncontent-length: 1\n\nx", Some(LineEnd)),
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", Some(Malformed::RequestLine)),
        ("HTTP/1.2 200 OK\r\n\r\n", Some(StatusLine)),
        ("ICY 200 OK\r\n\r\n", Some(StatusLine)),
        ("HTTP/1.1 20 OK\r\n\r\n", Some(StatusLine)),
        ("HTTP/1.1 099 OK\r\n\r\n", Some(StatusLine)),
        ("HTTP/1.1 2000 OK\r\n\r\n", Some(StatusLine)),
        ("HTTP/1.1 200 O\0K\r\n\r\n", Some(StatusLine)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxy", Some(Lengths)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 1\r\n\r\nx", Some(Lengths)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1, 1\r\n\r\nx", Some(Length)),
        ("HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\nx", Some(Length)),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            Some(LengthAndCoding),
        ),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", Some(Coding)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\n", Some(Coding)),
        ("HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", Some(CodingVersion)),
        ("HTTP/1.1 200 OK\r\nx: y\r\n z\r\n\r\n", Some(Folded)),
        ("HTTP/1.1 200 OK\r\nx : y\r\n\r\n", Some(FieldName)),
        ("HTTP/1.1 200 OK\r\nx: y\rz: w\r\n\r\n", Some(FieldValue)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n", Some(ChunkSize)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nxy\r\n", Some(ChunkEnd)),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\ncontent-length: 3\r\n\r\n", None),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n", Some(Unasked)),
        // What follows an answer belongs to nobody.
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n", Some(Unasked)),
        ("HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", Some(Unasked)),
    ] {
        assert_eq!(read(&Method::GET, false, answer.as_bytes()), fault, "{answer:?}");
    }
}

#[test]
fn an_answer_to_head_has_no_body_and_101_ends_http_where_that_was_asked_for() {
    let long = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
    assert_eq!(read(&Method::HEAD, false, long), None);
    assert_eq!(read(&Method::HEAD, false, &[&long[..], b"x"].concat()), Some(Malformed::Unasked));
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n\x81\x00\n\n\r";
    assert_eq!(read(&Method::GET, true, switch), None);
}
