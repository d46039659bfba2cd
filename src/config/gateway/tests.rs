//! What is wrong, right and worth a look in `gateway.toml`.

mod anomalies;
mod cases;
mod masks;
mod watched;

use std::{fs, time::Duration};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    gateway::{
        identity::{DirectoryApi, Jwks, Preset, ProviderKind},
        pipeline::Dialect,
        upstream::{Aws, AwsKeys, AwsPayload, Azure, AzureIdentity, Credential, Gcp, GcpIdentity, Oauth2},
    },
    secret,
};
use cases::CASES;

/// The least that is a configuration, on one line so that cases count their own.
const BASE: &str = "gateway = { public_url = \"https://localhost:8443\" }\n";
const UPSTREAM: &str = "[[model]]\nname = \"m\"\nupstream = \"https://models.example.com\"\n";

/// A folder with policies and the files that cases name.
fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("policies")).unwrap();
    let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    for (name, content) in [
        ("cert.pem", pair.cert.pem()),
        ("key.pem", pair.signing_key.serialize_pem()),
        ("other.pem", other.serialize_pem()),
        ("empty.pem", "nothing".to_owned()),
        ("secret", "hunter2".to_owned()),
        ("policies/a.cedar", "permit(principal, action, resource);".to_owned()),
    ] {
        secret::write_private(&dir.path().join(name), content.as_bytes()).unwrap();
    }
    dir
}

fn checked(dir: &TempDir, text: &str) -> Checked {
    let path = dir.path().join("gateway.toml");
    fs::write(&path, text).unwrap();
    check(&path)
}

fn good(dir: &TempDir, text: &str) -> Config {
    let checked = checked(dir, text);
    checked.config.unwrap_or_else(|| panic!("{text}\n{:#?}", checked.mistakes))
}

fn before(kind: char) -> String {
    match kind {
        'G' => String::new(),
        'B' => BASE.to_owned(),
        _ => format!("{BASE}{UPSTREAM}"),
    }
}

#[test]
fn every_mistake_is_found_with_its_line_and_a_remedy() {
    let dir = folder();
    for (kind, text, line, message, remedy) in CASES {
        let before = before(*kind);
        let line = before.matches('\n').count() + line;
        let checked = checked(&dir, &format!("{before}{text}"));
        let [mistake] = &checked.mistakes[..] else { panic!("{text}\n{:#?}", checked.mistakes) };
        assert!(checked.config.is_none(), "{text}");
        assert_eq!(mistake.line, Some(line), "{text}\n{mistake}");
        assert!(mistake.message.contains(message), "{text}\n{mistake}");
        assert!(mistake.remedy.as_ref().is_some_and(|r| r.contains(remedy)), "{text}\n{mistake:?}");
        let whole = format!("{mistake} {mistake:?}");
        assert!(!whole.contains("hunter2"), "a secret is repeated: {whole}");
    }
}

#[test]
fn mistakes_of_all_sections_and_policies_come_in_one_pass_in_order() {
    let dir = folder();
    fs::write(dir.path().join("policies/b.cedar"), "permit(principal, action, resource == Model::\"mm\");")
        .unwrap();
    fs::write(dir.path().join("policies/c.cedar"), "permit(").unwrap();
    let checked = checked(
        &dir,
        "[gateway]\npublic_url = \"http://h\"\nlisten = 3\n[tls]\nacme = 1\n[storage]\nrecordings = \"x\"\n\
         [audit]\ndurability = 1\n[sessions]\nsession_life = 1\n[[identity]]\nkind = \"dve\"\n\
         [[model]]\nname = \"m\"\nupstream = \"http://h\"\nmask = 1\nrecrod = \"off\"\n",
    );
    let lines: Vec<Option<usize>> = checked.mistakes.iter().map(|m| m.line).collect();
    assert_eq!(lines, [2, 3, 5, 7, 9, 11, 13, 16, 17, 18, 1, 1].map(Some), "{:#?}", checked.mistakes);
    let policies: Vec<String> = checked.mistakes.iter().rev().take(2).map(ToString::to_string).collect();
    assert!(
        policies[1].contains("b.cedar:1:39: policy `b-1`: Model::\"mm\" is not configured"),
        "{policies:?}"
    );
    assert!(policies[0].contains("c.cedar:1:8: this is not Cedar"), "{policies:?}");
}

