//! What every answer wears: a request id, `no-store`, and for errors the one JSON shape.

use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use tracing::Instrument;

use crate::{
    clock::Clock,
    gateway::respond::{Problem, REQUEST_ID_HEADER, Voice},
    id,
    wire::code,
};

/// An error of a handler; [`dress`] gives it its body, which names the request.
#[derive(Debug)]
pub(super) struct ApiError(pub(super) Problem);

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<crate::wire::Refusal> for ApiError {
    fn from(refusal: crate::wire::Refusal) -> Self {
        Self(refusal.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.0.http_status().into_response();
        response.extensions_mut().insert(self.0);
        response
    }
}

/// Dresses the answers of `routes`, which are all below `/api/`; what they do not know there is answered 404, a known path's wrong
/// method 405.
pub(super) fn dress(routes: Router, clock: Clock) -> Router {
    let layer = middleware::from_fn(move |request: Request, next: Next| {
        let id = id::new("req", clock.now());
        answer(request, next, id)
    });
    routes
        .route("/api/{*rest}", axum::routing::any(unknown))
        .method_not_allowed_fallback(wrong_method)
        .layer(layer)
}

async fn answer(request: Request, next: Next, id: String) -> Response {
    // What a handler logs is found by the id that the caller was told.
    let span = tracing::info_span!("api", request_id = id);
    let mut response = next.run(request).instrument(span).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let allow = response.headers_mut().remove(header::ALLOW);
        response = problem.answer(Voice::Plain, &id).map(Body::from);
        if let Some(allow) = allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID_HEADER, id);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn unknown() -> ApiError {
    Problem::new(code::BAD_REQUEST, "the API has nothing at this path")
        .status(StatusCode::NOT_FOUND)
        .remedy("see /api/v1/openapi.json for what there is")
        .into()
}

async fn wrong_method() -> ApiError {
    Problem::new(code::BAD_REQUEST, "this path of the API does not take that method")
        .status(StatusCode::METHOD_NOT_ALLOWED)
        .remedy("see /api/v1/openapi.json for what there is")
        .into()
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tower_service::Service;

    use super::*;
    use crate::{gateway::api::testing::json, wire::api::ErrorBody};

    async fn ask(method: &str, path: &str) -> Response {
        let failing = || async { ApiError(Problem::new(code::DENIED, "no").remedy("ask")) };
        let routes = Router::new().route("/api/ok", get(|| async { "ok" })).route("/api/no", get(failing));
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        dress(routes, Clock::system()).call(request).await.unwrap()
    }

    #[tokio::test]
    async fn every_answer_has_a_request_id_and_is_not_stored() {
        for (method, path, status) in [
            ("GET", "/api/ok", 200),
            ("GET", "/api/no", 403),
            ("GET", "/api/x/y", 404),
            ("PUT", "/api/ok", 405),
        ] {
            let response = ask(method, path).await;
            assert_eq!(response.status(), status, "{method} {path}");
            let id = response.headers()[REQUEST_ID_HEADER].to_str().unwrap().to_owned();
            assert!(id.starts_with("req_"), "{id}");
            assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
            if status != 200 {
                let body: ErrorBody = json(response).await;
                assert_eq!(body.error.request_id, Some(id));
                assert!(body.error.remedy.is_some());
                assert!(!body.error.message.is_empty() && !body.error.kind.is_empty());
            }
        }
    }

    #[tokio::test]
    async fn a_wrong_method_is_told_the_right_ones() {
        let response = ask("DELETE", "/api/ok").await;
        assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
    }
}
