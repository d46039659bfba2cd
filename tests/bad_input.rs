//! What goes wrong, and how it is said: exit code, reason, next command.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::Stdio,
    sync::atomic::Ordering,
};

use crate::world::{
    Model, PATIENCE, Process, World, eventually, fails, hoopctl, resident_kib, signal, succeed, text,
};

#[test]
fn a_wrong_fingerprint_or_ca_sends_nothing() {
    let mut world = World::new();
    world.start();
    let laptop = world.laptop("l");
    let wrong = format!("sha256:{}", "ab".repeat(32));
    let mut command = laptop.command();
    command.env("HOOPCTL_WORKLOAD_TOKEN", "x").args(["login", &world.url, "--ca-fingerprint", &wrong]);
    fails(&command.output().unwrap(), 7, &["fingerprint", "sha256:"]);

    let model = Model::start();
    let mut command = laptop.command();
    command.env("HOOPCTL_WORKLOAD_TOKEN", "x").args(["login", &world.url, "--ca-file"]);
    command.arg(model.ca_file(world.dir.path()));
    fails(&command.output().unwrap(), 7, &["not known here", "hoopctl gateway ca"]);

    // Without any trust and without a terminal nobody can be asked.
    let mut command = laptop.command();
    command.env("HOOPCTL_WORKLOAD_TOKEN", "x").args(["login", &world.url]);
    fails(&command.output().unwrap(), 7, &["--ca-fingerprint sha256:"]);
}

#[test]
fn the_right_fingerprint_is_enough() {
    let mut world = World::new();
    world.start();
    let mut command = hoopctl();
    command.args(["gateway", "ca", "fingerprint", "--config"]).arg(world.config());
    let fingerprint = text(&succeed(command).stdout).trim().to_owned();
    let laptop = world.laptop("l");
    let token = world.issuer.token("ana", &["ml"], std::time::Duration::from_secs(600));
    let mut command = laptop.command();
    command.env("HOOPCTL_WORKLOAD_TOKEN", token).args([
        "login",
        &world.url,
        "--ca-fingerprint",
        &fingerprint,
    ]);
    succeed(command);
    assert_eq!(laptop.json(&["status"])["groups"], serde_json::json!(["ml"]));
}

#[test]
fn no_login_is_exit_4_in_every_form() {
    let world = World::new();
    let laptop = world.laptop("l");
    for verb in [&["status"][..], &["models"], &["connect", "m"], &["call", "m", "/"], &["audit", "query"]] {
        fails(&laptop.run(verb), 4, &["hoopctl login"]);
    }
    let output = laptop.run(&["-o", "json", "models"]);
    assert_eq!(output.status.code(), Some(4));
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).unwrap();
    assert!(error["error"]["remedy"].as_str().unwrap().contains("hoopctl login"), "{error}");
}

#[test]
fn a_denied_model_is_exit_3_and_an_unknown_one_has_a_nearest_name() {
    let model = Model::start();
    let world = World::with_model(&model);
    let nobody = world.logged_in("nobody", &[]);
    fails(&nobody.run(&["connect", "m"]), 3, &["\"m\"", "gateway explain"]);
    let refused = nobody.run(&["call", "m", "/headers"]);
    fails(&refused, 3, &["explain"]);
    assert_eq!(model.requests(), 0, "nothing reached the model");
    let events = nobody.exchanges();
    assert_eq!(events[0]["decision"]["verdict"], "deny");
    assert_eq!(events[0]["response"]["outcome"], "refused");

    let ana = world.logged_in("ana", &["ml"]);
    let output = ana.run(&["connect", "mm"]);
    assert_ne!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("\"m\""), "{}", text(&output.stderr));
}

