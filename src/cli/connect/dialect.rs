//! The environment of a command: where its model is, in the words of each dialect's own tools.

use super::address::Address;

/// What a tool that insists on a key is given when none is needed.
const PLACEHOLDER: &str = "hoopctl";

/// What changes in the command's environment.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Variables to set.
    pub(super) set: Vec<(&'static str, String)>,
    /// Variables to remove: they would win over those set.
    pub(super) unset: Vec<&'static str>,
}

/// The changes for a door, the dialect behind it and the key it asks for.
pub(super) fn changes(door: &Address, dialect: &str, key: Option<&str>) -> Changes {
    let mut changes = Changes::default();
    let mut set = |name, value: &str| changes.set.push((name, value.to_owned()));
    set("HOOPCTL_URL", &door.url);
    set("HOOPCTL_HOST", &door.host);
    if let Some(port) = door.port {
        set("HOOPCTL_PORT", &port.to_string());
    }
    if let Some(socket) = &door.socket {
        set("HOOPCTL_SOCKET", &socket.to_string_lossy());
    }
    set("HOOPCTL_MODEL", &door.model);
    set("HOOPCTL_SESSION", &door.session);
    if let Some(key) = key {
        set("HOOPCTL_LOCAL_KEY", key);
    }
    // The tools below only know addresses of ports.
    if door.port.is_none() {
        return changes;
    }
    let url = door.url.trim_end_matches('/');
    let key = key.unwrap_or(PLACEHOLDER);
    let speaks = |name| dialect == name || dialect == "detect" && name != "gemini";
    if speaks("openai") {
        set("OPENAI_BASE_URL", &format!("{url}/v1"));
        set("OPENAI_API_KEY", key);
    }
    if speaks("anthropic") {
        set("ANTHROPIC_BASE_URL", url);
        set("ANTHROPIC_AUTH_TOKEN", key);
    }
    if speaks("ollama") {
        set("OLLAMA_HOST", url);
    }
    if speaks("gemini") {
        set("GOOGLE_GEMINI_BASE_URL", url);
        set("GEMINI_API_KEY", key);
    }
    if speaks("anthropic") {
        changes.unset.push("ANTHROPIC_API_KEY");
    }
    if speaks("gemini") {
        changes.unset.push("GOOGLE_API_KEY");
    }
    changes
}

/// `NO_PROXY` with our loopback door in it, for tools that would carry even that to a proxy; `None`
/// when there is nothing to change.
pub(super) fn no_proxy(environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let said =
        |names: [&str; 2]| names.into_iter().find_map(|name| environment(name).filter(|v| !v.is_empty()));
    let proxied = said(["http_proxy", "HTTP_PROXY"]).or_else(|| said(["all_proxy", "ALL_PROXY"]));
    proxied?;
    match said(["no_proxy", "NO_PROXY"]) {
        Some(list) if list.trim() == "*" => None,
        Some(list) => Some(format!("{list},127.0.0.1,localhost")),
        None => Some("127.0.0.1,localhost".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door() -> Address {
        Address {
            model: "m".into(),
            session: "ses_1".into(),
            url: "http://127.0.0.1:4100".into(),
            host: "127.0.0.1".into(),
            port: Some(4100),
            socket: None,
        }
    }

    fn own(dialect: &str, key: Option<&str>) -> Vec<String> {
        let changes = changes(&door(), dialect, key);
        let own = changes.set.into_iter().filter(|(name, _)| !name.starts_with("HOOPCTL_"));
        own.map(|(name, value)| format!("{name}={value}")).collect()
    }

    #[test]
    fn every_dialect_gets_its_own_variables() {
        let url = "http://127.0.0.1:4100";
        let openai = [format!("OPENAI_BASE_URL={url}/v1"), "OPENAI_API_KEY=hoopctl".to_owned()];
        let anthropic = [format!("ANTHROPIC_BASE_URL={url}"), "ANTHROPIC_AUTH_TOKEN=hoopctl".to_owned()];
        let ollama = [format!("OLLAMA_HOST={url}")];
        let gemini = [format!("GOOGLE_GEMINI_BASE_URL={url}"), "GEMINI_API_KEY=hoopctl".to_owned()];
        assert_eq!(own("openai", None), openai);
        assert_eq!(own("anthropic", None), anthropic);
        assert_eq!(own("ollama", None), ollama);
        assert_eq!(own("gemini", None), gemini);
        assert_eq!(own("detect", None), [&openai[..], &anthropic[..], &ollama[..]].concat());
        assert!(own("kserve", None).is_empty() && own("http", None).is_empty());
        assert_eq!(own("openai", Some("k"))[1], "OPENAI_API_KEY=k");
        assert_eq!(changes(&door(), "anthropic", None).unset, ["ANTHROPIC_API_KEY"]);
    }

    #[test]
    fn every_command_is_told_where_its_model_is() {
        let set = changes(&door(), "http", Some("k")).set;
        let expected = [
            ("HOOPCTL_URL", "http://127.0.0.1:4100"),
            ("HOOPCTL_HOST", "127.0.0.1"),
            ("HOOPCTL_PORT", "4100"),
            ("HOOPCTL_MODEL", "m"),
            ("HOOPCTL_SESSION", "ses_1"),
            ("HOOPCTL_LOCAL_KEY", "k"),
        ];
        assert_eq!(set, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn a_socket_has_no_dialect() {
        let door = Address { port: None, socket: Some("/run/m.sock".into()), ..door() };
        let set = changes(&door, "openai", None).set;
        assert!(set.contains(&("HOOPCTL_SOCKET", "/run/m.sock".to_owned())));
        assert!(set.iter().all(|(name, _)| name.starts_with("HOOPCTL_")));
    }

    #[test]
    fn a_proxy_never_sees_the_local_door() {
        for (variables, expected) in [
            (vec![], None),
            (vec![("HTTP_PROXY", "http://p")], Some("127.0.0.1,localhost")),
            (vec![("http_proxy", "http://p"), ("NO_PROXY", "corp")], Some("corp,127.0.0.1,localhost")),
            (vec![("ALL_PROXY", "http://p"), ("no_proxy", "*")], None),
        ] {
            let environment =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, v)| (*v).to_owned());
            assert_eq!(no_proxy(&environment).as_deref(), expected, "{variables:?}");
        }
    }
}
