//! What is understood of the bodies that pass: the model a request names, the tokens an answer counts. Nothing is changed or held back.

mod form;
mod json;
mod requested;
mod usage;

use std::borrow::Cow;

use http::{Method, request::Parts};

pub(super) use self::{
    requested::{Looked, look},
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
    /// Under `model` in its JSON body.
    Body,
}

/// A request of a dialect that is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) work: Work,
    pub(super) named: Named,
    /// Answers count tokens.
    pub(super) counted: bool,
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
    /// What the head of a request shows; `None` for requests whose bodies are nobody's business. Method and path alone decide: servers
    /// may not look at the content type, so a caller who says `application/grpc` is counted like any other.
    pub(super) fn of(dialect: Dialect, head: &Parts) -> Option<Self> {
        if dialect == Dialect::Http || head.method != Method::POST {
            return None;
        }
        let path = plain(head.uri.path());
        let speaks = |one| dialect == one || dialect == Dialect::Detect;
        if speaks(Dialect::Kserve)
            && let Some(model) = kserve(&path)
        {
            return Some(Self { work: Work::Other, named: Named::Path(model), counted: false });
        }
        if dialect == Dialect::Kserve {
            return None;
        }
        if speaks(Dialect::Gemini)
            && let Some((model, work)) = gemini(&path)
        {
            return Some(Self { work, named: Named::Path(model), counted: true });
        }
        let known = |ending: &&(&str, Work)| {
            let before = path.strip_suffix(ending.0);
            before.is_some_and(|before| dialect != Dialect::Detect || before.ends_with("/v1"))
        };
        let work = ENDINGS.iter().find(known).or_else(|| OLLAMA.iter().find(|(known, _)| path == *known));
        let work = work.map(|(_, work)| *work);
        if speaks(Dialect::Openai)
            && let Some((model, work)) = azure(&path)
        {
            return Some(Self { work, named: Named::Path(model), counted: true });
        }
        if work.is_none() && dialect == Dialect::Detect {
            return None;
        }
        Some(Self { work: work.unwrap_or(Work::Other), named: Named::Body, counted: true })
    }
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
fn unescaped(mut rest: &[u8]) -> Vec<u8> {
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

/// `/v2/models/NAME[/versions/V]/infer` (Open Inference Protocol), and Triton's `generate`.
fn kserve(path: &str) -> Option<String> {
    let (name, rest) = path.strip_prefix("/v2/models/")?.split_once('/')?;
    let verb = match rest.strip_prefix("versions/") {
        Some(rest) => rest.split_once('/')?.1,
        None => rest,
    };
    matches!(verb, "infer" | "generate" | "generate_stream").then(|| bounded(name))?
}

/// `…/models/NAME:generateContent` (Gemini and Vertex).
fn gemini(path: &str) -> Option<(String, Work)> {
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
    Some((bounded(name)?, work))
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

    fn of_body(work: Work) -> Option<Call> {
        Some(Call { work, named: Named::Body, counted: true })
    }

    fn of_path(name: &str, work: Work, counted: bool) -> Option<Call> {
        Some(Call { work, named: Named::Path(name.to_owned()), counted })
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
            assert_eq!(call(dialect, path), expected, "{dialect:?} {path}");
        }
        let get = Request::get("/v1/responses/r_1").body(()).unwrap().into_parts().0;
        assert_eq!(Call::of(Openai, &get), None, "what is fetched again is not counted again");
        let grpc = Request::post("/v1/messages").header("content-type", "application/grpc").body(()).unwrap();
        assert_eq!(
            Call::of(Detect, &grpc.into_parts().0),
            of_body(Work::Generate),
            "a header hides no tokens"
        );
    }
}
