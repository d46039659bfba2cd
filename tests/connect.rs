//! The local port as people use it: several models, ports that stay, sockets, the background.

use std::{
    io::{Read, Write},
    net::TcpListener,
    os::unix::{fs::FileTypeExt, net::UnixStream},
    process::Stdio,
};

use serde_json::Value;

use crate::world::{Laptop, Model, Process, World, fails, mode, succeed, text};

fn world_with_two(model: &Model) -> World {
    let mut world = World::new();
    for name in ["m", "n"] {
        world.model(name, &model.url(), &format!("ca = \"{}\"", model.ca_file(world.dir.path()).display()));
    }
    world.start();
    world
}

/// `connect` of these, running, and what it said of each model.
fn connect(laptop: &Laptop, args: &[&str], lines: usize) -> (Process, Vec<Value>) {
    let mut command = laptop.command();
    command.args(["-o", "json", "connect"]).args(args);
    let mut process = Process::start(command);
    let said = (0..lines).map(|_| serde_json::from_str(&process.first_line()).unwrap()).collect();
    (process, said)
}

fn port(said: &Value) -> u16 {
    u16::try_from(said["port"].as_u64().unwrap()).unwrap()
}

fn answers(port: u16) -> bool {
    let mut app = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(app, "GET /bytes/3 HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    app.read_to_string(&mut answer).unwrap();
    answer.starts_with("HTTP/1.1 200")
}

#[test]
fn several_models_have_a_door_each_and_one_named_twice_has_one() {
    let model = Model::start();
    let world = world_with_two(&model);
    let laptop = world.logged_in("ana", &["ml"]);
    let (running, said) = connect(&laptop, &["m", "n", "m"], 2);
    assert_eq!((&said[0]["model"], &said[1]["model"]), (&"m".into(), &"n".into()));
    assert_ne!(said[0]["session"], said[1]["session"]);
    let (m, n) = (port(&said[0]), port(&said[1]));
    assert!(m != n && answers(m) && answers(n));
    let ended = running.terminate();
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
    // The same ports next time, in whatever order they are asked for.
    let (running, said) = connect(&laptop, &["n", "m"], 2);
    assert_eq!((port(&said[0]), port(&said[1])), (n, m));
    drop(running);
    // Somebody else has it: another one stands in, and that is said.
    let _somebody = TcpListener::bind(("127.0.0.1", m)).unwrap();
    let (running, said) = connect(&laptop, &["m"], 1);
    let other = port(&said[0]);
    assert!(other != m && other != n && answers(other));
    running.wait_for_line(&format!("port {m} is taken"));
    fails(&laptop.run(&["connect", "m", "--port", &m.to_string()]), 2, &["is taken", "--port 0"]);
}

#[test]
fn a_socket_goes_with_its_process_and_a_stale_one_is_replaced() {
    let model = Model::start();
    let world = World::with_model(&model);
    let laptop = world.logged_in("ana", &["ml"]);
    let path = laptop.home.join("m.sock");
    let socket = path.to_str().unwrap();
    let (mut killed, _) = connect(&laptop, &["m", "--socket", socket], 1);
    fails(&laptop.run(&["connect", "m", "--socket", socket]), 2, &["another program listens there"]);
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    assert!(std::fs::symlink_metadata(&path).unwrap().file_type().is_socket(), "nobody could tidy up");
    let (running, said) = connect(&laptop, &["m", "--socket", socket], 1);
    assert_eq!(said[0]["url"], format!("unix:{socket}"));
    assert_eq!(mode(&path), 0o600);
    let mut app = UnixStream::connect(&path).unwrap();
    app.write_all(b"GET /bytes/3 HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    app.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("xxx"), "{answer}");
    assert_eq!(running.terminate().status.code(), Some(0));
    assert!(!path.exists(), "it went with its process");
    let target = laptop.home.join("letter");
    std::fs::write(&target, "kept").unwrap();
    std::os::unix::fs::symlink(&target, &path).unwrap();
    fails(&laptop.run(&["connect", "m", "--socket", socket]), 2, &["something else has that name"]);
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "kept");
}

#[test]
fn several_models_in_the_background_are_listed_and_ended_together() {
    let model = Model::start();
    let world = world_with_two(&model);
    let laptop = world.logged_in("ana", &["ml"]);
    let mut command = laptop.command();
    command.args(["-o", "json", "connect", "m", "n", "n", "--background"]).stdin(Stdio::null());
    let said = succeed(command).stdout;
    let said: Vec<Value> = text(&said).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(said.len(), 2, "{said:?}");
    let listed = laptop.json(&["ps"]);
    let models: Vec<&str> =
        listed[0]["doors"].as_array().unwrap().iter().map(|door| door["model"].as_str().unwrap()).collect();
    assert_eq!((listed.as_array().unwrap().len(), models), (1, vec!["m", "n"]));
    assert!(said.iter().all(|one| answers(port(one))));
    fails(&laptop.run(&["connect", "m", "--background"]), 2, &["already served"]);
    // By any of its models.
    let ended = laptop.run(&["stop", "n"]);
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    assert_eq!(laptop.json(&["ps"]), serde_json::json!([]));
    assert!(std::net::TcpStream::connect(("127.0.0.1", port(&said[0]))).is_err());
}
