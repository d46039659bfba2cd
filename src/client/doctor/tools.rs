//! Settings of AI tools that would carry prompts past hoopctl: read, bounded, and never shown but for host names.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use url::{Host, Url};

use super::{Finding, Surroundings};

/// Variables that tools take the address of their model from.
const ADDRESSES: [&str; 12] = [
    "OPENAI_BASE_URL",
    "OPENAI_API_BASE",
    "ANTHROPIC_BASE_URL",
    "ANTHROPIC_BEDROCK_BASE_URL",
    "ANTHROPIC_VERTEX_BASE_URL",
    "OLLAMA_HOST",
    "OLLAMA_API_BASE",
    "GOOGLE_GEMINI_BASE_URL",
    "AZURE_OPENAI_ENDPOINT",
    "AZURE_API_BASE",
    "LITELLM_PROXY_API_BASE",
    "MISTRAL_API_BASE",
];

/// Variables that send a tool to a cloud's own service, whatever its address says.
const SWITCHES: [&str; 2] = ["CLAUDE_CODE_USE_BEDROCK", "CLAUDE_CODE_USE_VERTEX"];

/// A tool's settings file, and the keys in it that hold addresses.
struct Known {
    /// The variable that moves its folder, where the tool has one.
    moved_by: Option<&'static str>,
    /// The folder, in the home folder.
    folder: &'static str,
    file: &'static str,
    keys: &'static [&'static str],
}

const FILES: [Known; 8] = [
    Known {
        moved_by: Some("CODEX_HOME"),
        folder: ".codex",
        file: "config.toml",
        keys: &["base_url", "openai_base_url", "chatgpt_base_url"],
    },
    Known { moved_by: Some("CLAUDE_CONFIG_DIR"), folder: ".claude", file: "settings.json", keys: &ADDRESSES },
    Known {
        moved_by: None,
        folder: "",
        file: ".aider.conf.yml",
        keys: &["openai-api-base", "openai-api-base-url"],
    },
    Known { moved_by: None, folder: ".continue", file: "config.yaml", keys: &["apiBase"] },
    Known { moved_by: None, folder: ".continue", file: "config.json", keys: &["apiBase"] },
    Known { moved_by: None, folder: ".gemini", file: ".env", keys: &ADDRESSES },
    Known {
        moved_by: Some("XDG_CONFIG_HOME"),
        folder: ".config",
        file: "opencode/opencode.json",
        keys: &["baseURL"],
    },
    Known {
        moved_by: Some("XDG_CONFIG_HOME"),
        folder: ".config",
        file: "litellm/config.yaml",
        keys: &["api_base"],
    },
];

/// The longest settings file that is read, in bytes.
const MAX_FILE: u64 = 256 * 1024;
/// So many mistakes are told.
const MAX_FINDINGS: usize = 12;

/// What would send a tool past hoopctl; one pass where nothing does.
pub(super) async fn look(around: &Surroundings<'_>, gateway: Option<&Url>) -> Vec<Finding> {
    let mut findings = by_variables(around, gateway);
    let files: Vec<(PathBuf, &'static [&'static str])> =
        FILES.iter().filter_map(|known| Some((place(known, around)?, known.keys))).collect();
    let texts = tokio::task::spawn_blocking(move || {
        let read = files.into_iter().filter_map(|(path, keys)| Some((bounded(&path)?, path, keys)));
        read.collect::<Vec<_>>()
    });
    let texts = texts.await.unwrap_or_default();
    for (text, path, keys) in &texts {
        findings.extend(by_file(text, path, keys, gateway));
    }
    findings.truncate(MAX_FINDINGS);
    if findings.is_empty() {
        findings.push(Finding::pass(
            "tools",
            format!(
                "no setting known here sends a tool past hoopctl ({} variables and {} settings files looked at)",
                ADDRESSES.len() + SWITCHES.len(),
                texts.len()
            ),
        ));
    }
    findings
}

fn by_variables(around: &Surroundings<'_>, gateway: Option<&Url>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in ADDRESSES {
        let Some(there) = (around.variable)(name).and_then(|value| elsewhere(&value, gateway)) else {
            continue;
        };
        findings.push(Finding::fail(
            "tools",
            format!("the variable {name} sends tools to {there}, past hoopctl"),
            format!("unset {name}, or start the tool with the right one: hoopctl connect MODEL -- TOOL"),
        ));
    }
    for name in SWITCHES {
        if (around.variable)(name).is_some_and(|value| value != "0" && value != "false") {
            findings.push(Finding::fail(
                "tools",
                format!("the variable {name} sends Claude Code to a cloud's own service, past hoopctl"),
                format!("unset {name}"),
            ));
        }
    }
    let proxy = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        .into_iter()
        .find(|name| (around.variable)(name).is_some());
    let exempt =
        ["no_proxy", "NO_PROXY"].into_iter().find_map(|name| (around.variable)(name)).unwrap_or_default();
    if let Some(name) = proxy.filter(|_| !covers_loopback(&exempt)) {
        findings.push(Finding::fail(
            "tools",
            format!("{name} is set and NO_PROXY does not exempt 127.0.0.1: tools may ask the proxy for hoopctl's local port"),
            "add 127.0.0.1,localhost to NO_PROXY (hoopctl connect MODEL -- TOOL does so for its tool)",
        ));
    }
    findings
}

