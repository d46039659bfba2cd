//! A connection from its hello to its end, over both carriers.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{
    gateway::{
        pipeline::{Dialect, ModelConfig},
        upstream,
        world::{self, World},
    },
    tls::{self, HotKey, Trust},
    tunnel::{Connection, Stream, Transport, read_frame, write_frame},
    wire::{
        MAX_FRAME, VERSION, code,
        control::{FromGateway, FromLaptop, Notice},
        stream::{Answer, Asking, Door, Fin, Preamble, Target},
    },
};

const BOTH: [Transport; 2] = [Transport::Quic, Transport::Tcp];

async fn open(connection: &Connection, target: Target) -> (Stream, Answer) {
    let mut stream = connection.open().await.unwrap();
    write_frame(&mut stream, &Preamble::to(target)).await.unwrap();
    let answer = read_frame(&mut stream, MAX_FRAME).await.unwrap();
    (stream, answer)
}

async fn hello(connection: &Connection) -> (Stream, FromGateway) {
    let (mut control, answer) = open(connection, Target::Control).await;
    assert_eq!(answer, Answer::Ok);
    let hello = FromLaptop::Hello { version: VERSION, client: "test".to_owned(), capabilities: Vec::new() };
    write_frame(&mut control, &hello).await.unwrap();
    let welcome = read_frame(&mut control, MAX_FRAME).await.unwrap();
    (control, welcome)
}

fn refusal(answer: Answer) -> String {
    match answer {
        Answer::Refused(refusal) => refusal.code,
        Answer::Ok => panic!("accepted"),
    }
}

#[tokio::test]
async fn a_caller_is_welcomed_by_name() {
    let world = World::start().await;
    let key = world.log_in("alice").await;
    for transport in BOTH {
        let connection = world.dial(key.clone(), transport).await.unwrap();
        assert_eq!(connection.transport(), transport);
        let (_control, welcome) = hello(&connection).await;
        assert!(matches!(&welcome, FromGateway::Welcome { user, .. } if user == "alice"), "{welcome:?}");
    }
}

#[tokio::test]
async fn a_lease_is_renewed_in_place_and_a_bad_request_for_it_is_refused() {
    let world = World::start().await;
    let key = world.log_in("alice").await;
    for transport in BOTH {
        let connection = world.dial(key.clone(), transport).await.unwrap();
        let (mut control, _) = hello(&connection).await;
        let mut ask = async |csr: String| {
            write_frame(&mut control, &FromLaptop::Renew { csr }).await.unwrap();
            read_frame::<FromGateway, _>(&mut control, MAX_FRAME).await.unwrap()
        };
        let renewed = ask(world::request().0).await;
        assert!(matches!(&renewed, FromGateway::Renewed(fresh) if fresh.user == "alice"), "{renewed:?}");
        let refused = ask("nonsense".to_owned()).await;
        assert!(matches!(&refused, FromGateway::Refused(no) if no.code == code::BAD_REQUEST), "{refused:?}");
    }
}

#[tokio::test]
async fn garbage_is_refused_and_the_connection_survives_until_there_is_too_much_of_it() {
    let world = World::start().await;
    let key = world.log_in("alice").await;
    for transport in BOTH {
        let connection = world.dial(key.clone(), transport).await.unwrap();
        let (_control, _) = hello(&connection).await;
        for garbage in [&[0xff_u8; 64][..], b"\x00\x05hello"] {
            let mut stream = connection.open().await.unwrap();
            stream.write_all(garbage).await.unwrap();
            assert_eq!(refusal(read_frame(&mut stream, MAX_FRAME).await.unwrap()), code::BAD_REQUEST);
        }
        let newer = Preamble { version: 99, target: Target::Api };
        let mut stream = connection.open().await.unwrap();
        write_frame(&mut stream, &newer).await.unwrap();
        assert_eq!(refusal(read_frame(&mut stream, MAX_FRAME).await.unwrap()), code::VERSION);
        let (_, second) = open(&connection, Target::Control).await;
        assert_eq!(refusal(second), code::BAD_REQUEST);

        let (api, answer) = open(&connection, Target::Api).await;
        assert_eq!(answer, Answer::Ok, "the connection serves on");
        drop(api);
        let flood = async {
            while let Ok(mut stream) = connection.open().await {
                if stream.write_all(&[0xff; 64]).await.is_err() {
                    return;
                }
                let _: Result<Answer, _> = read_frame(&mut stream, MAX_FRAME).await;
            }
        };
        timeout(Duration::from_secs(10), flood).await.expect("the connection was closed");
    }
}

