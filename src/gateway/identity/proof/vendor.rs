//! A vendor's own interface in the same process: says what it is told to say, in order, and remembers what it was asked.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Method, header},
    response::Response,
};
use serde_json::Value;
use url::Url;

/// One question.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) bearer: String,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }
}

/// One answer: status, `Retry-After`, body.
type Said = (u16, Option<&'static str>, String);

#[derive(Clone)]
pub(super) struct Vendor {
    pub(super) url: Url,
    said: Arc<Mutex<VecDeque<Said>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Vendor {
    pub(super) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let vendor = Self { url, said: Arc::default(), asked: Arc::default() };
        let app = Router::new().fallback(answer).with_state(vendor.clone());
        tokio::spawn(async { axum::serve(listener, app).await });
        vendor
    }

    /// What it answers next; without anything left to say it answers 500.
    pub(super) fn says(&self, status: u16, body: &Value) {
        self.says_text(status, None, &body.to_string());
    }

    pub(super) fn says_text(&self, status: u16, retry_after: Option<&'static str>, body: &str) {
        self.said.lock().unwrap().push_back((status, retry_after, body.to_owned()));
    }

    /// What it was asked since the last look.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// Whether everything was said.
    pub(super) fn silent(&self) -> bool {
        self.said.lock().unwrap().is_empty()
    }
}

async fn answer(State(vendor): State<Vendor>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let query = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
    let bearer = head.headers.get(header::AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    vendor.asked.lock().unwrap().push(Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: query.into_owned().collect(),
        bearer: bearer.unwrap_or_default(),
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let said = vendor.said.lock().unwrap().pop_front();
    let (status, retry_after, body) = said.unwrap_or((500, None, "{}".to_owned()));
    let mut response = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    if let Some(after) = retry_after {
        response = response.header(header::RETRY_AFTER, after);
    }
    response.body(Body::from(body)).unwrap()
}
