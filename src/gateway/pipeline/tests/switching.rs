//! Exchanges that leave HTTP: WebSocket and whatever else a model's server agrees to.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    servers::{Scripted, reactor_turn},
    world::{World, model, soon},
};
use crate::wire::stream::reset;

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n";
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

#[tokio::test]
async fn after_101_bytes_pass_both_ways_until_both_have_ended() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write(UPGRADE.replace("websocket\r\n", "echo\r\n")).await;
    let mut line = server.accept().await;
    let head = line.head().await;
    assert!(head.contains("upgrade: echo") && head.contains("sec-websocket-key: k"), "{head}");
    line.write(SWITCH.replace("websocket", "echo")).await;
    let head = client.read_until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("upgrade: echo"), "{head}");
    client.write("ping").await;
    assert_eq!(line.read(4).await, b"ping");
    line.write("pong!").await;
    client.read_until("pong!").await;
    client.io.shutdown().await.unwrap();
    line.ended().await;
    assert_eq!(client.rest().await, (Vec::new(), None));
    let event = world.event().await;
    let response = event.response.unwrap();
    assert_eq!((response.status, response.bytes, response.outcome.as_str()), (101, 5, "complete"));
    assert_eq!(event.request.unwrap().bytes, 4);
}

#[tokio::test]
async fn a_server_that_does_not_switch_is_passed_on() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write(UPGRADE).await;
    let mut line = server.accept().await;
    line.head().await;
    line.write("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno").await;
    assert!(client.read_until("\r\n\r\nno").await.starts_with("HTTP/1.1 404"));
    assert_eq!(world.outcome().await, "complete");
}

#[tokio::test]
async fn policy_stands_before_the_switch_and_revocation_after_it() {
    let mut server = Scripted::start().await;
    let refusing = World::with_policy(vec![model("m", &server.url)], "").await;
    let mut client = refusing.connect();
    client.write(UPGRADE).await;
    assert!(client.read_until("\r\n\r\n").await.starts_with("HTTP/1.1 403"));
    assert_eq!(server.waiting(), 0);

    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write(UPGRADE).await;
    let mut line = server.accept().await;
    line.head().await;
    line.write(SWITCH).await;
    client.read_until("\r\n\r\n").await;
    client.write("ping").await;
    assert_eq!(line.read(4).await, b"ping");
    client.revoked.cancel();
    let (said, reset) = client.rest().await;
    let close = said.starts_with(&[0x88]) && said.get(2..4) == Some(&1008_u16.to_be_bytes()[..]);
    assert!(close && reset.is_none(), "{reset:?} {said:?}");
    line.ended().await;
    let event = world.finished().await;
    assert_eq!(event.response.unwrap().outcome, "revoked");
    let request = event.request.unwrap();
    assert_eq!((request.bytes, request.sha256), (4, None), "what the model has taken is counted at any end");
}

#[tokio::test]
async fn a_switched_server_that_is_cut_is_signalled_between_frames_by_a_close() {
    for (sent, closed) in [(&b""[..], true), (b"\x81\x02hi", true), (b"\x81\x02h", false), (b"hello", false)]
    {
        for broken in [true, false] {
            let mut server = Scripted::start().await;
            let world = World::of(&server.url).await;
            let mut client = world.connect();
            client.write(UPGRADE).await;
            let mut line = server.accept().await;
            line.head().await;
            line.write(SWITCH).await;
            client.read_until("\r\n\r\n").await;
            line.write(sent).await;
            let mut seen = vec![0; sent.len()];
            soon(client.io.read_exact(&mut seen)).await.unwrap();
            if broken {
                line.reset();
            } else {
                drop(line);
                // The caller's side is open still; it says its part when it has heard the end.
            }
            let mut said = Vec::new();
            if !broken {
                soon(client.io.read_to_end(&mut said)).await.unwrap();
                client.io.shutdown().await.unwrap();
            }
            let (rest, code) = client.rest().await;
            said.extend(rest);
            let is_close = said.starts_with(&[0x88]) && said.get(2..4) == Some(&1014_u16.to_be_bytes()[..]);
            assert_eq!(is_close, closed, "{sent:?} {said:?}");
            assert_eq!(code, (broken && !closed).then_some(reset::CUT), "{sent:?}");
            let outcome = world.finished().await.response.unwrap().outcome;
            // What is no frame has no Close to end with.
            let cut = broken || sent != b"hello";
            assert_eq!(outcome, if cut { "upstream_cut" } else { "complete" }, "{sent:?} {broken}");
        }
    }
}

