//! What the demo model says: the same to the same question, and about the one subject it knows.

/// The longest part of a question that is repeated, in characters.
const LONGEST_ECHO: usize = 120;

/// Subjects by the words they are recognised by; the first that fits is taken.
const SUBJECTS: &[(&[&str], &str)] = &[
    (
        &["read", "see", "secret", "private", "listen", "encrypt", "tls", "quantum", "safe", "secure"],
        "Nobody between us. Your words went from your program to a port on this machine, from there to the gateway \
         through a tunnel with TLS 1.3 and a post-quantum key exchange, and from the gateway to me over a second TLS \
         connection whose certificate it verified. Only the gateway, which decides and records, and I, who answer, \
         had them in the clear.",
    ),
    (
        &["key", "credential", "token", "password"],
        "You never had my key. The gateway joined it to your request on its own leg, after a policy had permitted it. \
         What you hold is a certificate that ends in minutes and is renewed while you work.",
    ),
    (
        &["policy", "allowed", "permit", "denied", "access", "who may"],
        "A Cedar policy decided that you may ask me, and it decides again for each request. Change the file in the \
         gateway's policies folder and the next request is decided by the new one.",
    ),
    (
        &["audit", "log", "record", "evidence", "proof"],
        "Before my first byte was asked for, the gateway had written down durably that you would ask. When I have \
         finished, the same event says who asked, what decided, how both legs were encrypted and how it ended.",
    ),
    (
        &["who are you", "what are you", "your name", "hello", "hi ", "hey"],
        "Hello. I am the demo model: a few sentences behind a real OpenAI-compatible server with TLS of its own. \
         Put your model in my place and everything around me stays the same.",
    ),
];

const OTHERWISE: &str = "I know one subject only: the way your words just took. Ask me who can read them, who decided \
     that you may ask, who holds my key, or what the audit log says.";

/// The answer to a question.
pub(super) fn to(question: &str) -> String {
    let asked = question.to_lowercase();
    let subject = SUBJECTS
        .iter()
        .find(|(words, _)| words.iter().any(|word| asked.contains(word)))
        .map_or(OTHERWISE, |(_, answer)| answer);
    let echo: String = question.split_whitespace().collect::<Vec<_>>().join(" ");
    if echo.is_empty() {
        return OTHERWISE.to_owned();
    }
    let cut: String = echo.chars().take(LONGEST_ECHO).collect();
    let dots = if cut.len() < echo.len() { "…" } else { "" };
    format!("You asked: \u{201c}{cut}{dots}\u{201d} {subject}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_question_has_the_same_answer_and_it_is_about_the_question() {
        let question = "Who can read what I ask you?";
        assert_eq!(to(question), to(question));
        assert!(to(question).contains(question));
        assert!(to(question).contains("post-quantum"));
        assert!(to("").starts_with("I know one subject"));
    }

    #[test]
    fn a_long_question_is_repeated_in_part() {
        assert!(to(&"warum ".repeat(1_000)).len() < 1_000);
    }
}
