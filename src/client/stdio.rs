//! `--stdio`: one stream between standard input and output and the model.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{ClientError, Link, stream::of_stream};
use crate::wire::stream::{Door, Fin};

/// Bytes moved at a time.
const PART: usize = 32 * 1024;

/// One stream between stdin/stdout and the model; end of input is only that, and the whole answer is
/// delivered. Returns when the answer has ended, or nobody reads it any more (a broken pipe is success).
///
/// Standard input is read on a thread that may still wait for input then: shut the runtime down without waiting.
///
/// # Errors
/// The gateway's refusal, or what the stream was cut with.
pub async fn stdio(link: &Link, model: &str, session: &str) -> Result<(), ClientError> {
    let stream = link.open_model(model, session, Door::Private, Fin::Finish).await?;
    match join(stream, tokio::io::stdin(), tokio::io::stdout()).await {
        Ok(()) => Ok(()),
        Err(Broken::Pipe) => Ok(()),
        Err(Broken::Input(e)) => Err(ClientError::failed("stdin", format!("standard input broke: {e}"))),
        Err(Broken::Output(e)) => Err(ClientError::failed("stdout", format!("standard output broke: {e}"))),
        Err(Broken::Stream(e)) => Err(of_stream(&e)),
    }
}

#[derive(Debug)]
enum Broken {
    /// Nobody reads the output any more.
    Pipe,
    Input(io::Error),
    Output(io::Error),
    Stream(io::Error),
}

/// Both ways at once; done when the answer is, however long the input still is.
async fn join<S, I, O>(stream: S, input: I, output: O) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite,
    I: AsyncRead,
    O: AsyncWrite,
{
    let (answer, question) = tokio::io::split(stream);
    let asking = ask(input, question);
    let answering = deliver(answer, output);
    tokio::pin!(asking, answering);
    tokio::select! {
        delivered = &mut answering => delivered,
        asked = &mut asking => match asked {
            Ok(()) | Err(Broken::Stream(_)) => answering.await,
            Err(broken) => Err(broken),
        },
    }
}

async fn ask(input: impl AsyncRead, question: impl AsyncWrite) -> Result<(), Broken> {
    tokio::pin!(input, question);
    let mut part = vec![0; PART];
    loop {
        let read = input.read(&mut part).await.map_err(Broken::Input)?;
        let Some(bytes @ [_, ..]) = part.get(..read) else {
            return question.shutdown().await.map_err(Broken::Stream);
        };
        question.write_all(bytes).await.map_err(Broken::Stream)?;
        question.flush().await.map_err(Broken::Stream)?;
    }
}

async fn deliver(answer: impl AsyncRead, output: impl AsyncWrite) -> Result<(), Broken> {
    let written = |e: io::Error| match e.kind() {
        io::ErrorKind::BrokenPipe => Broken::Pipe,
        _ => Broken::Output(e),
    };
    tokio::pin!(answer, output);
    let mut part = vec![0; PART];
    loop {
        let read = answer.read(&mut part).await.map_err(Broken::Stream)?;
        let Some(bytes @ [_, ..]) = part.get(..read) else {
            return output.flush().await.map_err(written);
        };
        output.write_all(bytes).await.map_err(written)?;
        // Each write of the model's is passed on at once.
        output.flush().await.map_err(written)?;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn the_end_of_input_is_only_that() {
        let (near, mut far) = duplex(64);
        let (mut typing, input) = duplex(64);
        let (output, mut seen) = duplex(64);
        let joined = tokio::spawn(join(near, input, output));
        typing.write_all(b"question").await.unwrap();
        drop(typing);
        let mut asked = String::new();
        far.read_to_string(&mut asked).await.unwrap();
        far.write_all(b"the whole answer").await.unwrap();
        drop(far);
        let mut answer = String::new();
        seen.read_to_string(&mut answer).await.unwrap();
        assert_eq!((asked.as_str(), answer.as_str()), ("question", "the whole answer"));
        joined.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn it_ends_with_the_answer_though_input_goes_on() {
        let (near, mut far) = duplex(64);
        let (_typing, input) = duplex(64);
        let (output, _seen) = duplex(64);
        far.shutdown().await.unwrap();
        join(near, input, output).await.unwrap();
    }

    #[tokio::test]
    async fn a_reader_that_left_is_no_error_of_the_stream() {
        let (near, mut far) = duplex(64);
        let (_typing, input) = duplex(64);
        let (output, seen) = duplex(64);
        drop(seen);
        far.write_all(b"answer").await.unwrap();
        assert!(matches!(join(near, input, output).await, Err(Broken::Pipe)));
    }
}
