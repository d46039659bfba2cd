//! Machines that log in by themselves, tokens for one model, and sessions that somebody ends.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use crate::world::{Laptop, Model, World, eventually, fails, succeed, text};

/// A command of a machine that nobody logged in: it keeps nothing, and believes the gateway by a file.
fn machine(world: &World, laptop: &Laptop) -> Command {
    let mut command = laptop.command();
    command
        .env_remove("HOOPCTL_CREDENTIAL_STORE")
        .env("HOOPCTL_GATEWAY", &world.url)
        .env("SSL_CERT_FILE", world.ca());
    command
}

fn admins(world: &World) {
    world.policy(
        r#"@id("ml") permit(principal in Group::"ml", action in [Action::"list", Action::"invoke"], resource);
           @id("admins") permit(principal in Group::"admins", action in [Action::"administer", Action::"read_audit"], resource);"#,
    );
}

#[test]
fn a_service_account_needs_no_login_and_leaves_nothing_behind() {
    let model = Model::start();
    let mut world = World::new();
    let secret = "0123456789abcdef".repeat(4);
    std::fs::create_dir_all(world.etc()).unwrap();
    let file = world.etc().join("nightly.secret");
    std::fs::write(&file, &secret).unwrap();
    succeed({
        let mut chmod = Command::new("chmod");
        chmod.arg("600").arg(&file);
        chmod
    });
    world.models += "[[identity]]\nkind = \"service\"\nname = \"scripts\"\n\
                     accounts = [{ name = \"nightly\", groups = [\"ml\"], secret = { file = \"nightly.secret\" } }]\n";
    world.model("m", &model.url(), &format!("ca = \"{}\"", model.ca_file(world.dir.path()).display()));
    world.start();
    let laptop = world.laptop("batch");
    let run = |secret: &str| {
        let mut command = machine(&world, &laptop);
        command.env("HOOPCTL_SERVICE_ACCOUNT", "nightly").env("HOOPCTL_SERVICE_SECRET", secret);
        command.args(["call", "m", "/bytes/3"]);
        command
    };
    assert_eq!(text(&succeed(run(&secret)).stdout), "xxx");
    assert!(!laptop.home.join("config/hoopctl/profiles/default/profile.toml").exists());
    let wrong = "f".repeat(64);
    let refused = run(&wrong).output().unwrap();
    fails(&refused, 4, &["no such account"]);
    assert!(!text(&refused.stderr).contains(&wrong));
}

#[test]
fn a_job_of_github_actions_logs_in_without_a_flag() {
    let mut world = World::new();
    world.start();
    let token = world.issuer.token("repo:example/app", &["ml"], Duration::from_secs(300));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/token?api-version=2", listener.local_addr().unwrap());
    let platform = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut head = String::new();
        let mut lines = BufReader::new(socket.try_clone().unwrap());
        while !head.ends_with("\r\n\r\n") {
            lines.read_line(&mut head).unwrap();
        }
        let body = format!("{{\"value\":\"{token}\"}}");
        write!(socket, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).unwrap();
        head.to_ascii_lowercase()
    });
    let laptop = world.laptop("job");
    let mut command = laptop.command();
    command
        .env("ACTIONS_ID_TOKEN_REQUEST_URL", url)
        .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "job-secret")
        .args(["login", &world.url, "--ca-file"])
        .arg(world.ca());
    succeed(command);
    let asked = platform.join().unwrap();
    assert!(asked.starts_with("get /token?api-version=2&audience=hoopctl http/1.1\r\n"), "{asked}");
    assert!(asked.contains("authorization: bearer job-secret"), "{asked}");
    assert_eq!(laptop.json(&["status"])["user"], "repo:example/app");
}