#[test]
fn a_model_with_a_mistake_is_still_known_to_policies() {
    let dir = folder();
    fs::write(dir.path().join("policies/a.cedar"), "permit(principal, action, resource == Model::\"m\");")
        .unwrap();
    let checked = checked(&dir, &format!("{BASE}[[model]]\nname = \"m\"\nupstream = \"nonsense\"\n"));
    assert_eq!(checked.mistakes.len(), 1, "{:#?}", checked.mistakes);
}

#[test]
fn a_mistake_shows_file_line_and_column() {
    let dir = folder();
    let path = dir.path().join("gateway.toml");
    let checked = checked(&dir, &format!("{BASE}[audit]\n  x = \"é\"\n"));
    assert_eq!(
        checked.mistakes[0].to_string(),
        format!("{}:3:3: unknown key `x` in [audit]", path.display())
    );
}

#[test]
fn a_file_that_is_not_there_is_a_mistake_that_says_how_to_make_one() {
    let dir = tempfile::tempdir().unwrap();
    let mistakes = load(&dir.path().join("gateway.toml")).unwrap_err();
    assert!(mistakes[0].message.contains("it does not exist"), "{mistakes:?}");
    assert!(mistakes[0].remedy.as_ref().unwrap().contains("hoopctl gateway init"), "{mistakes:?}");
}

#[test]
fn a_missing_policy_folder_is_a_mistake_with_a_remedy() {
    let dir = folder();
    let checked = checked(&dir, "[gateway]\npublic_url = \"https://h\"\npolicies = \"elsewhere\"\n");
    assert!(
        checked.mistakes[0].message.contains("the policy folder does not exist"),
        "{:?}",
        checked.mistakes
    );
    assert!(checked.mistakes[0].remedy.is_some());
}

#[test]
fn a_certificate_can_be_ordered_and_the_roots_overlap_be_chosen() {
    let dir = folder();
    let text = r#"[tls]
rotation_overlap = "14d"
acme = { directory = "https://acme.example.com/directory", contact = ["mailto:ops@example.com"], terms_agreed = true, external = { kid = "k1", key = { file = "secret" } } }
"#;
    let config = good(&dir, &format!("{BASE}{text}"));
    assert_eq!(config.certs.overlap, Duration::from_hours(24 * 14));
    assert!(!config.identity.own_roots);
    let certs::Source::Acme(acme) = config.certs.source else { panic!("{:?}", config.certs.source) };
    assert_eq!(acme.directory.as_str(), "https://acme.example.com/directory");
    assert_eq!(acme.contact, ["mailto:ops@example.com"]);
    let key = secret::Source::File(dir.path().join("secret"));
    assert_eq!(acme.external, Some(certs::acme::External { kid: "k1".to_owned(), key }));
}

#[test]
fn the_least_configuration_has_the_documented_defaults() {
    let dir = folder();
    let config = good(&dir, &format!("{BASE}{UPSTREAM}"));
    assert_eq!(config.accept.public_url.as_str(), "https://localhost:8443/");
    assert_eq!(config.accept.listen.to_string(), "0.0.0.0:443");
    assert_eq!(config.certs.state, Path::new("/var/lib/hoopctl"));
    assert_eq!(config.certs.names, ["localhost", "127.0.0.1", "::1"]);
    assert_eq!(config.certs.source, certs::Source::Own);
    assert_eq!(config.certs.overlap, Duration::from_hours(24 * 30));
    assert_eq!(config.store.database, Path::new("/var/lib/hoopctl/gateway.db"));
    assert_eq!(config.recordings.folder, Path::new("/var/lib/hoopctl/recordings"));
    assert!(config.recordings.recipients.is_empty());
    assert_eq!(config.policies, dir.path().join("policies"));
    assert_eq!(config.metrics, None);
    assert!(!config.audit.power_loss && !config.audit.keeps_input);
    assert_eq!(config.identity.credential_life, Duration::from_mins(15));
    assert_eq!(config.identity.session_life, Duration::from_hours(12));
    let model = &config.models[0];
    assert_eq!((model.dialect, model.finish_on_fin, model.body_limit), (Dialect::Detect, false, None));
    assert_eq!(model.record, crate::gateway::record::Terms::default());
    assert_eq!(model.upstream.idle, Duration::from_mins(10));
    assert_eq!(model.upstream.relaxed_networks, ["unix", "127.0.0.0/8", "::1/128"]);
    assert!(!model.upstream.relaxed);
}

