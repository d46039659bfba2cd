//! What holds for every text and every cut.

use std::sync::Arc;

use proptest::prelude::*;

use super::{Custom, Entity, Key, Masker, Rules, Style, Validator};

mod cases;

fn masker(style: Style) -> Masker {
    Masker::new(Arc::new(Rules::everything(style)), Arc::new(Key::new(&[7; 32])))
}

/// The text masked in one piece.
fn whole(text: &str, style: Style) -> String {
    let (mut masker, mut out) = (masker(style), String::new());
    masker.push(text, &mut out);
    masker.finish(&mut out);
    out
}

/// The text masked in pieces that end at `cuts`, bytes moved to the next character.
fn pieces(text: &str, cuts: &[usize], style: Style) -> String {
    let (mut masker, mut out) = (masker(style), String::new());
    let mut at = 0;
    let mut cuts: Vec<usize> = cuts.iter().map(|c| text.ceil_char_boundary(c % (text.len() + 1))).collect();
    cuts.push(text.len());
    cuts.sort_unstable();
    for cut in cuts {
        masker.push(&text[at..cut], &mut out);
        at = cut;
    }
    masker.finish(&mut out);
    out
}

/// Letters and digits that no scanner takes for a key in this file.
fn drawn(count: usize) -> String {
    "aB3dE5gH7jK9mN2pQ4sT6vW8yZ1bC0fG".chars().cycle().take(count).collect()
}

fn pem(lines: usize) -> String {
    let body = vec![drawn(64); lines].join("\n");
    format!("-----BEGIN RSA {0}-----\n{body}\nAb3=\n-----END RSA {0}-----", ["PRIVATE", "KEY"].join(" "))
}

fn fragment() -> impl Strategy<Value = String> {
    let fixed = [
        "alice@example.com",
        "4111 1111 1111 1111",
        "4111111111111111",
        "DE89 3704 0044 0532 0130 00",
        "219-09-9999",
        "+44 20 7946 0958",
        "(415) 555-2671",
        "192.0.2.44",
        "2001:db8::8a2e:370:7334",
        "00:1b:44:11:3a:b7",
        "SSN: ",
        "password: ",
        "Tr0ub4dor&3",
        "date of birth ",
        "12 March 1990",
        "AB 12 34 56 C",
        "is ",
        " and ",
        ", ",
        ". ",
        "\n",
        "| ",
        "\"",
        "\\n",
        "é",
        "数字",
        "🙂",
        "\u{200b}",
        "\u{a0}",
        "\u{2011}",
        "４１１１",
        "١٢٣",
        "http://a:b@c/",
        "-----",
        "BEGIN ",
        "x",
        "12",
        "-",
        "well-known ",
        "e.g. ",
        "don't ",
        "card | cvv\n",
        "ssn,phone\n",
        "550e8400-e29b-41d4-a716-446655440000",
        "data:image/png;base64,",
        "1.2.3",
        "MRN ",
        "key=",
        "sk-",
        "....",
        "@",
        ":",
        "/",
        "+1",
        "0x",
        "eyJ",
        "IBAN ",
        "GB",
        "token ",
    ];
    prop_oneof![
        6 => proptest::sample::select(fixed.to_vec()).prop_map(str::to_owned),
        1 => (20_usize..60).prop_map(|n| format!("sk-proj-{}", drawn(n))),
        1 => (20_usize..60).prop_map(|n| format!("eyJ{}.eyJ{}.{}", drawn(n), drawn(n), drawn(n))),
        1 => (1_usize..4).prop_map(pem),
        1 => "[a-z]{1,9} ",
        1 => "[0-9 .-]{1,20}",
        1 => "\\PC{1,6}",
    ]
}

