//! Which servers are believed: `required` and `relaxed`, roots, names, dates, pins, and the evidence of it.

use std::collections::BTreeMap;

use http::StatusCode;

use super::{
    servers::{self, Authority, mirror},
    world::{World, get, model, text, uncounted},
};
use crate::{
    clock::Clock,
    evidence::event::Leg,
    gateway::pipeline::{ModelConfig, PipelineError},
};

struct Place {
    authority: Authority,
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { authority: Authority::new(), dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, content: &str) -> std::path::PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A required model that believes this authority.
    fn required(&self, url: &str) -> ModelConfig {
        let mut model = model("m", url);
        model.upstream.relaxed = false;
        model.upstream.ca = Some(self.file("ca.pem", &self.authority.pem()));
        model
    }
}

/// Status, body and the upstream leg's evidence.
async fn ask(model: ModelConfig) -> (StatusCode, String, Option<Leg>) {
    let world = World::new(vec![model]).await;
    let answer = world.connect().ask(get("/")).await;
    let status = answer.status();
    let body = text(answer.into_body()).await;
    (status, body, world.event().await.evidence.unwrap().upstream)
}

async fn refused(model: ModelConfig, reason: &str) {
    let (status, body, leg) = ask(model).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(body.contains("upstream_untrusted") && body.contains(reason), "{reason}: {body}");
    assert_eq!(leg, None);
}

#[tokio::test]
async fn a_verified_server_is_reached_with_evidence() {
    let place = Place::new();
    let leaf = place.authority.leaf("localhost", |_| ());
    let url = servers::http(Some(leaf.server(&["http/1.1"])), mirror).await;
    let (status, _, leg) = ask(place.required(&url)).await;
    assert_eq!(status, StatusCode::OK);
    let leg = leg.unwrap();
    assert_eq!((leg.transport.as_str(), leg.tls.as_str(), leg.verified), ("tcp", "TLSv1.3", Some(true)));
    assert_eq!(leg.group, "X25519MLKEM768");
    assert_eq!(format!("sha256:{}", leg.peer_sha256.unwrap()), leaf.fingerprint());
}

#[tokio::test]
async fn a_required_model_is_never_reached_unverified() {
    let place = Place::new();
    let old = |params: &mut rcgen::CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let expired = servers::http(Some(place.authority.leaf("localhost", old).server(&[])), mirror).await;
    refused(place.required(&expired), "expired").await;

    let named = servers::http(Some(place.authority.leaf("other.test", |_| ()).server(&[])), mirror).await;
    refused(place.required(&named), "another name").await;
    let mut renamed = place.required(&named);
    renamed.upstream.server_name = Some("other.test".into());
    assert_eq!(ask(renamed).await.0, StatusCode::OK, "server_name says which name it must be");

    let foreign = Authority::new().leaf("localhost", |_| ());
    let url = servers::http(Some(foreign.server(&[])), mirror).await;
    refused(place.required(&url), "authority that is not trusted").await;

    let plaintext = model("m", "http://127.0.0.1:9");
    let required = ModelConfig {
        upstream: crate::gateway::upstream::Config { relaxed: false, ..plaintext.upstream.clone() },
        ..plaintext
    };
    let Err(PipelineError::Upstream { cause, .. }) =
        super::super::models::open(vec![required], &BTreeMap::new(), &uncounted().await.0, &Clock::system())
            .map(|_| ())
    else {
        panic!("a plaintext required model was set up");
    };
    assert!(cause.to_string().contains("tls = \"relaxed\""), "{cause}");
}

#[tokio::test]
async fn pins_hold_in_addition_to_everything_else() {
    let place = Place::new();
    let leaf = place.authority.leaf("localhost", |_| ());
    let url = servers::http(Some(leaf.server(&[])), mirror).await;
    let pinned = |model: ModelConfig, pin: String| {
        let mut model = model;
        model.upstream.pins = vec![pin];
        model
    };
    assert_eq!(ask(pinned(place.required(&url), leaf.fingerprint())).await.0, StatusCode::OK);
    let other = place.authority.leaf("localhost", |_| ()).fingerprint();
    refused(pinned(place.required(&url), other.clone()), "pinned").await;
    // A pin does not stand in for the verification, and relaxed does not lift it.
    let stranger = Authority::new().leaf("localhost", |_| ());
    let strange = servers::http(Some(stranger.server(&[])), mirror).await;
    refused(pinned(place.required(&strange), stranger.fingerprint()), "not trusted").await;
    refused(pinned(model("m", &url), other), "pinned").await;
}