#[test]
fn every_key_reaches_the_configuration() {
    let dir = folder();
    let config = good(
        &dir,
        r#"
[gateway]
public_url = "https://gw.example.com:8443"
listen = "[::]:8443"
state = "st"
metrics = "127.0.0.1:9464"
policies = "policies"
relaxed_networks = ["10.0.0.0/8", "192.0.2.1", "unix"]
[tls]
certificate = "cert.pem"
key = "key.pem"
[storage]
database = "sqlite:db/g.db"
[audit]
durability = "power-loss"
input = "excerpt"
[sessions]
credential_life = "5m"
session_life = "1h30m"
[[identity]]
kind = "oidc"
name = "corp"
issuer = "http://127.0.0.1:9000/realm"
client_id = "hoopctl"
client_secret = { env = "SECRET" }
groups_claim = "roles"
scopes = ["openid", "roles"]
ca = "cert.pem"
[[identity]]
kind = "workload"
issuer = "ci"
audience = "hoopctl"
jwks = "secret"
subject_claim = "job"
groups_claim = "teams"
[[identity]]
kind = "service"
accounts = [{ name = "nightly", groups = ["ml"], secret = { env = "SECRET" } }, { name = "signer", public_key = "cert.pem" }]
[[model]]
name = "fraud-detector"
upstream = "https://fraud.internal:8443/base"
dialect = "kserve"
tls = "required"
ca = "cert.pem"
pins = ["SHA256:ABababababababababababababababababababababababababababababababab"]
client_certificate = "cert.pem"
client_key = "key.pem"
server_name = "fraud"
credential = { header = "Authorization", value = { file = "secret", prefix = "Bearer " } }
labels = { risk = "high", data = "pii" }
record = "full"
record_failure = "continue"
keep = "90d"
on_client_fin = "finish"
limits = { body = "32MiB", idle = "90s", requests_per_minute = 600, per_caller = { concurrent = 4 }, groups = { "ML engineers" = { tokens_per_day = 2_000_000 } } }
[[model]]
name = "llama"
upstream = ["http://10.1.2.3:8080", "unix:/run/llama.sock"]
tls = "relaxed"
pool = { max_idle = 8, max_age = "5m", idle_timeout = "30s" }
health = { failures = 3, pause = "500ms", longest_pause = "1m" }
"#,
    );
    let at = |name: &str| dir.path().join(name);
    assert_eq!(config.certs.names, ["gw.example.com"]);
    assert_eq!(config.certs.source, certs::Source::Files { certificate: at("cert.pem"), key: at("key.pem") });
    assert_eq!(config.store.state, at("st"));
    assert_eq!(config.store.database, at("st/db/g.db"));
    assert_eq!(config.metrics.unwrap().port(), 9464);
    assert!(config.audit.power_loss && config.audit.keeps_input);
    assert_eq!(config.identity.session_life, Duration::from_mins(90));
    let [oidc, workload, service] = &config.identity.providers[..] else {
        panic!("{:?}", config.identity.providers)
    };
    let ProviderKind::Service { accounts } = &service.kind else { panic!("{service:?}") };
    assert_eq!(accounts.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["nightly", "signer"]);
    assert_eq!(config.identity.token_life, Duration::from_mins(5));
    let ProviderKind::Oidc { issuer, client_secret, scopes, groups_claim, ca, .. } = &oidc.kind else {
        panic!()
    };
    assert_eq!((oidc.name.as_str(), issuer.as_str()), ("corp", "http://127.0.0.1:9000/realm"));
    assert_eq!(client_secret, &Some(secret::Source::Env("SECRET".into())));
    assert_eq!((scopes.len(), groups_claim.as_str(), ca), (2, "roles", &Some(at("cert.pem"))));
    let ProviderKind::Workload { issuer, jwks: Some(Jwks::File(jwks)), subject_claim, groups_claim, .. } =
        &workload.kind
    else {
        panic!("{workload:?}")
    };
    assert_eq!((workload.name.as_str(), issuer.as_str(), subject_claim.as_str()), ("workload", "ci", "job"));
    assert_eq!((jwks, groups_claim.as_deref()), (&at("secret"), Some("teams")));
    let [fraud, llama] = &config.models[..] else { panic!("{:?}", config.models) };
    assert_eq!(
        (fraud.dialect, fraud.finish_on_fin, fraud.body_limit),
        (Dialect::Kserve, true, Some(32 << 20))
    );
    assert_eq!(fraud.labels["risk"], "high");
    assert_eq!(fraud.upstream.pins, [format!("sha256:{}", "ab".repeat(32))]);
    assert_eq!(fraud.upstream.client_certificate, Some((at("cert.pem"), at("key.pem"))));
    assert_eq!(fraud.upstream.idle, Duration::from_secs(90));
    let limits = &fraud.limits;
    assert_eq!((limits.all.requests_per_minute, limits.all.tokens_per_day), (Some(600), None));
    assert_eq!((limits.per_caller.concurrent, limits.per_caller.requests_per_minute), (Some(4), None));
    assert_eq!(limits.groups["ML engineers"].tokens_per_day, Some(2_000_000));
    assert!(llama.limits.is_nothing());
    let (header, prefix) = ("authorization".to_owned(), "Bearer ".to_owned());
    let value = secret::Source::File(at("secret"));
    assert_eq!(fraud.upstream.credential, Some(Credential::Header { header, prefix, value }));
    assert!(llama.upstream.relaxed);
    assert_eq!(llama.upstream.relaxed_networks, ["10.0.0.0/8", "192.0.2.1/32", "unix"]);
    assert_eq!(llama.upstream.urls.len(), 2);
    assert_eq!(llama.upstream.urls[1].as_str(), "unix:/run/llama.sock");
    assert!(!llama.upstream.encrypted() && fraud.upstream.encrypted());
    let (pool, health) = (llama.upstream.pool, llama.upstream.health);
    assert_eq!((pool.max_idle, pool.max_age.as_secs(), pool.idle_timeout.as_secs()), (8, 300, 30));
    assert_eq!((health.failures, health.pause.as_millis(), health.longest_pause.as_secs()), (3, 500, 60));
    assert_eq!((fraud.upstream.pool, fraud.upstream.health), Default::default());
    let facts = config.facts();
    assert_eq!((facts[0].tls.as_str(), facts[0].dialect.as_str()), ("required", "kserve"));
    assert_eq!(facts[1].tls, "relaxed");
}

