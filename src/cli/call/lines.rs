//! `call --jsonl`: each line a request, each answer a line, in order, several at once.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full, Limited};
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use super::{
    super::{
        error::{DONE, Failure, Outcome},
        printer::Printer,
    },
    Target, Template,
    exchange::{self, Exchange},
    input::{Input, looks},
    show,
};
use crate::client::Kind;

/// The longest line and the longest answer, in bytes: both are held whole.
const MAX_LINE: usize = 32 * 1024 * 1024;

/// One answer as a line, and what it means for the exit code.
struct Answer {
    line: Vec<u8>,
    outcome: Outcome,
}

/// Sends every line.
pub(super) async fn perform(
    target: &Target<'_>,
    template: &Template,
    input: Input,
    at_once: usize,
    printer: &Printer,
) -> Outcome {
    let ask = async |line: Bytes| answer(target, template, line).await;
    through(BufReader::new(input.reader()), &mut tokio::io::stdout(), at_once, ask, printer).await
}

/// Reads lines, asks for each, writes the answers in the lines' order. The exit code is the first
/// failure's; what concerns every line ends the run.
async fn through<R, W, A>(lines: R, out: &mut W, at_once: usize, ask: A, printer: &Printer) -> Outcome
where
    R: AsyncBufRead + Unpin,
    W: AsyncWrite + Unpin,
    A: AsyncFn(Bytes) -> Answer,
{
    let ask = &ask;
    let asked = stream::unfold(Some(lines), |lines| async {
        let mut lines = lines?;
        match next_line(&mut lines).await {
            Ok(Some(line)) => Some((Ok(line), Some(lines))),
            Ok(None) => None,
            Err(failure) => Some((Err(failure), None)),
        }
    });
    let answers = asked.map(|line| async move {
        match line {
            Ok(line) => Ok(ask(line).await),
            Err(failure) => Err(failure),
        }
    });
    let mut answers = std::pin::pin!(answers.buffered(at_once));
    let (mut count, mut failures, mut worst) = (0_u64, 0_u64, DONE);
    while let Some(answer) = answers.next().await {
        let answer = answer?;
        count += 1;
        if let Err(failure) = answer.outcome {
            if let Failure::Told(told) = &failure
                && matches!(told.kind, Kind::LoginNeeded | Kind::Trust | Kind::Unreachable)
            {
                return Err(failure);
            }
            failures += 1;
            worst = if worst == DONE { failure.exit_code() } else { worst };
        }
        out.write_all(&answer.line).await?;
        out.write_all(b"\n").await?;
        out.flush().await?;
    }
    if failures == 0 {
        return Ok(DONE);
    }
    printer.warn(&format!("{failures} of {count} lines failed; their answers say why"));
    Err(Failure::Quiet(worst))
}

/// The next line that is not blank, without its end.
async fn next_line<R: AsyncBufRead + Unpin>(lines: &mut R) -> Result<Option<Bytes>, Failure> {
    loop {
        let mut line = Vec::new();
        let read = (&mut *lines).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Ok(None);
        }
        if line.len() > MAX_LINE {
            return Err(Failure::usage(format!("a line is longer than {MAX_LINE} bytes"))
                .remedy("send it alone, with --data @FILE"));
        }
        let trimmed = line.trim_ascii_end();
        if !trimmed.is_empty() {
            return Ok(Some(Bytes::copy_from_slice(trimmed)));
        }
    }
}

async fn answer(target: &Target<'_>, template: &Template, line: Bytes) -> Answer {
    match exchanged(target, template, line).await {
        Ok(answer) => answer,
        Err(failure) => {
            let line = failure.json().unwrap_or_else(|| json!({ "error": { "code": "failed" } }));
            Answer { line: line.to_string().into_bytes(), outcome: Err(failure) }
        }
    }
}