#[tokio::test]
async fn a_servers_own_close_is_the_last_word() {
    let mut server = Scripted::start().await;
    let world = World::of(&server.url).await;
    let mut client = world.connect();
    client.write(UPGRADE).await;
    let mut line = server.accept().await;
    line.head().await;
    line.write(SWITCH).await;
    client.read_until("\r\n\r\n").await;
    line.write(b"\x88\x02\x03\xe9").await;
    drop(line);
    client.io.shutdown().await.unwrap();
    assert_eq!(client.rest().await, (b"\x88\x02\x03\xe9".to_vec(), None));
}

/// What a server says last arrives, though it drops its connection right behind with bytes of the caller unread.
#[tokio::test]
async fn a_close_frame_arrives_though_its_server_resets_behind_it() {
    // 1014, in the gateway's own words: the server said nothing of an end.
    for (said, close, outcome) in
        [(&b"\x88\x02\x03\xE8"[..], &b""[..], "complete"), (b"\x81\x01x", b"\x03\xF6", "upstream_cut")]
    {
        let mut server = Scripted::start().await;
        let world = World::of(&server.url).await;
        let mut client = world.connect();
        client.write(UPGRADE).await;
        let mut line = server.accept().await;
        line.head().await;
        line.write(SWITCH).await;
        client.read_until("\r\n\r\n").await;
        line.write(said).await;
        line.reset();
        let mut heard = vec![0; said.len()];
        soon(client.io.read_exact(&mut heard)).await.unwrap();
        assert_eq!(heard, said);
        // A caller that answers the close finds nobody; that changes nothing.
        let _ = client.io.write_all(b"\x88\x80\0\0\0\0").await;
        let _ = client.io.shutdown().await;
        let (rest, ending) = client.rest().await;
        assert_eq!((rest.get(2..4).unwrap_or_default(), ending), (close, None));
        assert_eq!(world.finished().await.response.unwrap().outcome, outcome);
    }
}

#[tokio::test]
async fn a_caller_who_does_not_end_holds_nothing_open_once_the_server_has_ended() {
    for (last, ends, outcome) in
        [(&b"\x88\x02\x03\xe9"[..], false, "complete"), (b"\x81\x01x", true, "upstream_cut")]
    {
        let mut server = Scripted::start().await;
        let world = World::of(&server.url).await;
        let mut client = world.connect();
        client.write(UPGRADE).await;
        let mut line = server.accept().await;
        line.head().await;
        line.write(SWITCH).await;
        client.read_until("\r\n\r\n").await;
        line.write(last).await;
        let mut heard = vec![0; last.len()];
        soon(client.io.read_exact(&mut heard)).await.unwrap();
        let kept = (!ends).then_some(line);
        if ends {
            soon(client.io.read_to_end(&mut heard)).await.unwrap();
        }
        reactor_turn().await;
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(11)).await;
        tokio::time::resume();
        assert_eq!(world.finished().await.response.unwrap().outcome, outcome);
        drop((client, kept));
    }
}

#[tokio::test]
async fn a_switch_to_what_nobody_asked_for_is_no_answer() {
    for to in ["upgrade: h2c\r\n", "upgrade: websocket, h2c\r\n", "upgrade: other\r\n", ""] {
        let mut server = Scripted::start().await;
        let world = World::of(&server.url).await;
        let mut client = world.connect();
        client.write(UPGRADE.replace("upgrade: websocket", "upgrade: h2c, websocket")).await;
        let mut line = server.accept().await;
        let head = line.head().await;
        assert!(head.contains("upgrade: websocket\r\n") && !head.contains("h2c"), "{head}");
        line.write(format!("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n{to}\r\n")).await;
        let head = client.read_until("\r\n\r\n").await;
        assert!(head.starts_with("HTTP/1.1 502"), "{to:?}: {head}");
        assert_eq!(world.finished().await.response.unwrap().outcome, "upstream_failed");
    }
}