#[test]
fn scopes_left_unsaid_are_the_identity_rooms_to_choose() {
    let provider =
        "[[identity]]\nkind = \"oidc\"\nissuer = \"https://login.example.com\"\nclient_id = \"hoopctl\"\n";
    let config = good(&folder(), &format!("{BASE}{provider}"));
    let ProviderKind::Oidc { scopes, .. } = &config.identity.providers[0].kind else { panic!() };
    assert!(scopes.is_empty(), "{scopes:?}");
}

#[test]
fn presets_bring_what_their_vendor_needs() {
    let one = |keys: &str| {
        let text = format!("{BASE}[[identity]]\nkind = \"oidc\"\nclient_id = \"c\"\n{keys}");
        good(&folder(), &text).identity.providers.remove(0).kind
    };
    let entra = "preset = \"entra\"\nissuer = \"https://login.microsoftonline.com/7a/v2.0\"";
    for (more, expected) in [
        ("", "https://graph.microsoft.com/"),
        ("\ngraph = \"https://graph.microsoft.us\"", "https://graph.microsoft.us/"),
    ] {
        let ProviderKind::Oidc { preset: Preset::Entra { graph }, .. } = one(&format!("{entra}{more}"))
        else {
            panic!()
        };
        assert_eq!(graph.as_str(), expected);
    }
    let google = "preset = \"google\"\nhosted_domain = [\"example.com\", \"example.org\"]\n";
    let account = "service_account = { env = \"SA\" }\nadmin_email = \"admin@example.com\"\n";
    for (more, expected) in [
        ("", (DirectoryApi::CloudIdentity, "https://cloudidentity.googleapis.com/")),
        ("groups_api = \"directory\"", (DirectoryApi::AdminSdk, "https://admin.googleapis.com/")),
        (
            "groups_url = \"https://google.internal\"",
            (DirectoryApi::CloudIdentity, "https://google.internal/"),
        ),
    ] {
        let ProviderKind::Oidc { issuer, preset, .. } = one(&format!("{google}{account}{more}")) else {
            panic!()
        };
        assert_eq!(issuer.as_str(), "https://accounts.google.com/");
        let Preset::Google { hosted_domains, directory: Some(directory) } = preset else { panic!() };
        assert_eq!((hosted_domains.len(), (directory.api, directory.url.as_str())), (2, expected));
        assert_eq!(directory.admin_email.as_deref(), Some("admin@example.com"));
    }
}