async fn exchanged(target: &Target<'_>, template: &Template, line: Bytes) -> Result<Answer, Failure> {
    let kind = looks(&line);
    let request = exchange::request(template, Full::new(line), Some(kind))?;
    let mut exchange = exchange::send(target.open().await?, request).await?;
    let (status, word) = (exchange.response.status(), show::gateway_word(&exchange));
    let body = Limited::new(exchange.response.body_mut(), MAX_LINE).collect().await;
    let body = body.map_err(|error| match error.downcast::<hyper::Error>() {
        Ok(error) => Exchange::cut(&error),
        Err(_) => Failure::failed(format!("an answer is longer than {MAX_LINE} bytes"))
            .remedy("ask for it alone, without --jsonl"),
    })?;
    let body = body.to_bytes();
    let outcome = show::verdict(status, word.as_deref(), &body);
    Ok(Answer { line: one_line(&body), outcome })
}

/// The body on one line: JSON without its line breaks, which can only stand between its tokens;
/// other text as a JSON string.
fn one_line(body: &[u8]) -> Vec<u8> {
    if serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok() {
        return body.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect();
    }
    Value::String(String::from_utf8_lossy(body).into_owned()).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Barrier;

    use super::*;
    use crate::{cli::printer::paper, config::laptop::Output};

    fn echo(line: &Bytes) -> Answer {
        Answer { line: line.to_vec(), outcome: Ok(DONE) }
    }

    #[tokio::test]
    async fn answers_keep_the_order_of_their_lines_however_fast_each_is() {
        // All three are under way at once, or this never ends; the last finishes first.
        let (together, turn) = (Barrier::new(3), AtomicUsize::new(2));
        let ask = async |line: Bytes| {
            together.wait().await;
            let mine: usize = std::str::from_utf8(&line).unwrap().parse().unwrap();
            while turn.load(Ordering::SeqCst) != mine {
                tokio::task::yield_now().await;
            }
            turn.store(mine.wrapping_sub(1), Ordering::SeqCst);
            echo(&line)
        };
        let mut out = Vec::new();
        let (printer, _, _) = paper::printer(Output::Human);
        assert_eq!(through(&b"0\n\n1\r\n2"[..], &mut out, 3, ask, &printer).await.unwrap(), 0);
        assert_eq!(out, b"0\n1\n2\n");
    }

    #[tokio::test]
    async fn a_failed_line_keeps_its_place_and_decides_the_exit_code() {
        let ask = async |line: Bytes| match &line[..] {
            b"bad" => {
                Answer { line: b"{}".to_vec(), outcome: Err(Failure::new(Kind::Denied, "denied", "no")) }
            }
            _ => echo(&line),
        };
        let mut out = Vec::new();
        let (printer, _, err) = paper::printer(Output::Json);
        let failure = through(&b"a\nbad\nc\n"[..], &mut out, 2, ask, &printer).await.unwrap_err();
        assert!(err.text().starts_with("{\"warning\":{\"message\":\"1 of 3 lines failed"), "{}", err.text());
        assert_eq!(failure.exit_code(), 3);
        assert_eq!(out, b"a\n{}\nc\n");
    }

    #[tokio::test]
    async fn without_a_login_no_further_line_is_tried() {
        let asked = AtomicUsize::new(0);
        let ask = async |_: Bytes| {
            asked.fetch_add(1, Ordering::SeqCst);
            Answer { line: Vec::new(), outcome: Err(Failure::new(Kind::LoginNeeded, "login_required", "no")) }
        };
        let (printer, _, _) = paper::printer(Output::Human);
        let failure = through(&b"a\nb\nc\nd\n"[..], &mut Vec::new(), 1, ask, &printer).await.unwrap_err();
        assert_eq!(failure.exit_code(), 4);
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn every_answer_is_one_line_of_json() {
        for (body, line) in [
            (&b"{\n  \"a\": \"x\\ny\"\r\n}\n"[..], "{  \"a\": \"x\\ny\"}"),
            (b"data: 1\n\ndata: 2\n", "\"data: 1\\n\\ndata: 2\\n\""),
            (b"", "\"\""),
        ] {
            assert_eq!(String::from_utf8(one_line(body)).unwrap(), line);
        }
    }
}