#[test]
fn a_taken_port_is_said_with_its_remedy() {
    let model = Model::start();
    let world = World::with_model(&model);
    let laptop = world.logged_in("ana", &["ml"]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = laptop.run(&["connect", "m", "--port", &port]);
    assert_ne!(output.status.code(), Some(0));
    let said = text(&output.stderr);
    assert!(said.contains(&port) && said.contains("--port"), "{said}");
}

#[test]
fn a_gateway_that_is_down_is_exit_6_and_a_running_connect_recovers() {
    let model = Model::start();
    let mut world = World::with_model(&model);
    let laptop = world.logged_in("ana", &["ml"]);
    let connect = laptop.connect(&[]);
    assert!(connect.get("/bytes/1").0.starts_with("http/1.1 200"));
    world.kill();
    fails(&laptop.run(&["models"]), 6, &["localhost"]);
    connect.process.wait_for_line("lost");

    // The port stays open while the gateway is away, and a socket opened now is served when it is back.
    let mut held = connect.open();
    write!(held, "GET /bytes/5 HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\n\r\n", connect.port())
        .unwrap();
    world.start();
    let mut answer = Vec::new();
    held.read_to_end(&mut answer).unwrap();
    assert!(text(&answer).contains("xxxxx"), "{}", text(&answer));
}

#[test]
fn an_upstream_that_is_down_untrusted_or_cut_is_always_signalled() {
    let (model, stranger) = (Model::start(), Model::start());
    let elsewhere = Model::named(&["elsewhere.test"]);
    let mut world = World::new();
    let dir = world.dir.path().to_owned();
    let ca = |model: &Model| format!("ca = \"{}\"", model.ca_file(&dir).display());
    world.model("m", &model.url(), &ca(&model));
    world.model("down", &format!("https://localhost:{}", crate::world::free_port()), &ca(&model));
    world.model("stranger", &stranger.url(), &ca(&model));
    world.model("elsewhere", &elsewhere.url(), &ca(&elsewhere));
    world.start();
    let laptop = world.logged_in("ana", &["ml"]);
    for (name, exit, code) in [
        ("down", 1, "upstream_unreachable"),
        ("stranger", 7, "upstream_untrusted"),
        ("elsewhere", 7, "upstream_untrusted"),
    ] {
        let output = laptop.run(&["call", name, "/headers"]);
        assert_eq!(output.status.code(), Some(exit), "{name}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains(code), "{name}: {}", text(&output.stdout));
    }
    assert_eq!(stranger.requests() + elsewhere.requests(), 0);

    let connect = laptop.connect(&[]);
    for path in ["/cut", "/short"] {
        let mut app = connect.open();
        write!(app, "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n", connect.port()).unwrap();
        let mut answer = Vec::new();
        let end = app.read_to_end(&mut answer);
        let whole = text(&answer).contains("0\r\n\r\n");
        assert!(!whole, "{path}: a cut answer must not look whole: {}", text(&answer));
        assert!(end.is_err() || path == "/short" || !whole, "{path}");
        assert_eq!(laptop.run(&["call", "m", path]).status.code(), Some(1), "{path}");
    }
    let outcomes: Vec<_> = laptop
        .exchanges()
        .iter()
        .map(|e| e["response"]["outcome"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(outcomes.iter().filter(|o| *o == "upstream_cut").count(), 4, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|o| *o == "upstream_failed").count(), 3, "{outcomes:?}");
}

#[test]
fn foreign_hosts_and_browsers_get_nothing_from_the_port() {
    let model = Model::start();
    let world = World::with_model(&model);
    let laptop = world.logged_in("ana", &["ml"]);
    let connect = laptop.connect(&[]);
    for request in [
        "GET /headers HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n",
        "GET /headers HTTP/1.1\r\nhost: HOST\r\norigin: https://evil.example\r\nconnection: close\r\n\r\n",
        "GET /headers HTTP/1.1\r\nhost: HOST\r\norigin: null\r\nconnection: close\r\n\r\n",
    ] {
        let (head, body) = connect.exchange(request);
        assert!(head.starts_with("http/1.1 403"), "{head}");
        assert!(text(&body).contains("local_refused"), "{}", text(&body));
    }
    assert_eq!(model.requests(), 0);
}

#[test]
fn a_local_key_is_asked_for_and_never_passed_on() {
    let model = Model::start();
    let world = World::with_model(&model);
    let laptop = world.logged_in("ana", &["ml"]);
    let mut command = laptop.command();
    command.args(["connect", "m", "--local-key", "--", "sh", "-c"]);
    command.arg(r#"echo "$HOOPCTL_PORT $OPENAI_API_KEY"; read line"#).stdin(Stdio::piped());
    let mut process = Process::start(command);
    let line = process.first_line();
    let (port, key) = line.trim().split_once(' ').unwrap();
    let get = |authorization: &str| {
        let mut app = TcpStream::connect(("127.0.0.1", port.parse::<u16>().unwrap())).unwrap();
        write!(
            app,
            "GET /headers HTTP/1.1\r\nhost: localhost:{port}\r\n{authorization}connection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        app.read_to_end(&mut answer).unwrap();
        text(&answer)
    };
    assert!(key.len() > 20, "{line}");
    for wrong in ["", "authorization: Bearer wrong\r\n", "x-api-key: wrong\r\n"] {
        let answer = get(wrong);
        assert!(answer.starts_with("HTTP/1.1 401") && answer.contains("local_key"), "{answer}");
        assert!(answer.contains("authentication_error"), "in the words of the dialect: {answer}");
    }
    assert_eq!(model.requests(), 0);
    let answer = get(&format!("authorization: Bearer {key}\r\n"));
    assert!(
        answer.starts_with("HTTP/1.1 200") && !answer.contains(key),
        "the model never sees the key: {answer}"
    );
}

#[test]
fn plaintext_is_told_that_tls_is_mandatory() {
    let mut world = World::new();
    world.start();
    let mut stream = TcpStream::connect(("127.0.0.1", world.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
        .write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nsecret")
        .unwrap();
    let mut answer = Vec::new();
    // Closing with unread bytes may reset the connection after the answer.
    let _ = stream.read_to_end(&mut answer);
    let answer = text(&answer);
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
    assert!(answer.contains("\"tls_required\"") && answer.contains("\"TLS is mandatory"), "{answer}");
    let audit = world.logged_in("ana", &["ml"]);
    let events = eventually("the attempt in the log", || {
        let answer = audit.json(&["audit", "query", "--kind", "plaintext_attempt"]);
        Some(answer["events"].as_array().unwrap().clone()).filter(|e| !e.is_empty())
    });
    assert!(!serde_json::to_string(&events).unwrap().contains("secret"));
}

#[test]
fn headers_of_64_kib_are_refused_and_the_gateway_lives() {
    let model = Model::start();
    let world = World::with_model(&model);
    let laptop = world.logged_in("ana", &["ml"]);
    let connect = laptop.connect(&[]);
    let long = "x".repeat(64 * 1024);
    let (head, _) = connect.exchange(&format!(
        "GET /headers HTTP/1.1\r\nhost: HOST\r\nx-long: {long}\r\nconnection: close\r\n\r\n"
    ));
    assert!(head.starts_with("http/1.1 431"), "{head}");
    assert!(connect.get("/bytes/1").0.starts_with("http/1.1 200"));
    assert_eq!(model.requests(), 1);
}

#[test]
fn a_gibibyte_each_way_leaves_memory_flat() {
    const BYTES: u64 = 1 << 30;
    let model = Model::start();
    let world = World::with_model(&model);
    let laptop = world.logged_in("ana", &["ml"]);
    let connect = laptop.connect(&[]);
    connect.get("/bytes/1");
    let (gateway, laptop_id) = (world.gateway_id(), connect.process.child.id());
    let before = (resident_kib(gateway), resident_kib(laptop_id));

    let mut app = connect.open();
    write!(
        app,
        "GET /bytes/{BYTES} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\n\r\n",
        connect.port()
    )
    .unwrap();
    let mut buffer = vec![0; 1 << 20];
    let mut got = 0_u64;
    let mut peak = before;
    loop {
        let n = app.read(&mut buffer).unwrap();
        if n == 0 {
            break;
        }
        got += buffer[..n].iter().filter(|b| **b == b'x').count() as u64;
        peak = (peak.0.max(resident_kib(gateway)), peak.1.max(resident_kib(laptop_id)));
    }
    assert_eq!(got, BYTES);

    let mut app = connect.open();
    write!(
        app,
        "POST /sink HTTP/1.1\r\nhost: 127.0.0.1:{}\r\ncontent-length: {BYTES}\r\nconnection: close\r\n\r\n",
        connect.port()
    )
    .unwrap();
    for _ in 0..BYTES >> 20 {
        app.write_all(&buffer).unwrap();
        peak = (peak.0.max(resident_kib(gateway)), peak.1.max(resident_kib(laptop_id)));
    }
    let mut answer = String::new();
    app.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(&BYTES.to_string()), "{answer}");
    assert_eq!(model.seen.bytes.load(Ordering::SeqCst), BYTES);
    assert!(
        peak.0 - before.0 < 64 * 1024 && peak.1 - before.1 < 64 * 1024,
        "KiB before {before:?}, at most {peak:?}"
    );
}

#[test]
fn mistakes_of_a_configuration_come_all_at_once_with_their_lines() {
    let mut world = World::new();
    world.write_config();
    let good = fs::read_to_string(world.config()).unwrap();
    let bad = good
        .replace(&format!("https://localhost:{}", world.port), "https://gateway.example.com")
        .replace("[gateway]", "[gateway]\nlissten = \"0.0.0.0:1\"")
        + "[[model]]\nname = \"x\"\nupstream = \"http://plain.example.com\"\ncredential = { header = \"authorization\", value = \"sk-literal\" }\n";
    fs::write(world.config(), bad).unwrap();
    let mut command = hoopctl();
    command.args(["gateway", "check", "--config"]).arg(world.config());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout) + &text(&output.stderr);
    for words in ["gateway.toml:2:", "`listen`", "loopback", "relaxed", "env ="] {
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
    assert!(!said.contains("sk-literal"), "a secret is never repeated");
    world.extra = String::new();
}

#[test]
fn two_gateways_on_one_state_folder_are_refused() {
    let mut world = World::new();
    world.start();
    let second = world.config().with_file_name("second.toml");
    let text = fs::read_to_string(world.config()).unwrap();
    let listen = format!("listen = \"127.0.0.1:{}\"", world.port);
    fs::write(&second, text.replace(&listen, "listen = \"127.0.0.1:0\"")).unwrap();
    let mut command = hoopctl();
    command.args(["gateway", "run", "--config"]).arg(&second);
    fails(&command.output().unwrap(), 1, &["another gateway", &world.gateway_id().to_string()]);
}

#[test]
fn an_expired_credential_is_exit_4() {
    let mut world = World::new();
    world.start();
    let laptop = world.laptop("l");
    let token = world.issuer.token("ana", &["ml"], std::time::Duration::from_secs(3));
    let mut command = laptop.command();
    command.env("HOOPCTL_WORKLOAD_TOKEN", token).args(["login", &world.url, "--ca-file"]).arg(&laptop.ca);
    succeed(command);
    let output = eventually("the end of the token's three seconds", || {
        Some(laptop.run(&["models"])).filter(|output| !output.status.success())
    });
    fails(&output, 4, &["hoopctl login"]);
}

#[test]
fn a_kill_at_any_instant_loses_no_exchange_that_reached_the_model() {
    let model = Model::start();
    let mut world = World::with_model(&model);
    let laptop = world.logged_in("ana", &["ml"]);
    let connect = laptop.connect(&[]);
    assert!(connect.get("/bytes/1").0.starts_with("http/1.1 200"));
    let mut app = connect.open();
    write!(app, "GET /sse HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n", connect.port()).unwrap();
    eventually("the request at the model", || (model.say(b"data: 1\n\n") == 1).then_some(()));
    world.kill();
    world.start();
    for _ in 0..2 {
        let outcomes: Vec<_> = laptop
            .exchanges()
            .iter()
            .map(|e| e["response"]["outcome"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(outcomes, ["complete", "interrupted"], "each exactly once");
        world.kill();
        world.start();
    }
}

#[test]
fn a_gateway_told_to_stop_ends_cleanly_and_finishes_what_runs() {
    let model = Model::start();
    let mut world = World::with_model(&model);
    let laptop = world.logged_in("ana", &["ml"]);
    let connect = laptop.connect(&[]);
    let mut app = connect.open();
    write!(app, "GET /sse HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n", connect.port()).unwrap();
    eventually("the request at the model", || (model.say(b"data: first\n\n") == 1).then_some(()));
    signal(world.gateway_id(), rustix::process::Signal::TERM);
    connect.process.wait_for_line("going away");
    model.say(b"data: last\n\n");
    model.hush();
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(b"0\r\n\r\n") {
        let n = app.read(&mut buffer).unwrap();
        assert_ne!(n, 0, "cut: {}", text(&answer));
        answer.extend_from_slice(&buffer[..n]);
    }
    assert!(text(&answer).contains("data: last"));
    assert_eq!(world.stop().status.code(), Some(0));
}
