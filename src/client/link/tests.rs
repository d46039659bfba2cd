//! The link against a gateway on loopback: real QUIC, real files, no network.

use std::{sync::Arc, time::Duration};

use http::Request;
use http_body_util::{BodyExt, Full};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::broadcast,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{
        ClientError, Kind, Laptop, Link, LinkEvent, Opening, Settings, StoreChoice,
        credential::Held,
        open_port,
        testing::{
            self, Fake,
            tunnel::{Leg, Order},
        },
    },
    tls::{self, CertificateDer, Trust},
    tunnel::Transport,
    wire::{
        Refusal, code,
        control::Notice,
        stream::{Door, Fin, Target, reset},
    },
};

/// Nothing in a test takes this long.
const LONG: Duration = Duration::from_secs(30);

struct World {
    fake: Fake,
    leg: Leg,
    laptop: Arc<Laptop>,
    home: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let fake = Fake::start_live().await;
        let leg = fake.open_leg();
        let home = tempfile::tempdir().unwrap();
        let laptop = fake.laptop(home.path(), StoreChoice::File);
        testing::log_in(&fake, &laptop, fake.fingerprint()).await.unwrap();
        Self { fake, leg, laptop, home }
    }

    async fn link(&self) -> Link {
        timeout(LONG, self.laptop.link()).await.unwrap().unwrap()
    }

    async fn port(&self, link: &Link, model: &str) -> (crate::client::Port, TcpStream) {
        let opening = Opening::Port(Some(0));
        let port =
            open_port(link, &self.laptop, model, opening, None, CancellationToken::new()).await.unwrap();
        let socket = TcpStream::connect(("127.0.0.1", port.port.unwrap())).await.unwrap();
        (port, socket)
    }
}

async fn next(events: &mut broadcast::Receiver<LinkEvent>) -> LinkEvent {
    timeout(LONG, events.recv()).await.unwrap().unwrap()
}

async fn echo(link: &Link, text: &[u8]) -> Result<Vec<u8>, ClientError> {
    let mut stream = link.open_model("echo", "ses_1", Door::Private, Fin::Finish).await?;
    stream.write_all(text).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).await.unwrap();
    Ok(back)
}

#[tokio::test]
async fn it_connects_serves_and_remembers_its_carrier() {
    let world = World::new().await;
    let link = world.link().await;
    assert_eq!(link.transport(), Some(Transport::Quic));
    assert_eq!(world.laptop.status().unwrap().transport, Some(Transport::Quic));
    assert_eq!(echo(&link, b"hello").await.unwrap(), b"hello");
    assert_eq!(link.models().await.unwrap()[0].name, "llama");
    link.api::<(), ()>("DELETE", "/api/v1/nothing", None).await.unwrap();
    let denied = link.api::<(), ()>("GET", "/api/v1/secret", None).await.unwrap_err();
    assert_eq!((denied.kind, denied.request_id.as_deref()), (Kind::Denied, Some("ex_1")));
    link.close().await;
}