#[test]
fn secrets_of_the_environment_are_not_read_by_a_check() {
    let dir = folder();
    good(
        &dir,
        &format!(
            "{BASE}{UPSTREAM}credential = {{ header = \"x-key\", value = {{ env = \"HOOPCTL_NOT_SET\" }} }}"
        ),
    );
}

#[test]
fn what_is_allowed_but_worth_a_look_is_a_warning() {
    let dir = folder();
    let warned = |text: &str| -> Vec<String> {
        let checked = checked(&dir, text);
        assert!(checked.config.is_some(), "{:#?}", checked.mistakes);
        checked.warnings.into_iter().map(|warning| warning.message).collect()
    };
    let empty = warned(BASE);
    assert!(empty.iter().any(|w| w.contains("nobody can log in")), "{empty:?}");
    assert!(empty.iter().any(|w| w.contains("nothing to reach")), "{empty:?}");
    let open =
        warned(&format!("{BASE}{UPSTREAM}[[identity]]\nkind = \"dev\"\nusers = [{{ name = \"alice\" }}]"));
    assert!(open.iter().any(|w| w.contains("lets anybody in")), "{open:?}");
    let relaxed = warned(&format!("{BASE}{UPSTREAM}tls = \"relaxed\""));
    assert!(relaxed.iter().any(|w| w.contains("plaintext or unverified")), "{relaxed:?}");
    fs::remove_file(dir.path().join("policies/a.cedar")).unwrap();
    let none = warned(BASE);
    assert!(none.iter().any(|w| w.contains("everything is denied")), "{none:?}");
}

#[cfg(unix)]
#[test]
fn a_key_that_others_can_read_is_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder();
    fs::set_permissions(dir.path().join("key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let checked = checked(&dir, &format!("{BASE}[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\""));
    let warning = checked.warnings.iter().find(|w| w.message.contains("mode 0644")).expect("a warning");
    assert!(warning.remedy.as_ref().unwrap().starts_with("chmod 600"));
}

#[test]
fn what_init_writes_loads_and_permits_what_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("new/gateway");
    let written = init(&home).unwrap();
    assert_eq!(
        written,
        [home.join("gateway.toml"), home.join("policies/models.cedar"), home.join("policy-tests.toml")]
    );
    let config = load(&written[0]).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"));
    assert_eq!(config.models[0].name, "llama");
    assert!(config.accept.listen.ip().is_loopback());
    let policies =
        policy::Policies::load(&config.policies, &config.facts()).unwrap_or_else(|m| panic!("{m:#?}"));
    assert_eq!(policies.len(), 2);

    let again = init(&home).unwrap_err();
    assert_eq!(again.kind(), std::io::ErrorKind::AlreadyExists);
}

