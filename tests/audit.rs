//! The verifiable audit log from outside: taken away, verified offline, and every way of changing it found.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use hoopctl::evidence::tlog::{Checkpoint, SigningKey, VerifyingKey};

use crate::world::{Laptop, Model, World, eventually, text};

/// A world in which so many exchanges have happened, and somebody who may read all of them.
fn world(model: &Model, exchanges: usize) -> (World, Laptop) {
    let world = World::with_model(model);
    let auditor = world.logged_in("ana", &["ml"]);
    for _ in 0..exchanges {
        assert!(auditor.run(&["call", "m", "/headers"]).status.success());
    }
    (world, auditor)
}

/// Exports the log once it has so many events of exchanges, at least one behind the bundle's first page of numbers.
fn export(auditor: &Laptop, folder: &Path, exchanges: usize) {
    eventually("the exchanges are in the log", || {
        let _ = fs::remove_dir_all(folder);
        let done = auditor.run(&["audit", "export", "--bundle", folder.to_str().unwrap()]);
        assert!(done.status.success(), "{}", text(&done.stderr));
        let lines = fs::read_to_string(folder.join("events.jsonl")).unwrap();
        let found = lines.lines().filter(|line| line.contains(r#""kind":"exchange""#)).count();
        (found >= exchanges).then_some(())
    });
}

fn verify(laptop: &Laptop, args: &[&str]) -> Output {
    laptop.run(&[&["audit", "verify"], args].concat())
}

/// The bundle as somebody changed it must not verify: exit code 8, and the first bad index.
fn found(laptop: &Laptop, bundle: &Path, key: &str, more: &[&str], index: &str) -> String {
    let done = verify(laptop, &[&["--bundle", bundle.to_str().unwrap(), "--key", key], more].concat());
    let said = text(&done.stderr);
    assert_eq!(done.status.code(), Some(8), "{said}");
    assert!(said.contains(&format!("first bad index: {index}")), "{index}: {said}");
    said
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to)
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Changes the lines of a bundle's events.
fn edit(folder: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let path = folder.join("events.jsonl");
    let mut lines: Vec<String> = fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
    change(&mut lines);
    fs::write(path, lines.join("\n") + "\n").unwrap();
}

/// The one file in a folder.
fn only(folder: PathBuf) -> PathBuf {
    fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()
}

#[test]
fn a_bundle_verifies_offline_with_the_public_key_alone_and_every_change_is_found() {
    let model = Model::start();
    let (world, auditor) = world(&model, 3);
    let key = fs::read_to_string(world.state().join("log.vkey")).unwrap().trim().to_owned();
    let bundle = world.dir.path().join("bundle");
    export(&auditor, &bundle, 3);
    let kept = world.dir.path().join("kept");
    let kept_flag = kept.to_str().unwrap();
    // The gateway itself, against what queries show; its checkpoint is kept.
    assert!(auditor.run(&["call", "m", "/headers"]).status.success());
    let later = world.dir.path().join("later");
    export(&auditor, &later, 4);
    let done = verify(&auditor, &["--key", &key, "--keep", kept_flag]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert!(text(&done.stdout).starts_with("verified: "), "{}", text(&done.stdout));
    drop(world.logged_in("carol", &[]));

    // Nothing but the folder and the key: a laptop that has never logged in.
    let stranger = world.laptop("stranger");
    for given in [key.clone(), world.state().join("log.vkey").display().to_string()] {
        let done = verify(&stranger, &["--bundle", bundle.to_str().unwrap(), "--key", &given]);
        assert!(done.status.success(), "{}", text(&done.stderr));
    }
    let done = verify(&stranger, &["--bundle", bundle.to_str().unwrap(), "-o", "json"]);
    let proven: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&proven["verified"], proven["key"].as_str()), (&true.into(), Some(key.as_str())));
    assert!(text(&done.stderr).contains("--key"), "the log's own word is no proof: {}", text(&done.stderr));

    // A log that ends before a checkpoint that somebody kept of it.
    let size = proven["size"].as_u64().unwrap();
    found(&stranger, &bundle, &key, &["--checkpoint", kept_flag], &size.to_string());

    let changed = |name: &str, change: &dyn Fn(&Path)| {
        let folder = world.dir.path().join(name);
        copy(&bundle, &folder);
        change(&folder);
        folder
    };
    let drop_line = |folder: &Path| edit(folder, |lines| drop(lines.remove(2)));
    found(&stranger, &changed("dropped", &drop_line), &key, &[], "2:");
    let swap = |folder: &Path| edit(folder, |lines| lines.swap(1, 3));
    found(&stranger, &changed("reordered", &swap), &key, &[], "1:");
    let alter =
        |folder: &Path| edit(folder, |lines| lines[4] = lines[4].replacen("\"time\":\"2", "\"time\":\"1", 1));
    found(&stranger, &changed("altered", &alter), &key, &[], "4:");
    let add = |folder: &Path| edit(folder, |lines| lines.push(lines[0].clone()));
    found(&stranger, &changed("added", &add), &key, &[], &format!("{size}:"));
    let flip = |folder: &Path| {
        let path = only(folder.join("tile/entries/000.p"));
        let mut bytes = fs::read(&path).unwrap();
        bytes[20] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    found(&stranger, &changed("flipped", &flip), &key, &[], "0:");
    let lose = |folder: &Path| fs::remove_file(only(folder.join("tile/0/000.p"))).unwrap();
    found(&stranger, &changed("lost", &lose), &key, &[], "0:");

    // Signed anew with another key of the same name.
    let resign = |folder: &Path| {
        let own: VerifyingKey = key.parse().unwrap();
        let head = Checkpoint::open(&fs::read(folder.join("checkpoint")).unwrap(), &own).unwrap();
        let other = SigningKey::generate(own.name()).unwrap();
        fs::write(folder.join("checkpoint"), head.sign(&other)).unwrap();
        fs::write(folder.join("key"), other.public().to_string()).unwrap();
    };
    let resigned = changed("resigned", &resign);
    let done = verify(&stranger, &["--bundle", resigned.to_str().unwrap(), "--key", &key, "-o", "json"]);
    assert_eq!(done.status.code(), Some(8));
    assert!(text(&done.stdout).contains(r#""verified": false"#), "{}", text(&done.stdout));
}

#[test]
fn after_kill_9_the_log_goes_on_from_every_checkpoint_that_was_kept() {
    let model = Model::start();
    let (mut world, auditor) = world(&model, 1);
    let key = fs::read_to_string(world.state().join("log.vkey")).unwrap().trim().to_owned();
    let mut kept: Vec<String> = Vec::new();
    for round in 0..3 {
        let mut calls: Vec<_> = (0..4)
            .map(|_| auditor.command().args(["call", "m", "/headers"]).stdout(Stdio::null()).spawn().unwrap())
            .collect();
        let file = world.dir.path().join(format!("kept-{round}")).display().to_string();
        assert!(verify(&auditor, &["--key", &key, "--keep", &file]).status.success());
        kept.push(file);
        world.kill();
        for call in &mut calls {
            let _ = call.kill();
            call.wait().unwrap();
        }
        world.start();
        let mut args = vec!["--key", key.as_str()];
        args.extend(kept.iter().flat_map(|file| ["--checkpoint", file.as_str()]));
        let done = verify(&auditor, &args);
        assert!(done.status.success(), "{}", text(&done.stderr));
    }
    world.stop();
    world.start();
    assert!(verify(&auditor, &["--key", &key, "--checkpoint", &kept[2]]).status.success());
}

#[test]
fn without_read_audit_nothing_of_the_log_is_given_and_reading_it_is_recorded() {
    let model = Model::start();
    let (world, auditor) = world(&model, 1);
    let guest = world.logged_in("bob", &["guests"]);
    assert_eq!(verify(&guest, &[]).status.code(), Some(3));
    let bundle = world.dir.path().join("bundle");
    let refused = guest.run(&["audit", "export", "--bundle", bundle.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(3));
    export(&auditor, &bundle, 1);
    let reads = auditor.json(&["audit", "query", "--kind", "audit_read"]);
    let details: Vec<&str> =
        reads["events"].as_array().unwrap().iter().filter_map(|event| event["detail"].as_str()).collect();
    assert!(details.iter().any(|detail| detail.starts_with("entries 0 to ")), "{details:?}");
    let full = auditor.run(&["audit", "export", "--bundle", bundle.to_str().unwrap()]);
    assert_eq!(full.status.code(), Some(2), "a folder that is not empty is left alone");
}

#[test]
fn a_lost_key_is_said_and_nothing_is_served() {
    let model = Model::start();
    let (mut world, _) = world(&model, 1);
    world.stop();
    fs::rename(world.state().join("log.key"), world.dir.path().join("elsewhere")).unwrap();
    let mut command = crate::world::hoopctl();
    command.args(["gateway", "run", "--config"]).arg(world.config());
    let refused = command.output().unwrap();
    assert!(!refused.status.success());
    assert!(text(&refused.stderr).contains("its key is missing"), "{}", text(&refused.stderr));
    fs::rename(world.dir.path().join("elsewhere"), world.state().join("log.key")).unwrap();
    world.start();
}

#[test]
fn events_are_written_for_other_programs() {
    let model = Model::start();
    let (_world, auditor) = world(&model, 2);
    let run = |format: &str| {
        let done = auditor.run(&["audit", "export", "--kind", "exchange", "--format", format]);
        assert!(done.status.success(), "{}", text(&done.stderr));
        text(&done.stdout)
    };
    let lines = run("jsonl");
    assert_eq!(lines.lines().count(), 2);
    let events: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ocsf = run("ocsf");
    let ocsf: Vec<serde_json::Value> = ocsf.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(ocsf[0]["class_uid"], 6003);
    assert_eq!(ocsf[1]["metadata"]["uid"], events[1]["id"]);
    let csv = run("csv");
    assert!(csv.starts_with("time,id,kind,"));
    assert_eq!(csv.lines().count(), 3);
}

#[test]
fn a_followed_log_shows_what_comes() {
    use std::io::BufRead;
    let model = Model::start();
    let (_world, auditor) = world(&model, 1);
    let mut command = auditor.command();
    command.args(["audit", "query", "--follow", "--kind", "exchange", "-o", "jsonl"]);
    let mut follow = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufReader::new(follow.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(auditor.run(&["call", "m", "/headers"]).status.success());
    let second = lines.next().unwrap().unwrap();
    assert_ne!(first, second);
    assert!(second.contains("\"exchange\""));
    follow.kill().unwrap();
    follow.wait().unwrap();
}
