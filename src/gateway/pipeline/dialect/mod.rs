//! What is understood of the bodies that pass: the model a request names, whether its answer is to stream, what it asks; the tokens an
//! answer counts, and when the first of them came. Nothing is changed or held back.

mod form;
mod grpc;
mod json;
mod looked;
mod raw;
mod requested;
mod said;
mod shown;
mod socket;
mod tally;
mod tensors;
mod usage;

use std::borrow::Cow;

use http::{Method, request::Parts};
use url::form_urlencoded;

pub(super) use self::{
    looked::{Asked, Looked, look},
    usage::Reading,
};
use crate::gateway::respond::Dialect;

/// What is asked of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Text, or whatever else it makes token by token.
    Generate,
    /// Vectors.
    Embed,
    /// Something whose tokens are known only if the answer tells them.
    Other,
}

/// Where a request names the model it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// In its path.
    Path(String),
    /// In its query, perhaps more than once.
    Query(Vec<String>),
    /// Under `model` in its JSON body.
    Body,
    /// In the messages of its gRPC body.
    Message,
}

/// Whether the answer is to come as a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Streams {
    /// As the path says.
    Known(bool),
    /// As `stream` in the body says, or so.
    Body { unless_said: bool },
}

/// A request of a dialect that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) work: Work,
    pub(super) named: Named,
    /// Answers are read: they count tokens, or their first is looked for.
    pub(super) counted: bool,
    pub(super) streams: Streams,
    /// The body is itself the input, and no JSON that is understood.
    raw: bool,
}

/// What a path promises to callers who speak gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rpc {
    /// KServe's answers to work.
    Inference { streams: bool },
    /// What tells of the server, and of nobody's data.
    Quiet,
    /// Anything else.
    Other,
}

/// What a path promises to callers who speak gRPC.
pub(super) fn rpc(path: &str) -> Rpc {
    let path = plain(path);
    match grpc::method(&path) {
        Some(streams) => Rpc::Inference { streams },
        None if grpc::is_quiet(&path) => Rpc::Quiet,
        None => Rpc::Other,
    }
}

/// How paths end, OpenAI's and Anthropic's.
const ENDINGS: [(&str, Work); 5] = [
    ("/chat/completions", Work::Generate),
    ("/completions", Work::Generate),
    ("/responses", Work::Generate),
    ("/messages", Work::Generate),
    ("/embeddings", Work::Embed),
];

/// Ollama's paths.
const OLLAMA: [(&str, Work); 4] = [
    ("/api/chat", Work::Generate),
    ("/api/generate", Work::Generate),
    ("/api/embed", Work::Embed),
    ("/api/embeddings", Work::Embed),
];

impl Call {
    /// Whether its answer is made of what an interface of models is made of, and not of any JSON.
    pub(super) fn is_interface(&self) -> bool {
        self.work != Work::Other || matches!(self.named, Named::Path(_) | Named::Message)
    }

    /// What the head of a request shows; `None` for requests whose bodies are nobody's business. Method and path alone decide: servers
    /// may not look at the content type, so a caller who says `application/grpc` is counted like any other.
    pub(super) fn of(dialect: Dialect, head: &Parts) -> Option<Self> {
        let path = plain(head.uri.path());
        match head.method {
            _ if dialect == Dialect::Http => None,
            Method::POST => Self::posted(dialect, &path),
            Method::GET => live(dialect, &path, head.uri.query().unwrap_or_default()),
            _ => None,
        }
    }