#[test]
fn init_writes_nothing_where_something_is() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("policies")).unwrap();
    fs::write(dir.path().join("policies/models.cedar"), "mine").unwrap();
    assert!(init(dir.path()).is_err());
    assert!(!dir.path().join("gateway.toml").exists());
    assert_eq!(fs::read_to_string(dir.path().join("policies/models.cedar")).unwrap(), "mine");
}

#[test]
fn the_commented_parts_of_the_sample_are_true_too() {
    let dir = folder();
    fs::copy(dir.path().join("cert.pem"), dir.path().join("fraud-ca.pem")).unwrap();
    let sample = include_str!("sample/gateway.toml");
    let fraud = sample.split("# [[model]]").nth(1).unwrap().lines().map(|line| line.trim_start_matches("# "));
    let oidc = sample.split("# [[identity]]\n").nth(1).unwrap().lines();
    let oidc = oidc.take_while(|line| !line.is_empty()).map(|line| line.trim_start_matches("# "));
    let text = format!(
        "{sample}\n[[model]]{}\n[[identity]]\n{}\n",
        fraud.collect::<Vec<_>>().join("\n"),
        oidc.collect::<Vec<_>>().join("\n")
    );
    let config = good(&dir, &text);
    assert_eq!((config.models.len(), config.identity.providers.len()), (2, 2));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_bytes_make_a_check_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gateway.toml");
        fs::write(&path, &bytes).unwrap();
        prop_assert!(load(&path).is_err());
    }

    #[test]
    fn no_value_makes_a_check_panic(case in 0..CASES.len(), cut in 0_usize..200, put in "[ -~é\n]{0,6}") {
        let (kind, text, ..) = CASES[case];
        let whole = format!("{}{text}", before(kind));
        let (head, tail) = whole.split_at(whole.floor_char_boundary(cut));
        let dir = tempfile::tempdir().unwrap();
        checked(&dir, &format!("{head}{put}{tail}"));
    }
}

#[test]
fn deep_nesting_is_an_answer_not_a_crash() {
    let dir = folder();
    for (open, close) in [("[", "]"), ("{ a = ", "}"), ("a.", "")] {
        let text = format!("x = {}1{}", open.repeat(10_000), close.repeat(10_000));
        assert!(checked(&dir, &text).config.is_none());
    }
    let text = format!("{} = 1", vec!["a"; 10_000].join("."));
    assert!(checked(&dir, &text).config.is_none());
}

#[test]
fn the_configurations_of_the_documentation_load() {
    let dir = folder();
    fs::copy(dir.path().join("cert.pem"), dir.path().join("gateway.pem")).unwrap();
    fs::copy(dir.path().join("key.pem"), dir.path().join("gateway.key")).unwrap();
    let pages = [include_str!("../../../docs/configuration.md"), include_str!("../../../docs/masking.md")];
    let blocks = pages.map(|page| {
        page.split("```toml\n").skip(1).filter_map(|block| block.split("```").next()).collect::<Vec<_>>()
    });
    assert_eq!(blocks.each_ref().map(Vec::len), [10, 3]);
    let blocks = blocks.concat();
    for block in blocks {
        let base = if block.contains("[gateway]") { "" } else { BASE };
        good(&dir, &format!("{base}{block}"));
    }
}

#[test]
fn the_documentation_names_every_key() {
    let documentation = include_str!("../../../docs/configuration.md");
    for key in [
        "public_url",
        "listen",
        "state",
        "metrics",
        "policies",
        "relaxed_networks",
        "certificate",
        "key",
        "database",
        "durability",
        "input",
        "credential_life",
        "session_life",
        "kind",
        "name",
        "issuer",
        "client_id",
        "client_secret",
        "scopes",
        "groups_claim",
        "ca",
        "audience",
        "jwks",
        "subject_claim",
        "accounts",
        "secret",
        "public_key",
        "token",
        "users",
        "upstream",
        "pool.max_idle",
        "pool.max_age",
        "pool.idle_timeout",
        "health.failures",
        "health.pause",
        "health.longest_pause",
        "dialect",
        "tls",
        "pins",
        "server_name",
        "client_certificate",
        "client_key",
        "credential",
        "labels",
        "limits.requests_per_minute",
        "limits.tokens_per_day",
        "limits.concurrent",
        "limits.per_caller",
        "limits.groups",
        "limits.body",
        "limits.idle",
        "on_client_fin",
        "record",
        "record_failure",
        "keep",
        "recordings",
        "recipients",
        "mask",
        "pattern",
        "validator",
    ] {
        assert!(
            documentation.contains(&format!("`{key}`")) || documentation.contains(&format!("\n{key} ")),
            "{key}"
        );
    }
}