#[test]
fn a_token_for_one_model_is_asked_for_once() {
    let model = Model::start();
    let world = World::with_model(&model);
    let laptop = world.logged_in("ana", &["ml"]);
    let first = laptop.json(&["token", "m"]);
    assert_eq!(first["schema"], 1);
    assert_eq!((first["token_type"].as_str(), first["model"].as_str()), (Some("Bearer"), Some("m")));
    assert_eq!(first["url"], format!("{}/models/m/", world.url));
    let bare = laptop.run(&["token", "m"]);
    assert_eq!(
        text(&bare.stdout),
        format!("{}\n", first["token"].as_str().unwrap()),
        "kept, and nothing else"
    );
    assert!(bare.stderr.is_empty(), "{}", text(&bare.stderr));
    fails(&laptop.run(&["token", "mm"]), 1, &["did you mean \"m\"?", "hoopctl token m"]);
    fails(&world.logged_in("nobody", &[]).run(&["token", "m"]), 3, &["\"m\"", "explain"]);
}

#[test]
fn a_revocation_ends_live_streams_on_both_carriers() {
    let model = Model::start();
    let mut world = World::new();
    admins(&world);
    world.model("m", &model.url(), &format!("ca = \"{}\"", model.ca_file(world.dir.path()).display()));
    world.start();
    let root = world.logged_in("root", &["admins"]);
    let mallory = world.logged_in("mallory", &["ml"]);
    fails(&mallory.run(&["revoke", "root"]), 3, &["administer"]);
    fails(&root.run(&["revoke", "nobody@example.test"]), 1, &["no live session of nobody@example.test"]);
    for carrier in ["quic", "tcp"] {
        let user = format!("ana-{carrier}");
        let laptop = world.logged_in(&user, &["ml"]);
        let connect = laptop.connect(&["--transport", carrier]);
        assert_eq!(connect.said["transport"], carrier);
        let mut app = connect.open();
        write!(app, "GET /sse HTTP/1.1\r\nhost: 127.0.0.1:{}\r\n\r\n", connect.port()).unwrap();
        eventually("the request at the model", || (model.say(b"data: one\n\n") == 1).then_some(()));
        let mut part = [0; 1024];
        assert_ne!(app.read(&mut part).unwrap(), 0);

        // From before the command, so that the limit holds whatever the command itself takes.
        let began = Instant::now();
        let revoked = root.json(&["revoke", &user]);
        assert_eq!((revoked["schema"].as_u64(), revoked["revoked"].as_u64()), (Some(1), Some(1)));
        assert!(revoked["sessions"][0].as_str().unwrap().starts_with("ses_"));
        while !matches!(app.read(&mut part), Ok(0) | Err(_)) {}
        assert!(began.elapsed() < Duration::from_secs(2), "{carrier}: {:?}", began.elapsed());
        eventually("the model is left", || (model.say(b"data: two\n\n") == 0).then_some(()));
        fails(&laptop.run(&["models"]), 4, &["hoopctl login"]);
    }
}

#[test]
fn a_long_connect_outlives_its_tokens() {
    let model = Model::start();
    let world = World::with_model(&model);
    let auditor = world.logged_in("root", &["ml"]);
    let laptop = world.laptop("pod");
    let file = world.dir.path().join("projected");
    let rotate = |life| {
        let next = world.dir.path().join("projected.next");
        std::fs::write(&next, world.issuer.token("pod-1", &["ml"], Duration::from_secs(life))).unwrap();
        std::fs::rename(next, &file).unwrap();
    };
    rotate(8);
    let mut command = machine(&world, &laptop);
    command.env("HOOPCTL_WORKLOAD_TOKEN_FILE", &file).args(["-o", "json", "connect", "m"]);
    let connect = laptop.connected(command);
    assert!(connect.get("/bytes/1").0.starts_with("http/1.1 200"));
    rotate(600);
    let logins = || {
        let answer = auditor.json(&["audit", "query", "--kind", "login", "--user", "pod-1"]);
        (answer["events"].as_array().unwrap().len() >= 2).then_some(())
    };
    eventually("the next login", logins);
    assert!(connect.get("/bytes/1").0.starts_with("http/1.1 200"));
}
