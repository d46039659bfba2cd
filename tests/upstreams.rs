//! A model with several servers, and a relaxed one on a unix socket: as people, the audit log and the operator see them.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::net::UnixListener,
};

use crate::world::{Model, World, free_port, text};

/// A plaintext model server on a unix socket: answers every connection's first request.
fn on_socket(path: &std::path::Path) {
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = BufReader::new(socket.unwrap());
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                socket.read_line(&mut line).unwrap();
            }
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nlocal";
            socket.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
}

#[test]
fn a_second_server_answers_for_the_first_and_what_is_relaxed_shows() {
    let model = Model::start();
    let mut world = World::new();
    let socket = world.dir.path().join("model.sock");
    on_socket(&socket);
    let (down, metrics) = (free_port(), free_port());
    world.extra = format!("metrics = \"127.0.0.1:{metrics}\"\n");
    world.models += &format!(
        "[[model]]\nname = \"m\"\nupstream = [\"https://localhost:{down}\", \"{}\"]\nca = \"{}\"\nhealth = {{ failures = 2, pause = \"10m\" }}\n",
        model.url(),
        model.ca_file(world.dir.path()).display()
    );
    world.model("local", &format!("unix:{}", socket.display()), "tls = \"relaxed\"");
    world.start();
    let laptop = world.logged_in("ana", &["ml"]);

    for _ in 0..3 {
        let output = laptop.run(&["call", "m", "/headers"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let output = laptop.run(&["call", "local", "/"]);
    assert_eq!(text(&output.stdout), "local", "{}", text(&output.stderr));

    let exchanges = laptop.exchanges();
    let of = |model: &str| -> Vec<_> { exchanges.iter().filter(|one| one["model"] == model).collect() };
    for event in of("m") {
        let leg = &event["evidence"]["upstream"];
        assert_eq!(leg["url"], format!("{}/", model.url()), "{event}");
        assert!(leg["verified"] == true && leg.get("relaxed").is_none(), "{event}");
    }
    let leg = &of("local")[0]["evidence"]["upstream"];
    assert!(leg["transport"] == "unix" && leg["relaxed"] == true && leg["verified"] == false, "{leg}");
    assert!(leg.get("url").is_none(), "there is only one: {leg}");

    let listed = laptop.run(&["models"]);
    assert!(text(&listed.stdout).contains("relaxed (!)"), "{}", text(&listed.stdout));
    let status: serde_json::Value =
        serde_json::from_slice(&laptop.run(&["status", "-o", "json"]).stdout).unwrap();
    assert_eq!(status["relaxed"], serde_json::json!(["local"]));

    let mut scrape = TcpStream::connect(("127.0.0.1", metrics)).unwrap();
    write!(scrape, "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut seen = String::new();
    scrape.read_to_string(&mut seen).unwrap();
    for line in [
        format!("hoopctl_upstream_circuit{{model=\"m\",server=\"https://localhost:{down}/\"}} 2"),
        format!("hoopctl_upstream_failures_total{{model=\"m\",server=\"https://localhost:{down}/\"}} 2"),
        format!("hoopctl_upstream_circuit{{model=\"m\",server=\"{}/\"}} 0", model.url()),
        format!("hoopctl_upstream_relaxed{{model=\"local\",server=\"unix:{}\"}} 1", socket.display()),
        format!("hoopctl_upstream_relaxed{{model=\"m\",server=\"{}/\"}} 0", model.url()),
    ] {
        assert!(seen.contains(&line), "{line}\n{seen}");
    }
}