/// The credential of a model that is written so.
fn credential(written: &str) -> Credential {
    let dir = folder();
    let checked = checked(&dir, &format!("{BASE}{UPSTREAM}credential = {written}\n"));
    assert!(checked.mistakes.is_empty(), "{written}: {:?}", checked.mistakes);
    checked.config.unwrap().models.remove(0).upstream.credential.unwrap()
}

#[test]
fn every_kind_of_credential_is_read_with_its_defaults() {
    let env = |name: &str| secret::Source::Env(name.to_owned());
    let url = |text: &str| Some(text.parse().unwrap());
    assert_eq!(
        credential(
            "{ oauth2 = { token_url = \"https://l.example.com/t\", client_id = \"c\", client_secret = { env = \"S\" }, \
             scope = \"a b\", audience = \"x\", auth = \"post\" } }"
        ),
        Credential::Oauth2(Oauth2 {
            token_url: "https://l.example.com/t".parse().unwrap(),
            client_id: "c".to_owned(),
            client_secret: env("S"),
            scope: Some("a b".to_owned()),
            audience: Some("x".to_owned()),
            post: true,
            ca: None,
        })
    );
    let aws = |keys, payload, endpoint| {
        Credential::Aws(Aws {
            region: "eu-central-1".to_owned(),
            service: "bedrock".to_owned(),
            keys,
            payload,
            endpoint,
        })
    };
    let place = "region = \"eu-central-1\", service = \"bedrock\"";
    assert_eq!(
        credential(&format!("{{ aws = {{ {place} }} }}")),
        aws(AwsKeys::Chain, AwsPayload::Signed, None)
    );
    let named = AwsKeys::Named { id: env("I"), secret: env("S"), session: Some(env("T")) };
    assert_eq!(
        credential(&format!(
            "{{ aws = {{ {place}, access_key_id = {{ env = \"I\" }}, secret_access_key = {{ env = \"S\" }}, \
             session_token = {{ env = \"T\" }}, payload = \"chunked\" }} }}"
        )),
        aws(named, AwsPayload::Chunked, None)
    );
    let role = AwsKeys::WebIdentity { role: Some("arn:aws:iam::1:role/r".to_owned()), token_file: None };
    assert_eq!(
        credential(&format!(
            "{{ aws = {{ {place}, keys = \"web_identity\", role_arn = \"arn:aws:iam::1:role/r\", \
             endpoint = \"https://vpce.example.com\", payload = \"unsigned\" }} }}"
        )),
        aws(role, AwsPayload::Unsigned, url("https://vpce.example.com"))
    );
    assert_eq!(
        credential("{ gcp = { metadata = true, endpoint = \"http://169.254.169.254\" } }"),
        Credential::Gcp(Gcp {
            identity: GcpIdentity::Metadata,
            scopes: vec!["https://www.googleapis.com/auth/cloud-platform".to_owned()],
            endpoint: url("http://169.254.169.254"),
        })
    );
    let scope = "https://cognitiveservices.azure.com/.default".to_owned();
    assert_eq!(
        credential("{ azure = { tenant = \"t\", client_id = \"c\", client_secret = { env = \"S\" } } }"),
        Credential::Azure(Azure {
            identity: AzureIdentity::Client {
                tenant: "t".to_owned(),
                client_id: "c".to_owned(),
                client_secret: env("S"),
            },
            scope: scope.clone(),
            endpoint: None,
        })
    );
    assert_eq!(
        credential("{ azure = { managed_identity = true, client_id = \"c\" } }"),
        Credential::Azure(Azure {
            identity: AzureIdentity::Managed { client_id: Some("c".to_owned()) },
            scope,
            endpoint: None,
        })
    );
}