    fn posted(dialect: Dialect, path: &str) -> Option<Self> {
        let speaks = |one| dialect == one || dialect == Dialect::Detect;
        if speaks(Dialect::Kserve)
            && let Some(call) = kserve(path)
        {
            return Some(call);
        }
        if dialect == Dialect::Kserve {
            return None;
        }
        if speaks(Dialect::Gemini)
            && let Some(call) = gemini(path)
        {
            return Some(call);
        }
        let known = |ending: &&(&str, Work)| {
            let before = path.strip_suffix(ending.0);
            before.is_some_and(|before| dialect != Dialect::Detect || before.ends_with("/v1"))
        };
        let work = ENDINGS.iter().find(known).map(|(_, work)| *work);
        if speaks(Dialect::Openai)
            && let Some((model, work)) = azure(path)
        {
            let streams = streams(work, false);
            return Some(Self { work, named: Named::Path(model), counted: true, streams, raw: false });
        }
        let ollama = OLLAMA.iter().find(|(known, _)| path == *known).map(|(_, work)| *work);
        if work.is_none() && ollama.is_none() && dialect == Dialect::Detect {
            return None;
        }
        // Ollama alone streams unless it is told not to.
        let streams = streams(work.or(ollama).unwrap_or(Work::Other), work.is_none() && ollama.is_some());
        let work = work.or(ollama).unwrap_or(Work::Other);
        Some(Self { work, named: Named::Body, counted: true, streams, raw: false })
    }
}

/// Vectors do not come as a stream, whatever the body says.
fn streams(work: Work, unless_said: bool) -> Streams {
    if work == Work::Embed { Streams::Known(false) } else { Streams::Body { unless_said } }
}

/// A path as servers read it: escapes resolved, no empty segments, no `.` and `..` (RFC 3986 §5.2.4). It serves to know the request by;
/// what is sent stays as it came.
fn plain(path: &str) -> Cow<'_, str> {
    if !path.contains('%') && !path.contains("//") && !path.contains("/.") && !path.ends_with('/') {
        return Cow::Borrowed(path);
    }
    let bytes = unescaped(path.as_bytes());
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in bytes.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => (),
            b".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    let plain = segments.join(&b'/');
    Cow::Owned(format!("/{}", String::from_utf8_lossy(&plain)))
}

/// Resolves `%XX` (RFC 3986 §2.1).
pub(super) fn unescaped(mut rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.split_at_checked(2).filter(|_| byte == b'%');
        let escaped = escaped.and_then(|(digits, after)| Some((hex(digits)?, after)));
        let (byte, after) = escaped.unwrap_or((byte, after));
        bytes.push(byte);
        rest = after;
    }
    bytes
}

fn hex(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u8::from_str_radix(text, 16).ok()
}

fn bounded(name: &str) -> Option<String> {
    (!name.is_empty() && name.len() <= json::MAX_TEXT).then(|| name.to_owned())
}

/// `/v2/models/NAME[/versions/V]/infer` (Open Inference Protocol), Triton's `generate`, and the same over gRPC.
fn kserve(path: &str) -> Option<Call> {
    let call = |named, counted, stream, raw| Call {
        work: Work::Other,
        named,
        counted,
        streams: Streams::Known(stream),
        raw,
    };
    if let Some(stream) = grpc::method(path) {
        return Some(call(Named::Message, false, stream, false));
    }
    let (name, rest) = path.strip_prefix("/v2/models/")?.split_once('/')?;
    let verb = match rest.strip_prefix("versions/") {
        Some(rest) => rest.split_once('/')?.1,
        None => rest,
    };
    let name = Named::Path(bounded(name)?);
    match verb {
        "infer" => Some(call(name, false, false, true)),
        "generate" => Some(call(name, false, false, false)),
        "generate_stream" => Some(call(name, true, true, false)),
        _ => None,
    }
}

/// `…/models/NAME:generateContent` (Gemini and Vertex).
fn gemini(path: &str) -> Option<Call> {
    let (before, last) = path.rsplit_once('/')?;
    if !before.ends_with("/models") && !before.ends_with("/tunedModels") {
        return None;
    }
    let (name, verb) = last.rsplit_once(':')?;
    let work = match verb {
        "generateContent" | "streamGenerateContent" => Work::Generate,
        "embedContent" | "batchEmbedContents" => Work::Embed,
        _ => Work::Other,
    };
    let streams = Streams::Known(verb == "streamGenerateContent");
    Some(Call { work, named: Named::Path(bounded(name)?), counted: true, streams, raw: false })
}