#[tokio::test]
async fn a_revoked_caller_is_told_and_cut_within_two_seconds() {
    let world = World::start().await;
    for transport in BOTH {
        let key = world.log_in("alice").await;
        let connection = world.dial(key.clone(), transport).await.unwrap();
        let (mut control, _) = hello(&connection).await;
        let (_api, answer) = open(&connection, Target::Api).await;
        assert_eq!(answer, Answer::Ok);
        let begun = Instant::now();
        world.revoke("alice").await;
        let notice: FromGateway = read_frame(&mut control, MAX_FRAME).await.unwrap();
        assert!(matches!(notice, FromGateway::Notice(Notice::Revoked { .. })), "{notice:?}");
        connection.closed().await;
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());

        let connection = world.dial(key, transport).await.unwrap();
        let (_control, refused) = hello(&connection).await;
        assert!(
            matches!(&refused, FromGateway::Refused(refusal) if refusal.code == code::LOGIN_REQUIRED),
            "{refused:?}"
        );
    }
}

/// A model on loopback that never ends its answer; says so once its connection is gone.
async fn endless() -> (ModelConfig, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (gone, ends) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let gone = gone.clone();
            tokio::spawn(async move {
                socket.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
                while socket.write_all(b"5\r\nhello\r\n").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                let _ = gone.send(());
            });
        }
    });
    let model = ModelConfig {
        name: "m".to_owned(),
        dialect: Dialect::Detect,
        upstream: upstream::Config {
            urls: vec![url.parse().unwrap()],
            relaxed: true,
            relaxed_networks: Vec::new(),
            ca: None,
            pins: Vec::new(),
            client_certificate: None,
            server_name: None,
            credential: None,
            idle: Duration::from_secs(600),
            pool: Default::default(),
            health: Default::default(),
        },
        labels: Default::default(),
        finish_on_fin: false,
        body_limit: None,
        limits: Default::default(),
        mask: None,
        record: Default::default(),
    };
    (model, ends)
}

/// Asks for an answer that never ends, and has read some of it.
async fn live(connection: &Connection) -> Stream {
    let target = Target::Model {
        model: "m".into(),
        session: "s".into(),
        door: Door::Private,
        fin: Fin::Leave,
        asking: Asking::default(),
    };
    let (mut stream, answer) = open(connection, target).await;
    assert_eq!(answer, Answer::Ok);
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"hello\r\n") {
        heard.push(timeout(Duration::from_secs(10), stream.read_u8()).await.unwrap().unwrap());
    }
    stream
}

/// Reads until the stream breaks: an answer that was cut must not look complete.
async fn cut(mut stream: Stream) {
    let mut rest = Vec::new();
    let ended = timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.unwrap();
    assert!(ended.is_err(), "a clean end");
}

