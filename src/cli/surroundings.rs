//! Where this process runs, as far as it matters for a login: terminal, display, SSH, container.

use std::{
    io::{self, IsTerminal},
    path::Path,
};

use crate::client::Here;

/// What is left of a terminal's width where nobody says how wide it is.
const COLUMNS: usize = 80;

/// Where this process runs.
pub(super) fn here() -> Here {
    let terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    read(&variable, &|path| path.exists(), terminal)
}

/// What people elsewhere are told that wants to be logged in: program and machine.
pub(super) fn name() -> String {
    format!("hoopctl/{} on {}", env!("CARGO_PKG_VERSION"), machine())
}

/// Whether stderr can show a picture made of block characters.
pub(super) fn draws() -> bool {
    io::stderr().is_terminal() && draws_in(&variable)
}

/// The columns of the terminal that is talked to.
pub(super) fn columns() -> usize {
    #[cfg(unix)]
    if let Ok(size) = rustix::termios::tcgetwinsize(io::stderr()) {
        return if size.ws_col == 0 { COLUMNS } else { usize::from(size.ws_col) };
    }
    COLUMNS
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
}

fn read(variable: &dyn Fn(&str) -> Option<String>, exists: &dyn Fn(&Path) -> bool, terminal: bool) -> Here {
    let said = |name: &str| variable(name).is_some();
    let own_display = cfg!(any(target_os = "macos", windows));
    Here {
        terminal,
        named_browser: said("BROWSER"),
        display: own_display || said("DISPLAY") || said("WAYLAND_DISPLAY"),
        remote: remote(variable),
        container: said("KUBERNETES_SERVICE_HOST")
            || said("CI")
            || exists("/.dockerenv".as_ref())
            || exists("/run/.containerenv".as_ref()),
    }
}

/// How the machine that somebody came from calls this one, as arguments of its `ssh`.
fn remote(variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let connection = variable("SSH_CONNECTION");
    if connection.is_none() && variable("SSH_TTY").is_none() {
        return None;
    }
    // sshd writes: the client's address and port, the server's address and port.
    let connection = connection.unwrap_or_default();
    let mut words = connection.split_whitespace().skip(2);
    let (address, port) = (words.next().unwrap_or("HOST"), words.next().unwrap_or("22"));
    let user = variable("USER").map_or_else(String::new, |user| format!("{user}@"));
    let port = if port == "22" { String::new() } else { format!("-p {port} ") };
    Some(format!("{port}{user}{address}"))
}

fn draws_in(variable: &dyn Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| variable(name)).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    let utf8 = locale.contains("utf-8") || locale.contains("utf8");
    utf8 && variable("TERM").is_some_and(|term| term != "dumb")
}

fn machine() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = variable("COMPUTERNAME").unwrap_or_default();
    if name.is_empty() { "a machine without a name".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from<'v>(said: &'v [(&'v str, &'v str)]) -> impl Fn(&str) -> Option<String> + 'v {
        |name| said.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn ssh_is_named_as_the_other_machine_calls_it() {
        for (said, expected) in [
            (&[][..], None),
            (
                &[("SSH_CONNECTION", "192.0.2.1 50000 192.0.2.7 22"), ("USER", "alice")],
                Some("alice@192.0.2.7"),
            ),
            (&[("SSH_CONNECTION", "192.0.2.1 50000 2001:db8::7 2222")], Some("-p 2222 2001:db8::7")),
            (&[("SSH_TTY", "/dev/pts/1")], Some("HOST")),
        ] {
            assert_eq!(remote(&from(said)).as_deref(), expected, "{said:?}");
        }
    }

    #[test]
    fn displays_and_containers_are_seen() {
        let nowhere = |_: &Path| false;
        assert!(read(&from(&[("WAYLAND_DISPLAY", "wayland-0")]), &nowhere, true).display);
        assert!(read(&from(&[("BROWSER", "firefox")]), &nowhere, true).named_browser);
        for variable in ["CI", "KUBERNETES_SERVICE_HOST"] {
            assert!(read(&from(&[(variable, "true")]), &nowhere, true).container, "{variable}");
        }
        for file in ["/.dockerenv", "/run/.containerenv"] {
            assert!(read(&from(&[]), &|path| path == Path::new(file), true).container, "{file}");
        }
        let bare = read(&from(&[]), &nowhere, false);
        assert!(!bare.container && !bare.terminal && bare.remote.is_none());
    }

    #[test]
    fn pictures_need_utf_8_and_a_real_terminal() {
        assert!(draws_in(&from(&[("LANG", "en_GB.UTF-8"), ("TERM", "xterm")])));
        assert!(draws_in(&from(&[("LC_ALL", "C.utf8"), ("LANG", "C"), ("TERM", "tmux")])));
        for said in [
            &[("LANG", "C"), ("TERM", "xterm")][..],
            &[("LC_ALL", "C"), ("LANG", "en_GB.UTF-8"), ("TERM", "xterm")],
            &[("LANG", "en_GB.UTF-8"), ("TERM", "dumb")],
            &[("LANG", "en_GB.UTF-8")],
        ] {
            assert!(!draws_in(&from(said)), "{said:?}");
        }
    }
}