/// `/v1/realtime?model=NAME` (OpenAI; Azure says `deployment`), and Gemini's live service, whose messages name the model.
fn live(dialect: Dialect, path: &str, query: &str) -> Option<Call> {
    let speaks = |one| dialect == one || dialect == Dialect::Detect;
    let detected = path.ends_with("/v1/realtime") || path.ends_with("/openai/realtime");
    let names = if speaks(Dialect::Gemini) && path.ends_with("BidiGenerateContent") {
        Vec::new()
    } else if detected && dialect == Dialect::Detect
        || dialect == Dialect::Openai && path.ends_with("/realtime")
    {
        let named =
            |name: &str| name.eq_ignore_ascii_case("model") || name.eq_ignore_ascii_case("deployment");
        let pairs = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| named(name));
        pairs.fold(Vec::new(), |mut names: Vec<String>, (_, name)| {
            let name = name.get(..name.floor_char_boundary(json::MAX_TEXT)).unwrap_or_default();
            // Two that differ are refused, however many follow.
            if names.len() < 2 && !names.iter().any(|one| one == name) {
                names.push(name.to_owned());
            }
            names
        })
    } else {
        return None;
    };
    let (named, streams) = (Named::Query(names), Streams::Known(true));
    Some(Call { work: Work::Generate, named, counted: true, streams, raw: false })
}

