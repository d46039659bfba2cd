//! What is found in which surroundings, and how GitHub is asked.

use std::path::Path;

use super::*;

fn found(variables: &[(&str, &str)], projected: &Path) -> Option<String> {
    let env = |name: &str| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    };
    detect_in(&env, projected).map(|machine| machine.to_string())
}

#[test]
fn explicit_credentials_go_before_those_of_platforms() {
    let none = Path::new("/nowhere/token");
    let dir = tempfile::tempdir().unwrap();
    let projected = dir.path().join("hoopctl");
    std::fs::write(&projected, "jwt").unwrap();
    let github = [("ACTIONS_ID_TOKEN_REQUEST_URL", "https://x/"), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t")];
    let all = [
        &[("HOOPCTL_WORKLOAD_TOKEN", "a"), ("HOOPCTL_WORKLOAD_TOKEN_FILE", "/f")][..],
        &[("HOOPCTL_WORKLOAD_TOKEN_FILE", "/f"), ("HOOPCTL_SERVICE_ACCOUNT", "nightly")],
        &[("HOOPCTL_SERVICE_ACCOUNT", "nightly"), github[0], github[1]],
        &[github[0], github[1], ("HOOPCTL_ID_TOKEN", "b")],
        &[("HOOPCTL_ID_TOKEN", "b")],
        &[("HOOPCTL_WORKLOAD_TOKEN", "")],
        // What GitLab deprecated, and half of what GitHub gives, are nothing.
        &[("CI_JOB_JWT_V2", "c")],
        &github[..1],
    ];
    let said: Vec<_> = all.iter().map(|variables| found(variables, none)).collect();
    let token = "a workload's token in the environment";
    let file = "the workload's token in /f";
    let expected =
        [Some(token), Some(file), Some("the service account nightly"), Some("GitHub Actions"), Some(token)];
    assert_eq!(&said[..5], expected.map(|text| text.map(str::to_owned)));
    assert_eq!(&said[5..], [None, None, None]);
    assert!(found(&[], &projected).unwrap().contains("hoopctl"), "a projected token");
}

#[test]
fn tokens_are_fetched_for_this_gateway_alone() {
    let gateway = Url::parse("https://gw.example.test:8443").unwrap();
    let named = |audiences: &[&str]| audiences.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
    let good = ["hoopctl", "hoopctl-prod", "https://gw.example.test:8443", "gw.example.test", "mine"];
    let other = ["sts.amazonaws.com", "https://gw.example.test.example.com", "https://gw.example.test", ""];
    let all: Vec<_> = good.iter().chain(&other).copied().collect();
    assert_eq!(meant(named(&all), &gateway, &named(&["mine"])).unwrap(), good);
    let error = meant(named(&other), &gateway, &[]).unwrap_err();
    assert!(error.message.contains("sts.amazonaws.com"), "{error}");
    assert!(error.remedy.unwrap().contains("HOOPCTL_WORKLOAD_AUDIENCE"));
}

#[test]
fn nothing_secret_is_printed() {
    let env = |name: &str| (name == "HOOPCTL_WORKLOAD_TOKEN").then(|| OsString::from("very-secret"));
    assert!(!format!("{:?}", detect_in(&env, Path::new("/nowhere"))).contains("very-secret"));
}

#[tokio::test]
async fn only_https_or_this_machine_is_asked() {
    for wrong in ["http://192.0.2.1/token", "file:///etc/passwd", "nonsense"] {
        let error = id_token(wrong, &"t".into(), "hoopctl", &Proxies::default()).await.unwrap_err();
        assert!(error.message.contains("GitHub Actions") && error.remedy.is_some(), "{error}");
    }
}

#[test]
fn an_assertion_is_signed_with_either_kind_of_key_that_nobody_else_can_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    for (kind, alg) in [(&rcgen::PKCS_ECDSA_P256_SHA256, "ES256"), (&rcgen::PKCS_ED25519, "EdDSA")] {
        let key = rcgen::KeyPair::generate_for(kind).unwrap();
        crate::secret::write_private(&path, key.serialize_pem().as_bytes()).unwrap();
        let jwt = sign(&path, "nightly", "https://gw.example.test/oauth2/token", 1_000).unwrap();
        let part = |n: usize| -> serde_json::Value {
            let part = jwt.expose_secret().split('.').nth(n).unwrap();
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(part(0)["alg"], alg);
        assert_eq!((part(1)["sub"].as_str(), part(1)["exp"].as_i64()), (Some("nightly"), Some(1_060)));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(sign(&path, "nightly", "x", 0).unwrap_err().message.contains("chmod 600"));
    }
}