#[tokio::test]
async fn a_relaxed_model_may_be_unverified_inside_its_networks_alone_and_evidence_says_so() {
    let place = Place::new();
    let foreign = Authority::new().leaf("localhost", |_| ());
    let url = servers::http(Some(foreign.server(&[])), mirror).await;
    let relaxed = |networks: &[&str]| {
        let mut model = place.required(&url);
        model.upstream.relaxed = true;
        model.upstream.relaxed_networks = networks.iter().map(|&network| network.to_owned()).collect();
        model
    };
    let (status, _, leg) = ask(relaxed(&[])).await;
    assert_eq!((status, leg.unwrap().verified), (StatusCode::OK, Some(false)));
    let (status, _, leg) = ask(relaxed(&["10.0.0.0/8", "127.0.0.0/8", "::1"])).await;
    assert_eq!((status, leg.unwrap().verified), (StatusCode::OK, Some(false)));
    refused(relaxed(&["10.0.0.0/8"]), "not trusted").await;

    // One that happens to be verifiable is marked as verified.
    let good = servers::http(Some(place.authority.leaf("localhost", |_| ()).server(&[])), mirror).await;
    let mut verified = place.required(&good);
    verified.upstream.relaxed = true;
    assert_eq!(ask(verified).await.2.unwrap().verified, Some(true));
}

#[tokio::test]
async fn plaintext_goes_to_relaxed_networks_alone() {
    let url = servers::http(None, mirror).await;
    assert_eq!(ask(model("m", &url)).await.0, StatusCode::OK);
    let mut outside = model("m", &url);
    outside.upstream.relaxed_networks = vec!["10.0.0.0/8".into()];
    refused(outside.clone(), "outside the networks").await;
    outside.upstream.relaxed_networks = vec!["10.0.0.0".into(), "nonsense".into()];
    assert!(
        super::super::models::open(vec![outside], &BTreeMap::new(), &uncounted().await.0, &Clock::system())
            .is_err()
    );
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_its_absence_is_told() {
    let place = Place::new();
    let leaf = place.authority.leaf("localhost", |_| ());
    let url = servers::http(Some(leaf.server_for(&["http/1.1"], Some(&place.authority))), mirror).await;
    let own = place.authority.leaf("gateway", |_| ());
    let mut model = place.required(&url);
    model.upstream.client_certificate =
        Some((place.file("own.pem", &own.pem), place.file("own.key", &own.key.serialize_pem())));
    assert_eq!(ask(model).await.0, StatusCode::OK);
    let (status, body, _) = ask(place.required(&url)).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY);
    assert!(body.contains("it refused the TLS handshake"), "{body}");
}

#[tokio::test]
async fn without_a_ca_of_its_own_a_model_is_believed_by_the_systems_roots_alone() {
    let place = Place::new();
    let url = servers::http(Some(place.authority.leaf("localhost", |_| ()).server(&[])), mirror).await;
    let mut model = place.required(&url);
    model.upstream.ca = None;
    let (status, body, leg) = ask(model).await;
    assert_eq!((status, leg), (StatusCode::BAD_GATEWAY, None));
    assert!(body.contains("upstream_untrusted"), "{body}");
}

#[tokio::test]
async fn tls_1_2_is_the_floor() {
    let place = Place::new();
    let old = place.authority.leaf("localhost", |_| ()).server_of(&[&rustls::version::TLS12], &[], None);
    let (status, _, leg) = ask(place.required(&servers::http(Some(old), mirror).await)).await;
    let leg = leg.unwrap();
    assert_eq!((status, leg.tls.as_str(), leg.verified), (StatusCode::OK, "TLSv1.2", Some(true)));

    // A ServerHello of TLS 1.1: TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, no session, no extensions.
    let mut hello = vec![2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0xC0, 0x13, 0]);
    let mut record = vec![22, 3, 2, 0, hello.len() as u8];
    record.extend(hello);
    let mut server = servers::Scripted::start().await;
    let url = server.url.replace("http://127.0.0.1", "https://localhost");
    let asked = tokio::spawn(ask(place.required(&url)));
    let mut line = server.accept().await;
    let start = line.read(5).await;
    assert_eq!((start[0], start[1]), (22, 3), "a TLS handshake");
    line.write(&record).await;
    let (status, body, leg) = asked.await.unwrap();
    assert_eq!((status, leg), (StatusCode::BAD_GATEWAY, None));
    assert!(body.contains("no TLS version or cipher that is allowed"), "{body}");
}

#[tokio::test]
async fn a_swapped_client_certificate_is_shown_after_the_reload() {
    let place = Place::new();
    let other = Authority::new();
    let leaf = place.authority.leaf("localhost", |_| ());
    let url = servers::http(Some(leaf.server_for(&["http/1.1"], Some(&place.authority))), mirror).await;
    let write = |authority: &Authority| {
        let own = authority.leaf("gateway", |_| ());
        (place.file("own.pem", &own.pem), place.file("own.key", &own.key.serialize_pem()))
    };
    let mut model = place.required(&url);
    model.upstream.client_certificate = Some(write(&other));
    let world = World::new(vec![model.clone()]).await;
    assert_eq!(world.connect().ask(get("/")).await.status(), StatusCode::BAD_GATEWAY);
    // The same words in the configuration: only the files have changed.
    write(&place.authority);
    world.pipeline.reload(vec![model]).unwrap();
    assert_eq!(world.connect().ask(get("/")).await.status(), StatusCode::OK);
}
