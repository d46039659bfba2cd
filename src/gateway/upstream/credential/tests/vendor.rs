//! A service on loopback that notes what it is asked and answers what it is told.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::{Router, body::Body, extract::State};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use url::Url;

#[derive(Clone, Default)]
pub(in crate::gateway::upstream::credential) struct Vendor(Arc<Mutex<Talk>>);

#[derive(Default)]
pub(in crate::gateway::upstream::credential) struct Talk {
    pub(in crate::gateway::upstream::credential) asked: Vec<Asked>,
    /// The answer to a path; the longest beginning counts.
    pub(in crate::gateway::upstream::credential) answers: Vec<(&'static str, u16, String)>,
}

pub(in crate::gateway::upstream::credential) struct Asked {
    pub(in crate::gateway::upstream::credential) method: Method,
    pub(in crate::gateway::upstream::credential) target: String,
    pub(in crate::gateway::upstream::credential) headers: HeaderMap,
    pub(in crate::gateway::upstream::credential) body: String,
}

impl Asked {
    pub(in crate::gateway::upstream::credential) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A field of the form.
    pub(in crate::gateway::upstream::credential) fn field(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.body.as_bytes())
            .find(|(field, _)| field == name)
            .map(|(_, value)| value.into_owned())
    }
}

impl Vendor {
    pub(in crate::gateway::upstream::credential) async fn start() -> (Self, Url) {
        let vendor = Self::default();
        let app = Router::new().fallback(answer).with_state(vendor.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async { axum::serve(listener, app).await });
        (vendor, url)
    }

    pub(in crate::gateway::upstream::credential) fn talk(&self) -> MutexGuard<'_, Talk> {
        self.0.lock().unwrap()
    }

    pub(in crate::gateway::upstream::credential) fn says(
        &self,
        path: &'static str,
        status: u16,
        body: impl ToString,
    ) {
        let mut talk = self.talk();
        talk.answers.retain(|(known, _, _)| *known != path);
        talk.answers.push((path, status, body.to_string()));
        talk.answers.sort_by_key(|(path, _, _)| std::cmp::Reverse(path.len()));
    }

    pub(in crate::gateway::upstream::credential) fn asked(&self) -> usize {
        self.talk().asked.len()
    }
}

async fn answer(State(vendor): State<Vendor>, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body: Bytes = body.collect().await.unwrap().to_bytes();
    let target = head.uri.path_and_query().unwrap().to_string();
    let mut talk = vendor.talk();
    let found = talk.answers.iter().find(|(path, _, _)| target.starts_with(path)).cloned();
    talk.asked.push(Asked {
        method: head.method,
        target,
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let (_, status, text) = found.unwrap_or(("", 404, "not here".to_owned()));
    Response::builder().status(StatusCode::from_u16(status).unwrap()).body(Body::from(text)).unwrap()
}