#[tokio::test]
async fn a_revocation_ends_live_model_streams_of_that_caller_alone_within_two_seconds() {
    let (model, mut ends) = endless().await;
    let world = World::start_with(vec![model]).await;
    let bystander = world.dial(world.log_in("bob").await, Transport::Tcp).await.unwrap();
    let (_control, _) = hello(&bystander).await;
    let mut bobs = live(&bystander).await;
    for transport in BOTH {
        let key = world.log_in("alice").await;
        // The same certificate twice: both connections are hers, and both end.
        let first = world.dial(key.clone(), transport).await.unwrap();
        let second = world.dial(key, transport).await.unwrap();
        let (_first_control, _) = hello(&first).await;
        let (_second_control, _) = hello(&second).await;
        let streams = [live(&first).await, live(&second).await];
        let begun = Instant::now();
        world.revoke("alice").await;
        for stream in streams {
            cut(stream).await;
        }
        for _ in 0..2 {
            timeout(Duration::from_secs(2), ends.recv()).await.expect("the model was let go").unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        bobs.read_u8().await.unwrap();
    }
}

#[tokio::test]
async fn a_session_that_is_over_ends_its_live_model_streams_within_two_seconds() {
    const LIFE: Duration = Duration::from_secs(3);
    let (model, mut ends) = endless().await;
    let world = World::start_with(vec![model]).await;
    for transport in BOTH {
        let begun = Instant::now();
        let key = world.log_in_for("alice", LIFE).await;
        let connection = world.dial(key, transport).await.unwrap();
        let (_control, _) = hello(&connection).await;
        cut(live(&connection).await).await;
        timeout(Duration::from_secs(2), ends.recv()).await.expect("the model was let go").unwrap();
        assert!(begun.elapsed() < LIFE + Duration::from_secs(2), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_key_of_another_gateway_is_not_admitted_though_its_names_are_right() {
    let (world, other) = (World::start().await, World::start().await);
    world.log_in("alice").await;
    let foreign = other.log_in("alice").await;
    for transport in BOTH {
        let Ok(connection) = world.dial(foreign.clone(), transport).await else { continue };
        // In TLS 1.3 the laptop learns only now that its certificate was refused.
        assert!(timeout(Duration::from_secs(5), connection.closed()).await.is_ok());
    }
}

#[tokio::test]
async fn a_servers_certificate_of_the_gateways_own_authority_is_no_laptops() {
    let world = World::start().await;
    let leaf = world.authority().issue_server(&["127.0.0.1".to_owned()], Duration::from_secs(600));
    let key = HotKey::new(leaf.unwrap());
    for transport in BOTH {
        let Ok(connection) = world.dial(key.clone(), transport).await else { continue };
        assert!(timeout(Duration::from_secs(5), connection.closed()).await.is_ok());
    }
}

#[tokio::test]
async fn no_handshake_of_a_tunnel_is_ever_resumed() {
    let world = World::start().await;
    let key = world.log_in("alice").await;
    let mut config = tls::laptop(&Trust::Roots(world.roots()), &key).unwrap();
    config.resumption = rustls::client::Resumption::in_memory_sessions(8);
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    for _ in 0..3 {
        let tcp = tokio::net::TcpStream::connect(world.gateway.address()).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
        let mut stream = connector.connect(name, tcp).await.unwrap();
        // The gateway's first HTTP/2 frame: a ticket would have come before it.
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        stream.flush().await.unwrap();
        timeout(Duration::from_secs(5), stream.read_u8()).await.unwrap().unwrap();
        let session = stream.get_ref().1;
        assert!(!matches!(session.handshake_kind(), Some(rustls::HandshakeKind::Resumed) | None));
        assert_eq!(session.tls13_tickets_received(), 0);
    }
}

#[tokio::test]
async fn a_draining_gateway_says_so_and_closes_idle_connections() {
    for transport in BOTH {
        let world = World::start().await;
        let key = world.log_in("alice").await;
        let connection = world.dial(key, transport).await.unwrap();
        let (mut control, _) = hello(&connection).await;
        let ending = tokio::spawn(world.gateway.shutdown());
        let notice: FromGateway = read_frame(&mut control, MAX_FRAME).await.unwrap();
        assert_eq!(notice, FromGateway::Notice(Notice::Draining));
        timeout(Duration::from_secs(5), connection.closed()).await.unwrap();
        timeout(Duration::from_secs(10), ending).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_is_opened_well_after_the_news_of_a_drain_is_refused_and_what_is_under_way_goes_on() {
    for transport in BOTH {
        let world = World::start().await;
        let key = world.log_in("alice").await;
        let connection = world.dial(key, transport).await.unwrap();
        let (mut control, _) = hello(&connection).await;
        let (mut under_way, _) = open(&connection, Target::Api).await;
        world.drain();
        let notice: FromGateway = read_frame(&mut control, MAX_FRAME).await.unwrap();
        assert_eq!(notice, FromGateway::Notice(Notice::Draining));
        let refused = async {
            loop {
                if let (_, Answer::Refused(refusal)) = open(&connection, Target::Api).await {
                    return refusal.code;
                }
            }
        };
        assert_eq!(timeout(Duration::from_secs(10), refused).await.unwrap(), code::DRAINING);
        under_way.write_all(b"GET /api/v1/models HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut head = [0; 12];
        under_way.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
    }
}

#[tokio::test]
async fn a_connection_that_does_not_begin_with_hello_is_closed() {
    let world = World::start().await;
    let key = world.log_in("alice").await;
    for transport in BOTH {
        let connection = world.dial(key.clone(), transport).await.unwrap();
        let (_stream, answer) = open(&connection, Target::Api).await;
        assert_eq!(refusal(answer), code::BAD_REQUEST);
        timeout(Duration::from_secs(5), connection.closed()).await.unwrap();
    }
}