/// `/openai/deployments/NAME/chat/completions` (Azure OpenAI).
fn azure(path: &str) -> Option<(String, Work)> {
    let (name, verb) = path.split_once("/openai/deployments/")?.1.split_once('/')?;
    let work = match verb {
        "chat/completions" | "completions" => Work::Generate,
        "embeddings" => Work::Embed,
        _ => Work::Other,
    };
    Some((bounded(name)?, work))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn call(dialect: Dialect, path: &str) -> Option<Call> {
        Call::of(dialect, &Request::post(path).body(()).unwrap().into_parts().0)
    }

    type Known = Option<(Work, Named, bool)>;

    fn known(dialect: Dialect, path: &str) -> Known {
        call(dialect, path).map(|call| (call.work, call.named, call.counted))
    }

    fn of_body(work: Work) -> Known {
        Some((work, Named::Body, true))
    }

    fn of_path(name: &str, work: Work, counted: bool) -> Known {
        Some((work, Named::Path(name.to_owned()), counted))
    }

    #[test]
    fn requests_are_known_by_dialect_and_path() {
        use Dialect::{Anthropic, Detect, Gemini, Http, Kserve, Ollama, Openai};
        for (dialect, path, expected) in [
            (Detect, "/v1/chat/completions", of_body(Work::Generate)),
            (Detect, "/openai/v1/responses", of_body(Work::Generate)),
            (Detect, "/v1//ch%61t/completions/", of_body(Work::Generate)),
            (Detect, "/v1/x/../chat/./completions", of_body(Work::Generate)),
            (Detect, "/v1/chat/completions/%2e", of_body(Work::Generate)),
            (Detect, "/../v1/x%2F%2E%2e/chat/completions", of_body(Work::Generate)),
            (Detect, "/v1/chat/completions/..", None),
            (Detect, "/v1/.hidden/chat/completions", None),
            (Ollama, "/x/../api/chat", of_body(Work::Generate)),
            (Kserve, "/v2/models/good/../fraud/infer", of_path("fraud", Work::Other, false)),
            (Detect, "/v1/embeddings", of_body(Work::Embed)),
            (Detect, "/v1/messages", of_body(Work::Generate)),
            (Detect, "/api/chat", of_body(Work::Generate)),
            (Detect, "/forum/messages", None),
            (Detect, "/v1/images/generations", None),
            (Openai, "/v1/images/generations", of_body(Work::Other)),
            (Openai, "/chat/completions", of_body(Work::Generate)),
            (Anthropic, "/v1/messages/count_tokens", of_body(Work::Other)),
            (Ollama, "/api/show", of_body(Work::Other)),
            (Http, "/v1/chat/completions", None),
            (Kserve, "/v1/chat/completions", None),
            (Kserve, "/v2/models/fraud/infer", of_path("fraud", Work::Other, false)),
            (Detect, "/v2/models/fraud/versions/3/infer", of_path("fraud", Work::Other, false)),
            (Detect, "/v2/models/fraud/ready", None),
            (Gemini, "/v1beta/models/gemini-2:generateContent", of_path("gemini-2", Work::Generate, true)),
            (
                Detect,
                "/v1/projects/p/publishers/google/models/g:streamGenerateContent",
                of_path("g", Work::Generate, true),
            ),
            (Gemini, "/v1beta/models/g%3AcountTokens", of_path("g", Work::Other, true)),
            (Openai, "/openai/deployments/mine/chat/completions", of_path("mine", Work::Generate, true)),
            (Detect, "/openai/deployments/mine/embeddings", of_path("mine", Work::Embed, true)),
        ] {
            assert_eq!(known(dialect, path), expected, "{dialect:?} {path}");
        }
        let get = Request::get("/v1/responses/r_1").body(()).unwrap().into_parts().0;
        assert_eq!(Call::of(Openai, &get), None, "what is fetched again is not counted again");
        let grpc = Request::post("/v1/messages").header("content-type", "application/grpc").body(()).unwrap();
        let call = Call::of(Detect, &grpc.into_parts().0).unwrap();
        assert_eq!((call.work, call.counted), (Work::Generate, true), "a header hides no tokens");
    }

    #[test]
    fn whether_an_answer_streams_is_known_by_path_or_body() {
        use Dialect::{Detect, Kserve, Ollama, Openai};
        let body = |unless_said| Streams::Body { unless_said };
        for (dialect, path, expected) in [
            (Detect, "/v1/chat/completions", body(false)),
            (Openai, "/openai/deployments/d/chat/completions", body(false)),
            (Detect, "/v1/embeddings", Streams::Known(false)),
            (Detect, "/api/chat", body(true)),
            (Ollama, "/api/generate", body(true)),
            (Ollama, "/v1/chat/completions", body(false)),
            (Ollama, "/api/embed", Streams::Known(false)),
            (Detect, "/v1beta/models/g:generateContent", Streams::Known(false)),
            (Detect, "/v1beta/models/g:streamGenerateContent", Streams::Known(true)),
            (Kserve, "/v2/models/m/infer", Streams::Known(false)),
            (Kserve, "/v2/models/m/generate_stream", Streams::Known(true)),
            (Kserve, "/inference.GRPCInferenceService/ModelInfer", Streams::Known(false)),
            (Detect, "/inference.GRPCInferenceService/ModelStreamInfer", Streams::Known(true)),
        ] {
            assert_eq!(call(dialect, path).unwrap().streams, expected, "{dialect:?} {path}");
        }
    }

    #[test]
    fn conversations_name_their_model_in_the_query() {
        use Dialect::{Anthropic, Detect, Gemini, Openai};
        for (dialect, target, names) in [
            (Detect, "/v1/realtime?model=gpt-realtime", Some(vec!["gpt-realtime"])),
            (Openai, "/realtime?x=1&model=a&MODEL=b", Some(vec!["a", "b"])),
            (Detect, "/openai/realtime?api-version=1&deployment=mine", Some(vec!["mine"])),
            (Openai, "/v1/realtime", Some(vec![])),
            (
                Gemini,
                "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=k",
                Some(vec![]),
            ),
            (Detect, "/forum/realtime?model=a", None),
            (Anthropic, "/v1/realtime?model=a", None),
        ] {
            let head = Request::get(target).body(()).unwrap().into_parts().0;
            let named = Call::of(dialect, &head).map(|call| call.named);
            let expected = names.map(|names| Named::Query(names.into_iter().map(str::to_owned).collect()));
            assert_eq!(named, expected, "{dialect:?} {target}");
        }
    }
}