#[tokio::test]
async fn a_port_passes_bytes_and_half_close_with_its_door() {
    let mut world = World::new().await;
    let link = world.link().await;
    let key = "a local key".into();
    let opening = Opening::Port(Some(0));
    let port =
        open_port(&link, &world.laptop, "echo", opening, Some(&key), CancellationToken::new()).await.unwrap();
    let number = port.port.unwrap();
    assert_eq!(port.url, format!("http://127.0.0.1:{number}"));
    let mut socket = TcpStream::connect(("127.0.0.1", number)).await.unwrap();
    socket.write_all(b"question").await.unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = String::new();
    timeout(LONG, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, "question");
    let Target::Model { session, door, fin, .. } = world.leg.targets.recv().await.unwrap() else {
        panic!("no model")
    };
    assert_eq!((session, fin), (port.session.clone(), Fin::Leave));
    assert!(
        matches!(door, Door::Port { port, key_sha256: Some(digest) } if port == number && digest.len() == 64)
    );
    drop(port);
    // The door closes with its handle; the kernel may take a moment to say so.
    timeout(LONG, async { while TcpStream::connect(("127.0.0.1", number)).await.is_ok() {} }).await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_socket_is_a_private_door() {
    let mut world = World::new().await;
    let link = world.link().await;
    let path = world.home.path().join("m.sock");
    let opening = Opening::Socket(path.clone());
    let port =
        open_port(&link, &world.laptop, "echo", opening, None, CancellationToken::new()).await.unwrap();
    assert_eq!((port.socket.as_deref(), port.port), (Some(path.as_path()), None));
    let mut socket = tokio::net::UnixStream::connect(&path).await.unwrap();
    socket.write_all(b"question").await.unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = String::new();
    timeout(LONG, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert_eq!(answer, "question");
    let target = world.leg.targets.recv().await.unwrap();
    assert!(matches!(target, Target::Model { door: Door::Private, .. }));
}

#[tokio::test]
async fn a_refused_stream_is_answered_with_its_reason() {
    let world = World::new().await;
    let link = world.link().await;
    let (_port, mut socket) = world.port(&link, "refused").await;
    socket.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(LONG, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("connection: close"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["error"]["code"], "denied");
    assert_eq!(body["error"]["remedy"], "ask");
}

#[tokio::test]
async fn a_cut_answer_is_a_reset_never_a_clean_end() {
    let world = World::new().await;
    let link = world.link().await;
    let (_port, mut socket) = world.port(&link, "cut").await;
    let mut half = [0; 11];
    socket.read_exact(&mut half).await.unwrap();
    assert_eq!(&half, b"half an ans");
    socket.write_all(b"x").await.unwrap();
    let end = timeout(LONG, socket.read(&mut half)).await.unwrap();
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn an_application_that_vanishes_resets_its_stream() {
    let mut world = World::new().await;
    let link = world.link().await;
    let (_port, mut socket) = world.port(&link, "echo").await;
    socket.write_all(b"x").await.unwrap();
    socket.read_u8().await.unwrap();
    socket2::SockRef::from(&socket).set_linger(Some(Duration::ZERO)).unwrap();
    drop(socket);
    assert_eq!(timeout(LONG, world.leg.ends.recv()).await.unwrap(), Some(Some(reset::LEFT)));
}

#[tokio::test]
async fn an_early_answer_to_a_long_request_arrives_whole() {
    let world = World::new().await;
    let link = world.link().await;
    let mut stream = link.open_model("early", "ses_1", Door::Private, Fin::Finish).await.unwrap();
    let part = vec![0; 64 * 1024];
    // Far more than any window: without a listener these would block or fail.
    for _ in 0..256 {
        timeout(LONG, stream.write_all(&part)).await.unwrap().unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "too long");
}

#[tokio::test]
async fn a_call_streams_and_a_refused_one_says_why() {
    let world = World::new().await;
    let link = world.link().await;
    let ask = || Request::post("/v1/x").body(Full::new(&b"question"[..])).unwrap();
    let refused = link.request("refused", ask()).await.unwrap_err();
    assert_eq!((refused.kind, refused.remedy.as_deref()), (Kind::Denied, Some("ask")));
    let answer = link.request("http", ask()).await.unwrap();
    // The body outlives the link's last clone.
    drop(link);
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "http: question");
}

#[tokio::test]
async fn a_lost_connection_is_made_again_and_streams_wait_for_it() {
    let world = World::new().await;
    let link = world.link().await;
    let mut events = link.events();
    let (port, mut socket) = world.port(&link, "echo").await;
    socket.write_all(b"x").await.unwrap();
    socket.read_u8().await.unwrap();
    // The first three attempts fail.
    world.leg.manners.lock().unwrap().refuse = vec![Refusal::new(code::DRAINING, "not now"); 3];
    world.leg.orders.send(Order::Hang).unwrap();
    assert!(matches!(next(&mut events).await, LinkEvent::Lost(_)));
    let waiting = {
        let link = link.clone();
        tokio::spawn(async move { echo(&link, b"patience").await })
    };
    for wanted in 1..=4 {
        assert!(matches!(next(&mut events).await, LinkEvent::Reconnecting { attempt } if attempt == wanted));
        if wanted == 1 {
            // The reason is said once, though two more attempts fail by it.
            assert!(matches!(next(&mut events).await, LinkEvent::Failed(why) if why == "not now"));
        }
    }
    assert!(matches!(next(&mut events).await, LinkEvent::Connected { .. }));
    assert_eq!(timeout(LONG, waiting).await.unwrap().unwrap().unwrap(), b"patience");
    // The stream of before is cut, audibly; the port serves on.
    assert!(timeout(LONG, socket.read_u8()).await.unwrap().is_err());
    let mut again = TcpStream::connect(("127.0.0.1", port.port.unwrap())).await.unwrap();
    again.write_all(b"x").await.unwrap();
    assert_eq!(timeout(LONG, again.read_u8()).await.unwrap().unwrap(), b'x');
}

#[tokio::test]
async fn draining_moves_new_streams_and_leaves_the_old() {
    let mut world = World::new().await;
    let link = world.link().await;
    let mut events = link.events();
    let mut old = link.open_model("echo", "ses_1", Door::Private, Fin::Finish).await.unwrap();
    old.answered().await.unwrap();
    world.leg.orders.send(Order::Say(Notice::Draining)).unwrap();
    assert!(matches!(next(&mut events).await, LinkEvent::Notice(Notice::Draining)));
    assert!(matches!(next(&mut events).await, LinkEvent::Reconnecting { .. }));
    assert!(matches!(next(&mut events).await, LinkEvent::Connected { .. }));
    assert_eq!(echo(&link, b"new").await.unwrap(), b"new");
    old.write_all(b"old").await.unwrap();
    old.shutdown().await.unwrap();
    let mut back = String::new();
    old.read_to_string(&mut back).await.unwrap();
    assert_eq!(back, "old");
    assert!(world.leg.gone.try_recv().is_err(), "the old connection stood as long as its stream");
    drop(old);
    timeout(LONG, world.leg.gone.recv()).await.unwrap().unwrap();
    assert_eq!(echo(&link, b"still").await.unwrap(), b"still");
}

#[tokio::test]
async fn the_lease_is_renewed_in_band_with_a_fresh_key_and_kept() {
    let world = World::new().await;
    let before = Held::load(&world.laptop).unwrap().secrets;
    world.leg.manners.lock().unwrap().lease = Duration::from_millis(300);
    let link = world.link().await;
    let mut events = link.events();
    loop {
        if let LinkEvent::Renewed { until } = next(&mut events).await {
            assert!(until > world.laptop.settings.clock.now());
            break;
        }
    }
    let after = Held::load(&world.laptop).unwrap();
    assert_ne!(before.key, after.secrets.key);
    assert_ne!(before.certificate, after.secrets.certificate);
    assert_eq!(before.refresh_token, after.secrets.refresh_token);
    after.identity().unwrap();
    assert_eq!(world.fake.state.lock().unwrap().refreshes, 0);
}

#[tokio::test]
async fn roots_told_of_in_band_are_kept_for_every_process_and_older_ones_are_not() {
    let world = World::new().await;
    let link = world.link().await;
    let mut events = link.events();
    let (own, next) = (world.fake.ca.certificate(), testing::Ca::new().certificate());
    let tell = |version, roots: &[CertificateDer<'static>]| {
        let notice = Notice::Roots { version, roots: tls::to_pem(roots) };
        world.leg.orders.send(Order::Say(notice)).unwrap();
    };
    let kept = || {
        let Trust::Roots(roots) = Held::load(&world.laptop).unwrap().trust else { panic!("not pinned") };
        roots
    };
    tell(2, &[own.clone(), next.clone()]);
    assert!(matches!(next_roots(&mut events).await, 2));
    assert_eq!(kept(), [own.clone(), next.clone()]);
    // Late, damaged and too many: what is known stays.
    tell(1, std::slice::from_ref(&next));
    world.leg.orders.send(Order::Say(Notice::Roots { version: 9, roots: "garbage".to_owned() })).unwrap();
    tell(9, &vec![next.clone(); 9]);
    tell(3, &[next.clone(), own.clone()]);
    assert!(matches!(next_roots(&mut events).await, 3));
    assert_eq!(kept(), [next, own]);
    assert_eq!(echo(&link, b"x").await.unwrap(), b"x", "the connection goes on");
}

/// The version of the next roots that were kept.
async fn next_roots(events: &mut broadcast::Receiver<LinkEvent>) -> u64 {
    loop {
        if let LinkEvent::Notice(Notice::Roots { version, .. }) = next(events).await {
            return version;
        }
    }
}

#[tokio::test]
async fn a_refused_certificate_is_refreshed_once_and_then_a_login_heals() {
    let world = World::new().await;
    let no = || Refusal::new(code::LOGIN_REQUIRED, "revoked");
    // Not accepted once: a fresh certificate is.
    world.leg.manners.lock().unwrap().refuse = vec![no()];
    let link = world.link().await;
    assert_eq!(world.fake.state.lock().unwrap().refreshes, 1);

    let mut events = link.events();
    world.fake.state.lock().unwrap().refresh_token.clear();
    world.leg.manners.lock().unwrap().refuse = vec![no(); 1];
    world.leg.orders.send(Order::Hang).unwrap();
    let mut said = 0;
    while said == 0 {
        said += usize::from(matches!(next(&mut events).await, LinkEvent::LoginNeeded(_)));
    }
    world.leg.manners.lock().unwrap().refuse.extend([no(), no(), no()]);
    let mut gate = link.core.gate.subscribe();
    timeout(LONG, gate.wait_for(|gate| matches!(gate, super::Gate::Shut(_)))).await.unwrap().unwrap();
    assert_eq!(echo(&link, b"x").await.unwrap_err().kind, Kind::LoginNeeded);

    let other = world.fake.laptop(world.home.path(), StoreChoice::File);
    testing::log_in(&world.fake, &other, world.fake.fingerprint()).await.unwrap();
    world.leg.manners.lock().unwrap().refuse.clear();
    while !matches!(next(&mut events).await, LinkEvent::Connected { .. }) {}
    assert_eq!(echo(&link, b"healed").await.unwrap(), b"healed");
}

#[tokio::test]
async fn a_link_stays_with_its_gateway_when_the_profile_moves() {
    let world = World::new().await;
    let laptop = Laptop::open(Settings { gateway: None, ..world.laptop.settings.clone() }).unwrap();
    let link = laptop.link().await.unwrap();
    let mut events = link.events();
    let other = World::new().await;
    let moved = other.fake.laptop(world.home.path(), StoreChoice::File);
    testing::log_in(&other.fake, &moved, other.fake.fingerprint()).await.unwrap();
    // What the first gateway says of its roots is nothing to the second; the last notice shows that it was heard.
    let roots = tls::to_pem(&[testing::Ca::new().certificate()]);
    for notice in [Notice::Roots { version: 9, roots }, Notice::Revoked { reason: "last".to_owned() }] {
        world.leg.orders.send(Order::Say(notice)).unwrap();
    }
    while !matches!(next(&mut events).await, LinkEvent::Notice(Notice::Revoked { .. })) {}
    let Trust::Roots(pinned) = Held::load(&moved).unwrap().trust else { panic!("not pinned") };
    assert_eq!(pinned, [other.fake.ca.certificate()]);
    world.leg.orders.send(Order::Hang).unwrap();
    while !matches!(next(&mut events).await, LinkEvent::LoginNeeded(_)) {}
    assert_eq!(echo(&link, b"x").await.unwrap_err().kind, Kind::LoginNeeded);
    assert_eq!(other.fake.state.lock().unwrap().refreshes, 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_the_gateway_does_not_take_is_not_held_for_ever() {
    let never = std::future::pending::<Result<(), crate::tunnel::TunnelError>>();
    let error = timeout(super::TAKEN * 2, super::in_time(never, 4097)).await.unwrap().unwrap_err();
    assert_eq!(error.kind, Kind::Unreachable);
    assert!(error.message.contains("4096 are open") && error.remedy.is_some(), "{error:?}");
    let soon = async {
        tokio::time::sleep(super::HOLD * 2).await;
        Ok(7)
    };
    let soon = super::in_time(soon, 1).await.unwrap();
    assert_eq!(soon.unwrap(), 7);
}

#[tokio::test]
async fn a_profile_that_is_busy_does_not_keep_the_link_from_feeling_and_hearing() {
    let world = World::new().await;
    let link = world.link().await;
    let mut events = link.events();
    let elsewhere = world.fake.laptop(world.home.path(), StoreChoice::File);
    let busy = elsewhere.lock().await.unwrap();
    let roots = tls::to_pem(&[world.fake.ca.certificate(), testing::Ca::new().certificate()]);
    for notice in [Notice::Roots { version: 2, roots }, Notice::Revoked { reason: "heard".to_owned() }] {
        world.leg.orders.send(Order::Say(notice)).unwrap();
    }
    // Said after the roots, and heard while they cannot be kept.
    assert!(matches!(next(&mut events).await, LinkEvent::Notice(Notice::Revoked { .. })));
    drop(busy);
    assert!(matches!(next_roots(&mut events).await, 2));
}

#[tokio::test]
async fn the_last_clone_takes_the_connection_with_it() {
    let mut world = World::new().await;
    let link = world.link().await;
    drop(link.clone());
    assert_eq!(echo(&link, b"x").await.unwrap(), b"x");
    drop(link);
    timeout(LONG, world.leg.gone.recv()).await.unwrap().unwrap();
}

#[tokio::test]
async fn nobody_there_is_said_at_once() {
    let world = World::new().await;
    drop(world.leg);
    drop(world.fake);
    let error = timeout(LONG, world.laptop.link()).await.unwrap().err().unwrap();
    assert_eq!(error.kind, Kind::Unreachable);
}