fn by_file(text: &str, path: &Path, keys: &[&str], gateway: Option<&Url>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for (key, value) in settings(text, keys) {
        let Some(there) = elsewhere(value, gateway) else { continue };
        let finding = Finding::fail(
            "tools",
            format!("{key} in {} sends its tool to {there}, past hoopctl", path.display()),
            format!(
                "take {key} out of {}, or write the address there that hoopctl connect MODEL prints",
                path.display()
            ),
        );
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
    findings
}

/// Every `KEY = VALUE`, `KEY: VALUE` or `"KEY": "VALUE"` of these keys outside whole-line comments: the one shape that
/// TOML, YAML, JSON and `.env` files have in common.
fn settings<'t, 'k>(text: &'t str, keys: &'k [&'k str]) -> Vec<(&'k str, &'t str)> {
    let mut found = Vec::new();
    for line in
        text.lines().map(str::trim_start).filter(|line| !line.starts_with('#') && !line.starts_with("//"))
    {
        for key in keys {
            for (at, _) in line.match_indices(key) {
                let before = line.get(..at).and_then(|head| head.chars().next_back());
                let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
                if before.is_some_and(inside) {
                    continue;
                }
                let rest = line.get(at + key.len()..).unwrap_or_default();
                let rest = rest.strip_prefix(['"', '\'']).unwrap_or(rest).trim_start();
                let Some(value) = rest.strip_prefix([':', '=']) else { continue };
                let value = value.trim_start().trim_start_matches(['"', '\'']);
                let end = value.find(['"', '\'', ',', ' ', '\t', '}']).unwrap_or(value.len());
                found.extend(value.get(..end).filter(|value| !value.is_empty()).map(|value| (*key, value)));
            }
        }
    }
    found
}

/// Scheme, host and port of an address that is neither this machine's nor the gateway's; nothing else of it is repeated.
fn elsewhere(value: &str, gateway: Option<&Url>) -> Option<String> {
    let value = value.trim();
    let whole = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url = Url::parse(&whole).ok()?;
    let host = url.host()?;
    let local = match &host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => here(IpAddr::V4(*address)),
        Host::Ipv6(address) => here(IpAddr::V6(*address)),
    };
    if local || gateway.is_some_and(|gateway| gateway.origin() == url.origin()) {
        return None;
    }
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    Some(format!("{}://{host}{port}", url.scheme()))
}

/// Loopback, or the address that a server which listens everywhere is given.
fn here(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

/// Whether this value of `NO_PROXY` keeps 127.0.0.1 from the proxy.
fn covers_loopback(exempt: &str) -> bool {
    let loopback = Ipv4Addr::LOCALHOST;
    exempt.split([',', ' ', '\t']).any(|entry| match entry.split_once('/') {
        Some((network, bits)) => {
            let (network, bits) = (network.parse::<Ipv4Addr>(), bits.parse::<u32>());
            matches!((network, bits), (Ok(network), Ok(bits)) if (network.to_bits() ^ loopback.to_bits()).leading_zeros() >= bits)
        }
        None => entry == "*" || entry == "127.0.0.1",
    })
}

fn place(known: &Known, around: &Surroundings<'_>) -> Option<PathBuf> {
    let moved = known.moved_by.and_then(|name| (around.variable)(name)).map(PathBuf::from);
    let folder = match (moved, &around.home) {
        (Some(folder), _) => folder,
        (None, Some(home)) => home.join(known.folder),
        (None, None) => return None,
    };
    Some(folder.join(known.file))
}

/// An ordinary file's text; a pipe or a device is not waited for.
fn bounded(path: &Path) -> Option<String> {
    let facts = fs::metadata(path).ok()?;
    if !facts.is_file() || facts.len() > MAX_FILE {
        return None;
    }
    fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::doctor::Verdict;

    fn gateway() -> Url {
        Url::parse("https://gw.example.test").unwrap()
    }

    async fn found(variables: &[(&str, &str)], home: Option<&Path>) -> Vec<Finding> {
        let variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let variable = move |name: &str| {
            variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        look(&Surroundings { variable: &variable, home: home.map(Path::to_owned) }, Some(&gateway())).await
    }

    #[tokio::test]
    async fn a_variable_that_points_elsewhere_is_named_without_its_secrets() {
        for (name, value, there) in [
            (
                "OPENAI_BASE_URL",
                "https://user:s3cret@api.openai.com/v1?key=s3cret",
                Some("https://api.openai.com"),
            ),
            ("OPENAI_API_BASE", "http://10.0.0.7:8000/v1", Some("http://10.0.0.7:8000")),
            ("OLLAMA_HOST", "big-box:11434", Some("http://big-box:11434")),
            ("OLLAMA_HOST", "127.0.0.1:11434", None),
            ("OLLAMA_HOST", "0.0.0.0", None),
            ("ANTHROPIC_BASE_URL", "http://localhost:24110", None),
            ("ANTHROPIC_BASE_URL", "http://[::1]:24110", None),
            ("OPENAI_BASE_URL", "https://gw.example.test/models/llama/v1", None),
            (
                "OPENAI_BASE_URL",
                "https://gw.example.test.evil.test/v1",
                Some("https://gw.example.test.evil.test"),
            ),
        ] {
            let findings = found(&[(name, value)], None).await;
            assert_eq!(findings.len(), 1);
            let one = &findings[0];
            match there {
                Some(there) => {
                    assert!(one.status == Verdict::Fail && one.detail.contains(there), "{value}: {one:?}");
                    assert!(one.action.as_deref().unwrap().contains(name));
                }
                None => assert_eq!(one.status, Verdict::Pass, "{value}: {one:?}"),
            }
            assert!(!format!("{one:?}").contains("s3cret"), "{one:?}");
        }
        assert_eq!(found(&[("CLAUDE_CODE_USE_BEDROCK", "1")], None).await[0].status, Verdict::Fail);
        assert_eq!(found(&[("CLAUDE_CODE_USE_BEDROCK", "0")], None).await[0].status, Verdict::Pass);
    }

    #[tokio::test]
    async fn a_proxy_that_would_be_asked_for_the_local_port_is_said() {
        let proxy = ("HTTP_PROXY", "http://user:s3cret@p:3128");
        for (variables, verdict) in [
            (vec![proxy], Verdict::Fail),
            (vec![proxy, ("NO_PROXY", "corp.example.test")], Verdict::Fail),
            (vec![proxy, ("NO_PROXY", "corp,127.0.0.1,localhost")], Verdict::Pass),
            (vec![proxy, ("no_proxy", "*")], Verdict::Pass),
            (vec![proxy, ("no_proxy", "127.0.0.0/8")], Verdict::Pass),
            (vec![("HTTPS_PROXY", "http://p:3128")], Verdict::Pass),
        ] {
            let findings = found(&variables, None).await;
            assert_eq!(findings[0].status, verdict, "{variables:?} {findings:?}");
            assert!(!format!("{findings:?}").contains("s3cret"));
        }
    }

    #[tokio::test]
    async fn settings_files_of_each_shape_are_read_and_only_read() {
        let home = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = home.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            ".codex/config.toml",
            "# base_url = \"https://old.example.test\"\n[model_providers.x]\nbase_url = \"https://api.openai.com/v1\"\n",
        );
        write(
            ".claude/settings.json",
            "{\"env\":{\"ANTHROPIC_BASE_URL\":\"https://api.anthropic.com\",\"X\":\"https://x\"}}",
        );
        write(
            ".continue/config.yaml",
            "models:\n  - name: a\n    apiBase: https://api.mistral.ai/v1\n  - apiBase: http://127.0.0.1:24110/v1\n",
        );
        write(".aider.conf.yml", "openai-api-base: http://127.0.0.1:24110/v1\n");
        write(".continue/config.json", &"x".repeat(300 * 1024));
        let findings = found(&[], Some(home.path())).await;
        let said: Vec<&str> = findings.iter().map(|one| one.detail.as_str()).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        for (place, there) in [
            (".codex/config.toml", "https://api.openai.com"),
            (".claude/settings.json", "https://api.anthropic.com"),
            (".continue/config.yaml", "https://api.mistral.ai"),
        ] {
            assert!(said.iter().any(|one| one.contains(place) && one.contains(there)), "{place}: {said:?}");
        }
        let moved = home.path().join(".codex");
        let moved = [("CODEX_HOME", moved.to_str().unwrap())];
        assert_eq!(found(&moved, None).await.len(), 1, "a moved folder is found");
    }
}
