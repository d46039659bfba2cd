//! `hoopctl call`: one request, or one per line, to a model.

mod exchange;
mod input;
mod lines;
mod show;

use clap::Args;
use clap_complete::ArgValueCandidates;
use http::{HeaderName, HeaderValue, Method, Uri, header::CONTENT_TYPE};

use super::{
    asking::{self, Asking},
    error::{Failure, Outcome},
    invocation::Invocation,
    remembered,
};
use crate::{
    client::{Link, ModelStream},
    wire::stream::{Door, Fin},
};

/// The flags of `call`.
#[derive(Args, Debug)]
#[command(after_long_help = "\
The answer is streamed to stdout as it comes. The exit code is 1 when the model answered with a
status of 400 or more (the body is printed all the same), and 3, 4, 5 … when the gateway refused.

  cat rows.json | hoopctl call fraud /v2/models/fraud/infer --data @- | jq .outputs
  hoopctl call llama /v1/chat/completions --data @prompts.jsonl --jsonl > answers.jsonl")]
pub(super) struct Call {
    /// The model
    #[arg(value_name = "MODEL", add = ArgValueCandidates::new(remembered::candidates))]
    model: String,
    /// The path at the model's server, with its query
    #[arg(value_name = "PATH")]
    path: String,
    /// The method [default: POST with data, GET without]
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<Method>,
    /// A header; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The body: @- is stdin, @FILE a file, anything else itself
    #[arg(short, long, value_name = "@-|@FILE|TEXT", allow_hyphen_values = true)]
    data: Option<String>,
    /// Each line of the data (stdin unless said) is a request; each answer is a line, in the same order
    #[arg(long)]
    jsonl: bool,
    /// How many lines are under way at once
    #[arg(long, value_name = "N", default_value_t = 4, requires = "jsonl",
        value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    #[command(flatten)]
    asking: Asking,
}

/// What every request of one call shares.
#[derive(Clone, Debug)]
struct Template {
    method: Method,
    uri: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Sends and shows.
pub(super) async fn perform(args: Call, with: &Invocation) -> Outcome {
    let template = template(&args)?;
    let input = input::Input::open(args.data.as_deref(), args.jsonl).await?;
    let (_laptop, link) = with.connected().await?;
    let link = args.asking.of(link);
    let target = Target { link: &link, model: &args.model };
    let work = async {
        if args.jsonl {
            lines::perform(&target, &template, input, usize::from(args.concurrency), &with.printer).await
        } else {
            single(&target, &template, input, with).await
        }
    };
    let outcome = asking::shown(work, &link, &with.printer).await;
    link.close().await;
    outcome
}

/// Where the streams of one call go.
struct Target<'a> {
    link: &'a Link,
    model: &'a str,
}

impl Target<'_> {
    /// A stream to the model; the end of what we send is only that.
    async fn open(&self) -> Result<ModelStream, Failure> {
        Ok(self.link.open_model(self.model, self.link.own_session(), Door::Private, Fin::Finish).await?)
    }
}

async fn single(target: &Target<'_>, template: &Template, input: input::Input, with: &Invocation) -> Outcome {
    let body = input.body().await?;
    let looks = body.looks();
    let request = exchange::request(template, body, looks)?;
    let exchange = exchange::send(target.open().await?, request).await?;
    let manner = with.printer.manner();
    show::show(exchange, &mut tokio::io::stdout(), manner.out_terminal).await
}

fn template(args: &Call) -> Result<Template, Failure> {
    if !args.path.starts_with('/') {
        return Err(Failure::usage(format!("the path {:?} does not begin with /", args.path)).remedy(
            "give the path at the model's server, such as /v1/models; the gateway knows the server",
        ));
    }
    let uri = args.path.parse().map_err(|error| {
        Failure::usage(format!("{:?} is no path: {error}", args.path)).remedy("write other characters as %XX")
    })?;
    let sends = args.data.is_some() || args.jsonl;
    let method = args.method.clone().unwrap_or(if sends { Method::POST } else { Method::GET });
    Ok(Template { method, uri, headers: args.headers.clone() })
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write NAME: VALUE")?;
    let name = name.trim().parse().map_err(|_| format!("{:?} is no header's name", name.trim()))?;
    let value = value.trim().parse().map_err(|_| "its value holds characters a header cannot".to_owned())?;
    Ok((name, value))
}

/// Whether the caller chose a content type.
fn has_content_type(template: &Template) -> bool {
    template.headers.iter().any(|(name, _)| name == CONTENT_TYPE)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        call: Call,
    }

    fn args(words: &[&str]) -> Call {
        Line::try_parse_from([&["call", "m"], words].concat()).unwrap().call
    }

    #[test]
    fn data_makes_it_a_post() {
        for (words, method) in [
            (&["/x"][..], Method::GET),
            (&["/x", "--data", "{}"], Method::POST),
            (&["/x", "--jsonl"], Method::POST),
            (&["/x", "-X", "HEAD"], Method::HEAD),
            (&["/x", "-d", "@-", "-X", "PUT"], Method::PUT),
        ] {
            assert_eq!(template(&args(words)).unwrap().method, method, "{words:?}");
        }
    }

    #[test]
    fn a_path_is_a_path() {
        for wrong in ["v1/models", "https://evil.example.test/x", "", "/a b"] {
            assert_eq!(template(&args(&[wrong])).unwrap_err().exit_code(), 2, "{wrong}");
        }
        assert_eq!(template(&args(&["/a?b=c"])).unwrap().uri, "/a?b=c");
    }

    #[test]
    fn headers_are_names_and_values() {
        assert_eq!(
            header("Accept:  text/plain ").unwrap(),
            ("accept".parse().unwrap(), "text/plain".parse().unwrap())
        );
        for wrong in ["accept", "a b: c", "a: b\r\nc: d", ": x"] {
            assert!(header(wrong).is_err(), "{wrong:?}");
        }
    }
}
