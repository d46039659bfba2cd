//! `hoopctl gateway mask`: stdin to stdout, offline.

use std::{
    fs,
    io::Write,
    process::{Output, Stdio},
};

use crate::world::{fails, hoopctl, text};

/// Runs `gateway mask` with `args` on `input`.
fn mask(args: &[&str], input: &[u8]) -> Output {
    let mut command = hoopctl();
    command.args(["gateway", "mask"]).args(args);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_text_is_masked_and_the_rest_is_byte_for_byte_the_same() {
    let input = "Zoë <zoe@example.com>\r\n\tpaid\0 with 4111 1111 1111 1111 — 🙂\nno newline at the end";
    let output = mask(&[], input.as_bytes());
    assert_eq!(
        text(&output.stdout),
        "Zoë <[EMAIL]>\r\n\tpaid\0 with [CREDIT_CARD] — 🙂\nno newline at the end"
    );
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("masked: 1 CREDIT_CARD, 1 EMAIL"), "{}", text(&output.stderr));
}

#[test]
fn lines_keep_their_ids() {
    let input = "{\"id\":7,\"text\":\"mail a@example.com\"}\n\n{\"id\":\"b\",\"text\":\"none\"}\n";
    let output = mask(&["--jsonl", "--style", "remove"], input.as_bytes());
    assert_eq!(text(&output.stdout), "{\"id\":7,\"text\":\"mail \"}\n{\"id\":\"b\",\"text\":\"none\"}\n");
    fails(&mask(&["--jsonl"], b"{\"id\":1}\n"), 1, &["line 1", "text", "leave out --jsonl"]);
}

#[test]
fn only_what_is_asked_for_is_masked() {
    let input = b"a@example.com from 198.51.100.7\n";
    assert_eq!(text(&mask(&["--entities", "network"], input).stdout), "a@example.com from [IP_ADDRESS]\n");
    assert_eq!(text(&mask(&["--entities", "email,secrets"], input).stdout), "[EMAIL] from 198.51.100.7\n");
    fails(&mask(&["--entities", "emial"], input), 2, &["`emial`", "did you mean `EMAIL`?"]);
    fails(&mask(&["--style", "stars"], input), 2, &["label, partial, hash, remove"]);
}

#[test]
fn a_hash_is_the_same_within_a_run_and_another_in_the_next() {
    let input = b"a@example.com, b@example.com, a@example.com\n";
    let once = text(&mask(&["--style", "hash"], input).stdout);
    let parts: Vec<&str> = once.trim().split(", ").collect();
    assert!(parts[0].starts_with("[EMAIL_"), "{once}");
    assert_eq!(parts[0], parts[2]);
    assert_ne!(parts[0], parts[1]);
    assert_ne!(once, text(&mask(&["--style", "hash"], input).stdout));
}

#[test]
fn what_is_no_text_is_not_passed_on() {
    let output = mask(&[], b"fine \xFF\xFE secret");
    fails(&output, 1, &["not UTF-8 at byte 5", "iconv"]);
    assert!(!text(&output.stdout).contains("secret"));
}

#[test]
fn a_file_says_what_a_model_masks() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("gateway.toml");
    let config = |text: &str| fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let model = "[[model]]\nname = \"m\"\n";
    config(&format!(
        "[[entity]]\nname = \"EMPLOYEE_ID\"\npattern = \"E[0-9]{{6}}\"\n{model}mask = {{ entities = [\"EMPLOYEE_ID\", \"email\"], style = \"partial\" }}\n"
    ));
    let input = b"E123456 a@example.com 198.51.100.7\n";
    let output = mask(&["--config", path, "--model", "m"], input);
    assert_eq!(
        text(&output.stdout),
        "******* *@*******.*** 198.51.100.7\n".replace("*******.***", "*******.*om")
    );
    let output = mask(&["--config", path, "--entities", "employee_id", "--style", "label"], input);
    assert_eq!(text(&output.stdout), "[EMPLOYEE_ID] a@example.com 198.51.100.7\n");

    fails(&mask(&["--config", path, "--model", "n"], b""), 2, &["no [[model]] `n`", "known: m"]);
    for (pattern, why) in [
        ("[0-9]+", "no longest match"),
        ("(a|b)*c", "no longest match"),
        ("[0-9]{600}", "at most 512"),
        ("x?", "can match nothing"),
        ("\\\\bE[0-9]{6}", "looks around itself"),
        ("E[0-9", "not a regular expression"),
    ] {
        config(&format!("[[entity]]\nname = \"EMPLOYEE_ID\"\npattern = \"{pattern}\"\n"));
        fails(&mask(&["--config", path], b""), 2, &[":3:", why, "docs/masking.md"]);
    }
    config(&format!("{model}mask = {{ entities = [\"emial\"] }}\n"));
    fails(&mask(&["--config", path, "--model", "m"], b""), 2, &["did you mean `EMAIL`?"]);
    // What applies to answers alone is read as the gateway reads it.
    config(&format!("{model}mask = {{ fields = [\"ssn\"] }}\n"));
    fails(&mask(&["--config", path, "--model", "m"], b""), 2, &[":3:", "`ssn` is no field rule"]);
    config(&format!("{model}mask = {{ fields = [\"$.ssn\"] }}\n"));
    assert_eq!(text(&mask(&["--config", path, "--model", "m"], b"a@example.com").stdout), "[EMAIL]");
}
