//! The API on a tunnel stream: HTTP/1.1 or HTTP/2, for as long as the caller's authority lasts.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tower_service::Service;

use super::{ApiState, router};
use crate::gateway::session::{ApiArrival, ApiHandler};

/// For the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Headers of a request, all together, in bytes.
const MOST_HEADERS: usize = 64 * 1024;
/// Requests at once on one HTTP/2 stream of the tunnel.
const MOST_REQUESTS: u32 = 32;

/// What [`crate::gateway::session::Sessions`] gives streams of the API to.
pub fn tunnel_handler(state: ApiState) -> ApiHandler {
    let router = router(state);
    Arc::new(move |stream, arrival| Box::pin(serve_stream(router.clone(), stream, arrival)))
}

/// Serves one stream until it ends or its lease does. The lease is checked for every request.
pub async fn serve_stream<S>(router: Router, stream: S, arrival: ApiArrival)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let ended = arrival.lease.ended();
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(arrival.clone());
        router.clone().call(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MOST_HEADERS)
        .half_close(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MOST_HEADERS as u32)
        .max_concurrent_streams(MOST_REQUESTS);
    tokio::select! {
        served = builder.serve_connection(TokioIo::new(stream), service) => {
            if let Err(error) = served {
                tracing::debug!(error, "a stream of the API ended badly");
            }
        }
        () = ended.cancelled() => {}
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::SystemTime};

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::{
        clock::Clock,
        gateway::{
            api::testing::{World, caller},
            identity::{Lease, SessionRow},
        },
        tunnel::Transport,
    };

    fn now() -> SystemTime {
        Clock::system().now()
    }

    fn lease(subject: &str, groups: &[&str], life: Duration) -> Arc<Lease> {
        Lease::detached(caller(subject, groups), now() + life)
    }

    /// A laptop's end of a stream of the API.
    fn join(world: &World, lease: Arc<Lease>) -> (DuplexStream, tokio::task::JoinHandle<()>) {
        let (ours, theirs) = duplex(64 * 1024);
        let arrival = ApiArrival {
            lease,
            transport: Transport::Quic,
            source: Ipv4Addr::LOCALHOST.into(),
            client: "hoopctl/0.1.0".into(),
        };
        (ours, tokio::spawn(serve_stream(router(world.state.clone()), theirs, arrival)))
    }

    /// One request over HTTP/1.1, to the end of the stream: status line and body.
    async fn ask(
        world: &World,
        lease: Arc<Lease>,
        method: &str,
        path: &str,
        body: &str,
    ) -> (u16, serde_json::Value) {
        let (mut stream, serving) = join(world, lease);
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        serving.await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
    }

    const HOUR: Duration = Duration::from_hours(1);

    #[tokio::test]
    async fn over_the_tunnel_the_caller_is_known_as_long_as_the_lease_holds() {
        let world = World::new().await;
        let (status, me) = ask(&world, lease("alice", &["a"], HOUR), "GET", "/api/v1/me", "").await;
        assert_eq!((status, me["user"].as_str()), (200, Some("alice@example.test")));
        assert_eq!(me["groups"], serde_json::json!(["a"]));
        let (status, models) = ask(&world, lease("alice", &[], HOUR), "GET", "/api/v1/models", "").await;
        assert_eq!((status, models), (200, serde_json::json!([])));
        let over = lease("alice", &[], Duration::ZERO);
        let (status, error) = ask(&world, over, "GET", "/api/v1/me", "").await;
        assert_eq!((status, error["error"]["code"].as_str()), (401, Some("login_required")));
    }

    #[tokio::test]
    async fn over_https_nobody_is_known_without_a_token() {
        let world = World::new().await;
        for route in ["me", "models", "audit/events"] {
            for token in [None, Some("Bearer nonsense")] {
                let mut request = http::Request::get(format!("/api/v1/{route}"));
                if let Some(token) = token {
                    request = request.header("authorization", token);
                }
                let request = request.body(axum::body::Body::empty()).unwrap();
                let response = router(world.state.clone()).call(request).await.unwrap();
                assert_eq!(response.status(), 401, "{route} {token:?}");
                assert!(response.headers().contains_key("www-authenticate"));
            }
        }
        let request = http::Request::get("/api/v1/openapi.json").body(axum::body::Body::empty()).unwrap();
        assert_eq!(router(world.state.clone()).call(request).await.unwrap().status(), 200);
    }

    #[tokio::test]
    async fn only_who_may_administer_revokes() {
        let world = World::new().await;
        let bob = SessionRow {
            id: "ses_bob".into(),
            caller: caller("bob", &[]),
            created_at: now(),
            expires_at: now() + HOUR,
            refresh_sha256: None,
            previous_refresh_sha256: None,
            revoked: false,
            provider_refresh: None,
            people: None,
        };
        let sessions = world.store.identity();
        sessions.insert_session(&bob).await.unwrap();
        let path = "/api/v1/revocations";
        let bobs = r#"{"who":"bob@example.test"}"#;
        let (status, error) = ask(&world, lease("alice", &["auditors"], HOUR), "POST", path, bobs).await;
        assert_eq!((status, error["error"]["code"].as_str()), (403, Some("denied")));
        assert!(!sessions.session("ses_bob").await.unwrap().unwrap().revoked);

        let admin = || lease("alice", &["admins"], HOUR);
        let (status, revoked) = ask(&world, admin(), "POST", path, bobs).await;
        assert_eq!((status, &revoked["sessions"]), (200, &serde_json::json!(1)));
        assert!(sessions.session("ses_bob").await.unwrap().unwrap().revoked);
        assert_eq!(ask(&world, admin(), "POST", path, r#"{"who":""}"#).await.0, 400);
        assert_eq!(ask(&world, admin(), "POST", path, &" ".repeat(70_000)).await.0, 413);
    }

    #[tokio::test]
    async fn a_request_for_a_credential_needs_a_real_csr() {
        let world = World::new().await;
        let (status, _) =
            ask(&world, lease("alice", &[], HOUR), "POST", "/api/v1/credentials", r#"{"csr":"x"}"#).await;
        assert_ne!(status, 200);
    }

    #[tokio::test]
    async fn http_2_is_served_too() {
        let world = World::new().await;
        let (stream, _serving) = join(&world, lease("alice", &[], HOUR));
        let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::get("http://gateway/api/v1/me").body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().status(), 200);
    }
}