fn document() -> impl Strategy<Value = String> {
    prop::collection::vec(fragment(), 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_cut_gives_the_same(text in document(), cuts in prop::collection::vec(any::<usize>(), 0..12)) {
        for style in Style::ALL {
            prop_assert_eq!(whole(&text, style), pieces(&text, &cuts, style));
        }
        let every: Vec<usize> = (0..text.len()).collect();
        prop_assert_eq!(whole(&text, Style::Label), pieces(&text, &every, Style::Label));
    }

    #[test]
    fn nothing_let_go_belongs_to_a_later_value(text in document(), more in document(), other in document()) {
        let (mut masker, mut released) = (masker(Style::Label), String::new());
        masker.push(&text, &mut released);
        let ends = [whole(&[text.as_str(), &more].concat(), Style::Label), whole(&[text, other].concat(), Style::Label)];
        prop_assert!(ends.iter().all(|e| e.starts_with(&released)), "{released:?} of {ends:?}");
    }

    #[test]
    fn what_is_cut_off_is_not_let_go(text in document()) {
        let (mut masker, mut out) = (masker(Style::Label), String::new());
        masker.push(&text, &mut out);
        let (before, held) = (out.clone(), masker.held());
        masker.abort(&mut out);
        let rest = out.strip_prefix(&before).unwrap_or_default();
        prop_assert!(rest.is_empty() || rest == "[MASKED]", "{rest:?}");
        prop_assert!(held == 0 || rest == "[MASKED]" || rest.is_empty());
        prop_assert_eq!(masker.held(), 0);
    }

    #[test]
    fn what_is_held_is_bounded(text in "\\PC{0,3000}", dense in document()) {
        let (mut masker, mut out) = (masker(Style::Label), String::new());
        for char in text.chars().chain(dense.chars()) {
            masker.push(char.encode_utf8(&mut [0; 4]), &mut out);
            prop_assert!(masker.held() < 4096, "{} bytes are held", masker.held());
        }
    }

    #[test]
    fn words_are_left_alone(words in prop::collection::vec("[a-z]{1,12}|[A-Z][a-z]{2,9}", 1..60)) {
        let text = words.join(" ");
        prop_assert_eq!(whole(&text, Style::Label), text);
    }
}

#[test]
fn prose_is_held_for_a_word() {
    let text = "The gateway keeps what might become a value until the next word shows that it does not. \
                It doesn't wait for the end of a sentence, nor for the end of a line: a word is enough. "
        .repeat(20);
    let (mut masker, mut out) = (masker(Style::Label), String::new());
    let mut held = Vec::new();
    for char in text.chars() {
        masker.push(char.encode_utf8(&mut [0; 4]), &mut out);
        held.push(masker.held());
    }
    held.sort_unstable();
    assert!(held[held.len() / 2] <= 8, "median {}", held[held.len() / 2]);
    assert!(held[held.len() - 1] <= 16, "most {}", held[held.len() - 1]);
}

#[test]
fn an_endless_value_is_dropped_as_it_comes() {
    for begin in [
        format!("sk-proj-{}", drawn(40)),
        format!("eyJ{}.eyJ{}", drawn(20), drawn(20)),
        pem(2).replace("-----END", ""),
    ] {
        let (mut masker, mut out) = (masker(Style::Label), String::new());
        masker.push(&begin, &mut out);
        for _ in 0..4000 {
            masker.push(&drawn(61), &mut out);
            assert!(masker.held() < 512, "{} bytes are held", masker.held());
        }
        masker.finish(&mut out);
        assert!(out.len() < 40, "{out}");
    }
}

#[test]
fn too_long_for_what_it_claims_is_masked() {
    let text = format!("postgres://app:{}", "p4ss".repeat(2000));
    assert_eq!(whole(&text, Style::Label), "postgres://app:[URL_CREDENTIALS]");
    let text = format!("password = \"{}\"", "p4ss".repeat(2000));
    assert_eq!(whole(&text, Style::Label), "password = \"[PASSWORD]\"");
}

#[test]
fn invisible_characters_hide_nothing_and_hold_nothing() {
    assert_eq!(whole("4111\u{200b}1111\u{200b}1111\u{200b}1111", Style::Label), "[CREDIT_CARD]");
    let (mut masker, mut out) = (masker(Style::Label), String::new());
    masker.push("4111", &mut out);
    for _ in 0..10_000 {
        masker.push("\u{200b}", &mut out);
        assert!(masker.held() < 256);
    }
}

#[test]
fn partial_shows_no_four_characters() {
    let values = [
        "4111 1111 1111 1111",
        "alice.smith@example.com",
        "DE89370400440532013000",
        "219-09-9999",
        "+44 20 7946 0958",
    ];
    for value in values {
        let masked = whole(value, Style::Partial);
        let shown: Vec<String> =
            value.as_bytes().windows(4).map(|w| String::from_utf8_lossy(w).into_owned()).collect();
        assert!(shown.iter().all(|s| !masked.contains(s.as_str())), "{value} → {masked}");
        assert_eq!(masked.chars().count(), value.chars().count());
    }
    assert_eq!(whole(&format!("hf_{}", drawn(34)), Style::Partial), "********");
}

#[test]
fn a_hash_is_stable_whatever_the_spelling_and_tells_nothing_without_the_key() {
    let spaced = whole("4111 1111 1111 1111", Style::Hash);
    assert_eq!(spaced, whole("4111-1111-1111-1111", Style::Hash));
    assert!(spaced.starts_with("[CREDIT_CARD_"), "{spaced}");
    let mut other = Masker::new(Arc::new(Rules::everything(Style::Hash)), Arc::new(Key::new(&[8; 32])));
    let mut out = String::new();
    other.push("4111 1111 1111 1111", &mut out);
    other.finish(&mut out);
    assert_ne!(spaced, out);
}

#[test]
fn counts_are_by_entity_and_only_the_chosen_are_masked() {
    let names = ["email".to_owned(), "network".to_owned()];
    let rules = Arc::new(Rules::new(&names, &[], Style::Label).unwrap());
    let (mut masker, mut out) = (Masker::new(rules, Arc::new(Key::new(&[7; 32]))), String::new());
    masker.push("a@example.com b@example.com 192.0.2.44 219-09-9999 ", &mut out);
    masker.finish(&mut out);
    assert_eq!(out, "[EMAIL] [EMAIL] [IP_ADDRESS] 219-09-9999 ");
    assert_eq!(
        masker.counts().iter().map(|(n, c)| (n.as_str(), *c)).collect::<Vec<_>>(),
        [("EMAIL", 2), ("IP_ADDRESS", 1)]
    );
    assert!(Rules::new(&["nothing".to_owned()], &[], Style::Label).is_err());
    assert_eq!(
        Entity::ALL.len(),
        Entity::ALL.iter().map(|e| e.name()).collect::<std::collections::BTreeSet<_>>().len()
    );
}

#[test]
fn an_entity_of_ones_own_needs_its_label_and_its_check() {
    let employee = Custom::new("EMPLOYEE_ID", "E[0-9]{6}", None, &[]).unwrap();
    let member = Custom::new("MEMBER", "[0-9]{8}", Some(Validator::Luhn), &["member no".to_owned()]).unwrap();
    let names = ["EMPLOYEE_ID".to_owned(), "member".to_owned()];
    let rules = Arc::new(Rules::new(&names, &[employee, member], Style::Label).unwrap());
    let run = |text: &str, every: bool| {
        let (mut masker, mut out) =
            (Masker::new(Arc::clone(&rules), Arc::new(Key::new(&[7; 32]))), String::new());
        if every {
            text.chars().for_each(|c| masker.push(c.encode_utf8(&mut [0; 4]), &mut out));
        } else {
            masker.push(text, &mut out);
        }
        masker.finish(&mut out);
        out
    };
    for (text, masked) in [
        ("E123456, xE123456, E1234567", "[EMPLOYEE_ID], xE123456, E1234567"),
        ("Member-No. 12345674", "Member-No. [MEMBER]"),
        ("Member no 12345675 and 12345674", "Member no 12345675 and [MEMBER]"),
        ("order 12345674", "order 12345674"),
    ] {
        assert_eq!(run(text, false), masked);
        assert_eq!(run(text, true), masked);
    }
}

#[test]
fn an_entity_that_cannot_be_bounded_is_refused() {
    let none = || Vec::<String>::new();
    for (name, pattern) in [
        ("EMAIL", "x{3}"),
        ("lower", "x{3}"),
        ("ANY", ".*"),
        ("ANY", "a+b"),
        ("ANY", "(a*)*"),
        ("ANY", "a{600}"),
        ("ANY", "a?"),
        ("ANY", "^abc"),
        ("ANY", "a("),
        ("ANY", "(\\w{1,50}\\W){1,20}"),
    ] {
        assert!(Custom::new(name, pattern, None, &none()).is_err(), "{name} {pattern}");
    }
    assert!(Custom::new("ANY", "[a-z]{3,200}", None, &none()).is_ok());
}
