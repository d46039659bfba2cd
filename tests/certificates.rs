//! The gateway's certificates change under running processes: the CA's rotation over `kill -9`, with live streams on both carriers.

use std::io::{Read, Write};

use crate::world::{Connected, Model, World, eventually, hoopctl, succeed, text};

/// What `gateway ca fingerprint` says in JSON.
fn authority(world: &World) -> serde_json::Value {
    let mut command = hoopctl();
    command.args(["-o", "json", "gateway", "ca", "fingerprint", "--state"]).arg(world.state());
    serde_json::from_slice(&succeed(command).stdout).unwrap()
}

fn phase(world: &World, wanted: &str) {
    eventually(wanted, || (authority(world)["rotation"]["phase"] == wanted).then_some(()));
}

/// A stream of events through the local port.
fn stream(connected: &Connected) -> std::net::TcpStream {
    let mut line = connected.open();
    let host = format!("127.0.0.1:{}", connected.port());
    line.write_all(format!("GET /sse HTTP/1.1\r\nhost: {host}\r\n\r\n").as_bytes()).unwrap();
    line
}

fn read_until(line: &mut impl Read, end: &str) {
    let mut seen = Vec::new();
    let mut buffer = [0; 1024];
    while !seen.windows(end.len()).any(|w| w == end.as_bytes()) {
        let n = line.read(&mut buffer).unwrap();
        assert_ne!(n, 0, "the stream ended early");
        seen.extend_from_slice(&buffer[..n]);
    }
}

#[test]
fn a_rotation_keeps_streams_goes_on_over_kill_nine_and_whoever_was_away_exits_seven() {
    let model = Model::start();
    let mut world = World::with_model(&model);
    let (here, away) = (world.logged_in("ana", &["ml"]), world.logged_in("ben", &["ml"]));
    let quic = here.connect(&["--transport", "quic", "--port", "0"]);
    let tcp = here.connect(&["--transport", "tcp", "--port", "0"]);
    let mut lines = [stream(&quic), stream(&tcp)];
    eventually("both requests at the model", || (model.say(b"data: 0\n\n") == 2).then_some(()));
    let before = authority(&world)["fingerprint"].clone();

    let rotate = |overlap: &str| {
        let mut command = hoopctl();
        command.args(["gateway", "ca", "rotate", "--overlap", overlap, "--state"]).arg(world.state());
        text(&succeed(command).stdout)
    };
    let next = rotate("2s");
    phase(&world, "retiring");
    let now = authority(&world);
    assert_eq!(now["fingerprint"], next.trim());
    assert_ne!(now["fingerprint"], before);
    // Both streams were open all the time, and the profile has both roots.
    model.say(b"data: after\n\n");
    for line in &mut lines {
        read_until(line, "data: after\n\n");
    }
    let roots = eventually("the roots in the profile", || {
        let roots = here.json(&["status"])["roots"].as_array().unwrap().clone();
        (roots.len() == 2).then_some(roots)
    });
    assert_eq!(roots[0]["fingerprint"], next.trim());
    // Whoever pins the old root alone still believes the new one.
    assert!(away.run(&["models"]).status.success());

    world.kill();
    world.start();
    assert_eq!(authority(&world)["fingerprint"], next.trim());
    assert!(tcp.get("/headers").0.starts_with("http/1.1 200"));

    // Another CA altogether is what a rotation looks like to a laptop that was away for all of it.
    world.stop();
    std::fs::remove_file(world.state().join("ca-rotation.json")).unwrap();
    std::fs::remove_file(world.state().join("ca.pem")).unwrap();
    std::fs::remove_file(world.state().join("ca.key")).unwrap();
    world.start();
    let refused = away.run(&["models"]);
    assert_eq!(refused.status.code(), Some(7), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("--ca-fingerprint"), "{}", text(&refused.stderr));
}
