//! HTTP/1.1 and HTTP/2 on either leg, gRPC among them; what could be smuggled between the two.

use http::{HeaderMap, Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt;

use super::{
    servers::{self, Authority, mirror},
    world::{TestBody, World, empty, full, get, model, soon, text},
};
use crate::{gateway::upstream::Credential, secret::Source};

async fn over_tls(alpn: &[&str]) -> (World, tempfile::TempDir) {
    let authority = Authority::new();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, authority.pem()).unwrap();
    let url = servers::http(Some(authority.leaf("localhost", |_| ()).server(alpn)), mirror).await;
    let mut model = model("m", &url);
    model.upstream.relaxed = false;
    model.upstream.ca = Some(ca);
    (World::new(vec![model]).await, dir)
}

#[tokio::test]
async fn each_leg_speaks_what_it_can() {
    for (alpn, to_h1, to_h2) in [
        (&["h2", "http/1.1"][..], "HTTP/1.1", "HTTP/2.0"),
        (&["http/1.1"], "HTTP/1.1", "HTTP/1.1"),
        (&["h2"], "HTTP/2.0", "HTTP/2.0"),
        (&[], "HTTP/1.1", "HTTP/1.1"),
    ] {
        let (world, _dir) = over_tls(alpn).await;
        for _ in 0..2 {
            let answer = world.connect().ask(get("/p?q=%20")).await;
            let seen = text(answer.into_body()).await;
            assert!(seen.contains("/p?q=%20") && seen.contains(to_h1), "{alpn:?}: {seen}");
            let mut http = world.connect().http2().await;
            let request = Request::get("http://x/p?q=%20").body(empty()).unwrap();
            let answer = soon(http.send_request(request)).await.unwrap();
            assert_eq!(answer.version(), Version::HTTP_2);
            let seen = text(answer.into_body()).await;
            assert!(seen.contains("/p?q=%20") && seen.contains(to_h2), "{alpn:?}: {seen}");
        }
        let events = world.events().await;
        assert!(
            events.iter().all(|event| event.response.as_ref().unwrap().outcome == "complete"),
            "{events:?}"
        );
    }
}

#[tokio::test]
async fn the_upstream_is_addressed_by_its_own_name_and_hops_end() {
    let url = servers::http(None, mirror).await;
    let world = World::of(&url).await;
    let request = Request::post("/v1//x/../y?a=%2F&b")
        .header("host", "127.0.0.1:4100")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("x-end", "2")
        .header("authorization", "Bearer own")
        .body(full("abc"))
        .unwrap();
    let seen = text(world.connect().ask(request).await.into_body()).await;
    let host = url.strip_prefix("http://").unwrap();
    assert_eq!(
        seen,
        format!(
            "POST /v1//x/../y?a=%2F&b HTTP/1.1\nauthorization: Bearer own\ncontent-length: 3\nhost: {host}\nx-end: 2"
        )
    );
}

#[tokio::test]
async fn the_backends_credential_replaces_the_callers_and_is_never_echoed() {
    let url = servers::http(None, mirror).await;
    let mut model = model("m", &url);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, "s3cret").unwrap();
    model.upstream.credential = Some(Credential::Header {
        header: "x-api-key".into(),
        prefix: String::new(),
        value: Source::File(path),
    });
    let world = World::new(vec![model]).await;
    let request = Request::get("/")
        .header("host", "x")
        .header("authorization", "Bearer callers")
        .header("x-api-key", "callers")
        .body(empty())
        .unwrap();
    let answer = world.connect().ask(request).await;
    let headers = format!("{:?}", answer.headers());
    // The mirror shows what the model saw.
    let seen = text(answer.into_body()).await;
    assert!(seen.contains("x-api-key: s3cret") && !seen.contains("callers"), "{seen}");
    assert!(!headers.contains("s3cret"));
    let event = serde_json::to_string(&world.event().await).unwrap();
    assert!(!event.contains("s3cret") && !event.contains("callers"), "{event}");
}

#[tokio::test]
async fn a_model_cannot_answer_in_the_gateways_name() {
    let url = servers::http(None, async |_| {
        Response::builder().header("x-hoopctl-code", "denied").header("x-mine", "1").body(empty()).unwrap()
    })
    .await;
    let answer = World::of(&url).await.connect().ask(get("/")).await;
    assert!(!answer.headers().contains_key("x-hoopctl-code"));
    assert_eq!(answer.headers()["x-mine"], "1");
}

/// A gRPC method: its status comes in trailers.
async fn grpc(request: Request<Incoming>) -> Response<TestBody> {
    assert_eq!(request.version(), Version::HTTP_2);
    assert_eq!(request.headers()["te"], "trailers");
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let body = Full::from("\0\0\0\0\0").with_trailers(async move { Some(Ok(trailers)) });
    Response::new(body.map_err(|never| match never {}).boxed())
}

#[tokio::test]
async fn grpc_reaches_a_plaintext_server_with_its_trailers() {
    let world = World::of(&servers::http(None, grpc).await).await;
    let mut http = world.connect().http2().await;
    let request = Request::post("http://x/p.S/M")
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .body(full("\0\0\0\0\0"))
        .unwrap();
    let answer = soon(http.send_request(request)).await.unwrap();
    let collected = soon(answer.into_body().collect()).await.unwrap();
    assert_eq!(collected.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(collected.to_bytes().len(), 5);
    assert_eq!(world.outcome().await, "complete");
}

#[tokio::test]
async fn a_target_in_absolute_form_goes_to_the_model_and_nowhere_else() {
    let url = servers::http(None, mirror).await;
    let world = World::of(&url).await;
    let mut client = world.connect();
    client.write("GET http://elsewhere.test/x?y HTTP/1.1\r\nhost: elsewhere.test\r\n\r\n").await;
    let head = client.read_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    client.read_until("GET /x?y HTTP/1.1\n").await;
}

#[tokio::test]
async fn heads_have_a_bound() {
    let url = servers::http(None, mirror).await;
    let world = World::of(&url).await;
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(64 * 1024));
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(128));
    for request in [long, many] {
        let mut client = world.connect();
        // Refused before the last byte is read, so the last write may find nobody.
        let _ = soon(client.io.write_all(request.as_bytes())).await;
        assert!(client.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 431"));
    }
    let near = format!("GET / HTTP/1.1\r\nhost: x\r\nx-long: {}\r\n\r\n", "a".repeat(60 * 1024));
    let mut client = world.connect();
    client.write(near).await;
    assert!(client.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 200"));
}
