//! Following a configuration.

use tokio_util::sync::CancellationToken;

use super::*;
use crate::gateway::mask;

fn open(dir: &TempDir) -> (Watched, PathBuf) {
    let path = dir.path().join("gateway.toml");
    fs::write(&path, format!("{BASE}{UPSTREAM}")).unwrap();
    (Watched::open(&path).unwrap().0, path)
}

#[test]
fn nothing_is_reported_until_something_changes() {
    let dir = folder();
    let (mut watched, path) = open(&dir);
    assert!(watched.check_now().is_none());
    fs::write(&path, format!("{BASE}{UPSTREAM}labels = {{ a = \"b\" }}\n")).unwrap();
    let config = watched.check_now().unwrap().unwrap();
    assert_eq!(config.models[0].labels["a"], "b");
    assert!(watched.check_now().is_none(), "once is enough");
}

#[test]
fn a_changed_mask_is_taken_up_and_a_wrong_one_is_not() {
    let dir = folder();
    let (mut watched, path) = open(&dir);
    let mut put = |mask: &str| {
        fs::write(&path, format!("{BASE}{UPSTREAM}{mask}")).unwrap();
        watched.check_now().unwrap().map(|config| config.models[0].mask.as_ref().map(|m| m.rules.style()))
    };
    assert_eq!(put("mask = {}\n").unwrap(), Some(mask::Style::Label));
    assert_eq!(put("mask = { style = \"hash\" }\n").unwrap(), Some(mask::Style::Hash));
    assert!(put("mask = { style = \"none\" }\n").is_err());
    assert_eq!(put("").unwrap(), None);
}

#[test]
fn policies_are_followed_when_added_changed_and_removed() {
    let dir = folder();
    let (mut watched, _) = open(&dir);
    let policy = dir.path().join("policies/new.cedar");
    fs::write(&policy, "permit(").unwrap();
    let mistakes = watched.check_now().unwrap().unwrap_err();
    assert!(mistakes[0].to_string().contains("new.cedar:1"), "{mistakes:?}");
    assert!(watched.check_now().is_none(), "a bad file is reported once");
    fs::write(&policy, "permit(principal, action, resource);").unwrap();
    assert!(watched.check_now().unwrap().is_ok());
    fs::remove_file(&policy).unwrap();
    assert!(watched.check_now().unwrap().is_ok());
    fs::write(dir.path().join("policies/notes.txt"), "x").unwrap();
    assert!(watched.check_now().is_none(), "other files do not matter");
}

#[test]
fn a_folder_named_by_a_bad_configuration_is_followed_too() {
    let dir = folder();
    let (mut watched, path) = open(&dir);
    fs::create_dir(dir.path().join("other")).unwrap();
    fs::write(dir.path().join("other/p.cedar"), "permit(").unwrap();
    fs::write(&path, "[gateway]\npublic_url = \"https://h\"\npolicies = \"other\"\n").unwrap();
    assert!(watched.check_now().unwrap().is_err());
    fs::write(dir.path().join("other/p.cedar"), "permit(principal, action, resource);").unwrap();
    assert!(watched.check_now().unwrap().is_ok());
}

#[test]
fn a_file_that_a_model_names_is_followed() {
    let dir = folder();
    let (mut watched, path) = open(&dir);
    fs::write(&path, format!("{BASE}{UPSTREAM}ca = \"ca.pem\"\n")).unwrap();
    assert!(watched.check_now().unwrap().is_err());
    fs::copy(dir.path().join("cert.pem"), dir.path().join("ca.pem")).unwrap();
    assert!(watched.check_now().unwrap().is_ok());
}

#[tokio::test]
async fn a_running_watch_hands_changes_on_and_ends_with_its_token() {
    let dir = folder();
    let (watched, path) = open(&dir);
    let stop = CancellationToken::new();
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let run = tokio::spawn(watched.run(stop.clone(), move |found| {
        let _ = told.send(found.map(|config| config.models.len()));
    }));
    fs::write(&path, BASE).unwrap();
    assert_eq!(heard.recv().await, Some(Ok(0)));
    stop.cancel();
    run.await.unwrap();
}
