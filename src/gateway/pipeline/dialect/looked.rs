//! What is read of a request before anything is sent, and what goes on reading while the rest of it passes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::{Call, Named, Streams, grpc::Messages, raw::Beginning, requested::Finder, shown::MAX_SHOWN};
use crate::{
    gateway::{
        framing,
        mask::Masking,
        respond::Problem,
        upstream::{UpstreamError, Watch},
    },
    wire::code,
};

/// How far the name is looked for, bytes, and how long its bytes are waited for.
const WINDOW: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a request body as it passes.
pub(super) trait Reader: Send {
    /// Bytes pass.
    fn read(&mut self, bytes: &[u8]);
    /// Whether the name may still come.
    fn searches(&self) -> bool;
    /// Whether what follows has to agree with what was found.
    fn guards(&self) -> bool;
    /// Why a server could take another model from the body.
    fn doubt(&self) -> Option<&'static str>;
    /// The one name.
    ///
    /// # Errors
    /// When there are two, or one without end.
    fn model(&self) -> Result<Option<String>, Problem>;
    /// What else was seen so far.
    fn told(&self) -> Told;
}

/// What a body shows beside its model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) stream: Option<bool>,
    pub(super) input: Option<String>,
    /// What shows the input was read to its end: the body, or of a gRPC call its first message.
    pub(super) whole: bool,
}

/// What was read before anything was sent.
#[derive(Default)]
pub(in crate::gateway::pipeline) struct Looked {
    /// The name, where there is one.
    pub(in crate::gateway::pipeline) model: Option<String>,
    /// To be sent before the rest of the body.
    pub(in crate::gateway::pipeline) early: Vec<Frame<Bytes>>,
    /// Reads the rest as it passes: nothing may follow from which a server could take another name.
    pub(in crate::gateway::pipeline) watch: Option<Box<dyn Watch>>,
    /// What is known of the request, now and later.
    pub(in crate::gateway::pipeline) asked: Option<Asked>,
}

/// A request as far as it has passed.
#[derive(Clone)]
pub(in crate::gateway::pipeline) struct Asked {
    streams: Streams,
    reader: Option<Shared>,
}

type Shared = Arc<Mutex<Box<dyn Reader>>>;

impl Asked {
    /// Whether the answer is to come as a stream, once that is known.
    pub(in crate::gateway::pipeline) fn streams(&self) -> Option<bool> {
        match self.streams {
            Streams::Known(streams) => Some(streams),
            Streams::Body { unless_said } => {
                let told = lock(self.reader.as_ref()?).told();
                told.stream.or_else(|| told.whole.then_some(unless_said))
            }
        }
    }

    /// The beginning of what is asked, masked, where it is kept.
    pub(in crate::gateway::pipeline) fn input(&self, masking: &Masking) -> Option<String> {
        let told = lock(self.reader.as_ref()?).told();
        let input = told.input?;
        // What was cut may have been cut in the middle of a value.
        let whole = told.whole && input.len() + char::MAX.len_utf8() <= MAX_SHOWN;
        Some(masking.excerpt(&input, whole))
    }
}

/// Reads a request up to the name of its model: of a body at most 64 KiB and 10 s.
///
/// # Errors
/// When the request names two models or one with an endless name, its body is more than the one document it was read as, or breaks off.
pub(in crate::gateway::pipeline) async fn look(
    call: &Call,
    body: &mut Incoming,
    headers: &HeaderMap,
    keeps_input: bool,
) -> Result<Looked, Problem> {
    let mut looked = Looked::default();
    let named = match &call.named {
        Named::Path(name) => Some(name.clone()),
        Named::Query(names) => one_of(names)?,
        Named::Body | Named::Message => None,
    };
    let Some(mut reader) = reader(call, headers, keeps_input) else {
        looked.asked = Some(Asked { streams: call.streams, reader: None });
        looked.model = named;
        return Ok(looked);
    };
    let gap = read_early(reader.as_mut(), body, &mut looked.early).await?;
    looked.model = reader.model()?.or(named);
    let guards = reader.guards();
    // Behind the window nothing is a name any more, but the rest may be read.
    reader.read(&gap);
    let shared = Arc::new(Mutex::new(reader));
    looked.asked = Some(Asked { streams: call.streams, reader: Some(Arc::clone(&shared)) });
    looked.watch = Some(Box::new(Watching { reader: shared, guards }));
    Ok(looked)
}

