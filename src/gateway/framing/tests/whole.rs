//! Requests: the same verdict however the bytes come, and no second opinion of hyper's.

use std::{convert::Infallible, io, sync::Arc};

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::{
    super::{
        Guard, MAX_FIELDS, MAX_HEAD, MAX_TARGET, Malformed, Requests,
        course::{Course, Side},
    },
    corpus::{PASSED, REFUSED, placed},
};

/// What becomes of bytes that come in pieces of this size: what passes, and the fault.
fn read(bytes: &[u8], piece: usize) -> (Vec<u8>, Option<Malformed>) {
    let mut course = Course::new(Side::Requests(Arc::default()));
    let (mut passed, mut held) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        held.extend_from_slice(piece);
        match course.read(&held) {
            Ok(passes) => passed.extend(held.drain(..passes)),
            Err(failed) => {
                passed.extend(held.drain(..failed.passes));
                return (passed, Some(failed.malformed));
            }
        }
    }
    (passed, None)
}

#[test]
fn a_form_has_one_verdict_however_its_bytes_are_cut() {
    let forms = REFUSED.iter().map(|(name, form, _)| (*name, *form));
    for (name, form) in forms.chain(PASSED.iter().map(|(name, form, ..)| (*name, *form))) {
        let form = placed(form, "", "");
        let (_, whole) = read(&form, usize::MAX);
        for piece in [1, 2, 3, 7, 64] {
            let (passed, fault) = read(&form, piece);
            assert_eq!(fault, whole, "{name} in pieces of {piece}");
            assert!(form.starts_with(&passed), "{name}");
            assert!(fault.is_some() || passed == form, "{name}: bytes of a legal form were held back");
        }
    }
}

#[test]
fn nothing_of_a_message_passes_that_is_malformed_in_one_read() {
    for (name, form, _) in REFUSED {
        let form = placed(form, "", "");
        let (passed, fault) = read(&form, usize::MAX);
        assert!(fault.is_none() || passed.is_empty(), "{name}: {passed:?}");
        let first = b"GET /first HTTP/1.1\r\nhost: a\r\n\r\n";
        let (passed, again) = read(&[&first[..], &form].concat(), usize::MAX);
        assert!(fault.is_none() || (passed == first && again == fault), "{name} behind another: {again:?}");
    }
}

#[test]
fn heads_have_bounds() {
    let with = |line: &str, fields: usize, value: usize| {
        let fields = format!("x: {}\r\n", "y".repeat(value)).repeat(fields);
        read(format!("{line}\r\n{fields}\r\n").as_bytes(), usize::MAX).1
    };
    let get = |target: usize| format!("GET /{} HTTP/1.1", "a".repeat(target - 1));
    assert_eq!(with(&get(MAX_TARGET), 1, 1), None);
    assert_eq!(with(&get(MAX_TARGET + 1), 1, 1), Some(Malformed::TargetLong));
    assert_eq!(with(&get(8), MAX_FIELDS, 1), None);
    assert_eq!(with(&get(8), MAX_FIELDS + 1, 1), Some(Malformed::ManyFields));
    assert_eq!(with(&get(8), 1, MAX_HEAD - 100), None);
    assert_eq!(with(&get(8), 1, MAX_HEAD), Some(Malformed::HeadLong));
    // Known before the end has come.
    assert_eq!(read(&vec![b'a'; MAX_TARGET + 100], 1000).1, Some(Malformed::TargetLong));
    let endless = format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(MAX_HEAD));
    assert_eq!(read(endless.as_bytes(), 1000).1, Some(Malformed::HeadLong));
    let trailers =
        format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: {}", "y".repeat(MAX_HEAD));
    assert_eq!(read(trailers.as_bytes(), 1000).1, Some(Malformed::HeadLong));
    let extension = format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n1;{}", "y".repeat(2000));
    assert_eq!(read(extension.as_bytes(), 1000).1, Some(Malformed::ChunkExtension));
}

/// Everything that a server behind a guard answers; its own answers say so.
async fn served(bytes: Vec<u8>, piece: usize) -> String {
    let (mut ours, theirs) = duplex(1 << 20);
    let requests = Arc::<Requests>::default();
    let guard = Guard::requests(theirs, &requests);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let requests = Arc::clone(&requests);
        async move {
            let number = requests.arrived(&mut request);
            let refused = request.extensions().get::<Malformed>().is_some();
            let whole = request.into_body().collect().await.is_ok();
            let status = if refused || !whole { 400 } else { 200 };
            let answer =
                Response::builder().status(status).header("x-served", "1").body(Full::from("")).unwrap();
            requests.answered(number, answer.status());
            Ok::<_, Infallible>(answer as Response<Full<bytes::Bytes>>)
        }
    });
    let serving = tokio::spawn(
        http1::Builder::new()
            .half_close(true)
            .max_header_size(MAX_HEAD)
            .serve_connection(TokioIo::new(guard), service),
    );
    for piece in bytes.chunks(piece) {
        let _: io::Result<()> = ours.write_all(piece).await;
        tokio::task::yield_now().await;
    }
    let _: io::Result<()> = ours.shutdown().await;
    let mut heard = Vec::new();
    let _: io::Result<usize> = ours.read_to_end(&mut heard).await;
    let _ended = serving.await;
    String::from_utf8_lossy(&heard).into_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// What the guard lets through, hyper takes as it is: an answer that the service did not make would be of hyper's own, in no
    /// caller's words and in no audit log.
    #[test]
    fn hyper_has_no_opinion_of_its_own(
        at in 0..REFUSED.len() + PASSED.len(),
        edits in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>(), 0..3_u8), 0..4),
        piece in 1..200_usize,
    ) {
        let form = REFUSED.get(at).map_or_else(|| PASSED[at - REFUSED.len()].1, |(_, form, _)| form);
        let mut form = placed(form, "", "");
        for (index, byte, edit) in edits {
            let index = index.index(form.len());
            match edit {
                0 => form[index] = byte,
                1 => form.insert(index, byte),
                _ => drop(form.remove(index)),
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let heard = runtime.block_on(served(form.clone(), piece));
        let answers = heard.matches("HTTP/1.1 ").count() - heard.matches("HTTP/1.1 100 ").count() + heard.matches("HTTP/1.0 ").count();
        prop_assert_eq!(answers, heard.matches("x-served").count(), "{:?} was answered {}", String::from_utf8_lossy(&form), heard);
    }
}
