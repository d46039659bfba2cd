//! The encryption report from outside: from the gateway and from a bundle the same figures, as a page and as JSON.

use std::{fs, path::Path};

use serde_json::Value;

use crate::world::{Laptop, Model, World, eventually, text};

/// A bundle that has so many exchanges.
fn bundle(auditor: &Laptop, folder: &Path, exchanges: usize) {
    eventually("the exchanges are in the log", || {
        let _ = fs::remove_dir_all(folder);
        assert!(auditor.run(&["audit", "export", "--bundle", folder.to_str().unwrap()]).status.success());
        let lines = fs::read_to_string(folder.join("events.jsonl")).unwrap();
        (lines.matches(r#""kind":"exchange""#).count() >= exchanges).then_some(())
    });
}

#[test]
fn the_gateway_and_a_verified_bundle_report_the_same() {
    let model = Model::start();
    let mut world = World::with_model(&model);
    let auditor = world.logged_in("ana", &["ml"]);
    for _ in 0..3 {
        assert!(auditor.run(&["call", "m", "/headers"]).status.success());
    }
    world.policy("@id(\"other\") permit(principal, action, resource);");
    eventually("the policies are taken up", || {
        let changed = auditor.json(&["audit", "query", "--kind", "gateway_reload"]);
        let events = changed["events"].as_array().unwrap();
        let change = &events.first()?["configuration"];
        assert!(!change["policy_files"].as_array().unwrap().is_empty(), "{change}");
        assert!(change["policies_before"].is_string(), "{change}");
        Some(())
    });
    let online = auditor.json(&["audit", "report", "--since", "1d", "-o", "json"]);
    assert_eq!((&online["schema"], &online["exchanges"]["total"]), (&1.into(), &3.into()));
    assert_eq!(online["exchanges"]["encrypted"], 3, "{online}");
    assert_eq!(online["client"]["groups"][0]["name"], "X25519MLKEM768");
    assert_eq!(online["checkpoint"]["covers"], true, "{}", online["checkpoint"]);
    assert!(online["access"]["audit_reads"].as_u64().unwrap() > 0);

    let folder = world.dir.path().join("bundle");
    bundle(&auditor, &folder, 3);
    world.stop();
    let stranger = world.laptop("stranger");
    let key = fs::read_to_string(folder.join("key")).unwrap();
    let args =
        ["audit", "report", "--bundle", folder.to_str().unwrap(), "--key", key.trim(), "--since", "1d"];
    let offline = stranger.json(&[&args[..], &["-o", "json"]].concat());
    for part in ["exchanges", "client", "upstream", "models", "callers", "days", "relaxed", "masked"] {
        assert_eq!(offline[part], online[part], "{part}");
    }
    assert_eq!(offline["checkpoint"]["verified"], true);

    let file = world.dir.path().join("report.html");
    let done = stranger.run(&[&args[..], &["--file", file.to_str().unwrap()]].concat());
    assert!(done.status.success() && done.stdout.is_empty(), "{}", text(&done.stderr));
    let page = fs::read_to_string(&file).unwrap();
    assert!(page.starts_with("<!doctype html>") && !page.contains("<script"));
    assert!(page.contains("<b>All 3 exchanges were encrypted on each leg they had.</b>"), "{page}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    let entries = folder.join("tile/entries");
    let tile = fs::read_dir(&entries).unwrap().next().unwrap().unwrap().path();
    let tile = if tile.is_dir() { fs::read_dir(tile).unwrap().next().unwrap().unwrap().path() } else { tile };
    let mut bytes = fs::read(&tile).unwrap();
    bytes[40] ^= 1;
    fs::write(&tile, bytes).unwrap();
    let refused = stranger.run(&args);
    assert_eq!(refused.status.code(), Some(8), "{}", text(&refused.stderr));
    assert!(
        refused.stdout.is_empty() && text(&refused.stderr).contains("first bad index: 0"),
        "nothing of it is believed"
    );
}

#[test]
fn without_read_audit_there_is_no_report_and_a_bad_time_is_said() {
    let model = Model::start();
    let world = World::with_model(&model);
    let guest = world.logged_in("bob", &["guests"]);
    let refused = guest.run(&["audit", "report"]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(3), 0), "{}", text(&refused.stderr));
    for args in [&["--since", "yesterday"][..], &["--since", "1d", "--until", "2d"], &["--key", "k"]] {
        let wrong = guest.run(&[&["audit", "report"], args].concat());
        assert_eq!(wrong.status.code(), Some(2), "{args:?}: {}", text(&wrong.stderr));
    }
    let auditor = world.logged_in("ana", &["ml"]);
    let nothing: Value = auditor.json(&["audit", "report", "--until", "1s", "--since", "2s", "-o", "json"]);
    assert_eq!(nothing["schema"], 1);
}
