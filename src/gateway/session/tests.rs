//! A connection from its hello to its end, over both carriers.

use std::time::{Duration, Instant};

use tokio::{io::AsyncWriteExt, time::timeout};

use crate::{
    gateway::world::{self, World},
    tunnel::{Connection, Stream, Transport, read_frame, write_frame},
    wire::{
        MAX_FRAME, VERSION, code,
        control::{FromGateway, FromLaptop, Notice},
        stream::{Answer, Preamble, Target},
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
