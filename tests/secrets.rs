//! What a process that holds keys and tokens leaves behind when it dies.

use std::{
    net::TcpListener,
    os::unix::process::ExitStatusExt,
    process::{Command, Stdio},
};

use crate::world::hoopctl;

/// Dies by SIGABRT with core files allowed, in the middle of its work, which `busy` waits for. Says whether a core was made.
fn dies(arguments: &[&str], busy: impl FnOnce()) -> bool {
    let home = tempfile::tempdir().unwrap();
    let program = hoopctl();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "ulimit -c unlimited; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(arguments)
        .current_dir(home.path())
        .env("HOME", home.path())
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_STATE_HOME")
        .env_remove("HTTPS_PROXY")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = shell.spawn().unwrap();
    busy();
    assert!(Command::new("kill").args(["-ABRT", &child.id().to_string()]).status().unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(6), "{status}");
    status.core_dumped()
}

#[test]
fn a_laptop_that_dies_in_its_login_leaves_no_core_file() {
    // Somebody who accepts and says nothing: the login waits.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let mut held = None;
    let cored =
        dies(&["--credential-store", "file", "login", &url, "--no-browser"], || held = silent.accept().ok());
    assert!(!cored);
}