/// Reads frames until the name has been found or cannot come; returns what of the last one lies behind the window.
async fn read_early(
    reader: &mut dyn Reader,
    body: &mut Incoming,
    early: &mut Vec<Frame<Bytes>>,
) -> Result<Bytes, Problem> {
    let deadline = Instant::now() + PATIENCE;
    let mut read = 0;
    while read < WINDOW && !body.is_end_stream() && reader.searches() {
        let Ok(frame) = timeout_at(deadline, body.frame()).await else { break };
        match frame {
            None => break,
            Some(Err(error)) => {
                tracing::debug!(%error, "a request body broke before it named its model");
                let cut = UpstreamError::RequestCut;
                return Err(Problem::from(
                    &framing::refused_by(&error).map_or(cut, UpstreamError::RequestMalformed),
                ));
            }
            Some(Ok(frame)) => {
                let data = frame.data_ref().cloned().unwrap_or_default();
                early.push(frame);
                // No more than the window, so that what was found does not depend on how the bytes were cut.
                let inside = data.slice(..data.len().min(WINDOW - read));
                let behind = data.slice(inside.len()..);
                reader.read(&inside);
                read += data.len();
                if reader.searches() && !behind.is_empty() {
                    return Ok(behind);
                }
                reader.read(&behind);
            }
        }
    }
    Ok(Bytes::new())
}

/// What reads the body; `None` where nothing in it is anybody's business.
fn reader(call: &Call, headers: &HeaderMap, keeps_input: bool) -> Option<Box<dyn Reader>> {
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    let encoded = encodings.iter().any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if encoded || is_of(headers, b"multipart/") {
        return None;
    }
    // `curl -d` says form and sends JSON, which is what the servers of these dialects read.
    let form = is_of(headers, b"application/x-www-form-urlencoded");
    let unknown = matches!(call.streams, Streams::Body { .. });
    match &call.named {
        Named::Body => Some(Box::new(Finder::new(form, keeps_input))),
        Named::Message => Some(Box::new(Messages::new(keeps_input))),
        Named::Query(_) => None,
        Named::Path(_) if call.raw => keeps_input.then(|| Box::new(Beginning::new(headers)) as _),
        Named::Path(_) => (keeps_input || unknown).then(|| Box::new(Finder::aside(keeps_input)) as _),
    }
}

/// The one name of a query.
fn one_of(names: &[String]) -> Result<Option<String>, Problem> {
    match names {
        [] => Ok(None),
        [first, rest @ ..] if rest.iter().all(|name| name == first) => Ok(Some(first.clone())),
        _ => Err(ambiguous("names two models in its query")),
    }
}

/// A request that servers could read in another way than policy.
pub(super) fn ambiguous(doubt: &str) -> Problem {
    let message = format!("the request {doubt}, and servers differ in which model they take");
    Problem::new(code::BAD_REQUEST, message)
        .remedy("send one JSON document with `model` once, as application/json; elsewhere one name only")
}

/// Whether any content type of the request begins so.
fn is_of(headers: &HeaderMap, kind: &[u8]) -> bool {
    let values = headers.get_all(header::CONTENT_TYPE).iter();
    let mut kinds = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    kinds.any(|one| one.trim_ascii().get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind)))
}

/// Reads the rest of a body.
struct Watching {
    reader: Shared,
    guards: bool,
}

impl Watch for Watching {
    fn passes(&mut self, bytes: &[u8]) -> bool {
        let mut reader = lock(&self.reader);
        reader.read(bytes);
        !self.guards || reader.doubt().is_none()
    }
}

/// A poisoned lock guards a reader that has read less than it could.
fn lock(reader: &Shared) -> MutexGuard<'_, Box<dyn Reader>> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_content_type_counts() {
        let mut headers = HeaderMap::new();
        headers.append("content-type", "application/json".parse().unwrap());
        assert!(!is_of(&headers, b"multipart/"));
        headers.append("content-type", "text/plain, Multipart/Form-Data; boundary=x".parse().unwrap());
        assert!(is_of(&headers, b"multipart/"));
    }

    #[test]
    fn a_query_names_one_model() {
        let names = |names: &[&str]| one_of(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(names(&[]).unwrap(), None);
        assert_eq!(names(&["a", "a"]).unwrap().as_deref(), Some("a"));
        assert_eq!(names(&["a", "b"]).unwrap_err().code(), code::BAD_REQUEST);
    }
}
