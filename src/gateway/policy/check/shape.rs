//! How deep a policy may be: Cedar's parser recurses without a bound, and a policy file must not end the gateway.

/// The deepest nesting of brackets and `if` in a policy.
const MAX_NESTING: usize = 32;

/// The most `&&`, `||`, `+`, `-` and `*` in a policy: each is a step into the depth when it is evaluated.
const MAX_OPERATORS: usize = 32;

/// The most `.`, `[` and `!` in a policy: in a chain, each is a step too.
const MAX_ACCESSES: usize = 256;

/// The byte and the sentence about the first policy that is too deep.
pub(super) fn too_deep(text: &str) -> Option<(usize, String)> {
    let mut policy = Policy::default();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let at = text.len().saturating_sub(rest.len());
        let length = token(rest, first);
        policy.add(rest.get(..length).unwrap_or_default());
        if policy.brackets.saturating_add(policy.ifs) > MAX_NESTING {
            return Some((at, format!("this policy nests deeper than {MAX_NESTING} levels")));
        }
        if policy.operators > MAX_OPERATORS {
            return Some((
                at,
                format!("this policy has more than {MAX_OPERATORS} operators (&&, ||, +, -, *)"),
            ));
        }
        if policy.accesses > MAX_ACCESSES {
            return Some((at, format!("this policy has more than {MAX_ACCESSES} accesses (., [, !)")));
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    None
}

/// The length of the next token: a comment, a string, a word, `&&`, `||`, or one character.
fn token(rest: &str, first: char) -> usize {
    let until = |end: Option<usize>| end.unwrap_or(rest.len());
    match first {
        '"' => {
            let mut escaped = false;
            until(rest.char_indices().skip(1).find_map(|(at, c)| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends.then_some(at.saturating_add(1))
            }))
        }
        '/' if rest.starts_with("//") => until(rest.find('\n')),
        '&' | '|' if rest.starts_with("&&") || rest.starts_with("||") => 2,
        c if word(c) => until(rest.find(|c| !word(c))),
        c => c.len_utf8(),
    }
}

fn word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What has been counted of the policy being read.
#[derive(Default)]
struct Policy {
    brackets: usize,
    ifs: usize,
    operators: usize,
    accesses: usize,
}

impl Policy {
    fn add(&mut self, token: &str) {
        match token {
            "(" | "{" => self.brackets = self.brackets.saturating_add(1),
            "[" => {
                self.brackets = self.brackets.saturating_add(1);
                self.accesses = self.accesses.saturating_add(1);
            }
            ")" | "}" | "]" => self.brackets = self.brackets.saturating_sub(1),
            "if" => self.ifs = self.ifs.saturating_add(1),
            "&&" | "||" | "+" | "-" | "*" => self.operators = self.operators.saturating_add(1),
            "." | "!" => self.accesses = self.accesses.saturating_add(1),
            ";" => *self = Self::default(),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_comments_and_other_policies_do_not_count() {
        let brackets = "(".repeat(100);
        assert_eq!(too_deep(&format!("// {brackets}\n\"{brackets}\\\"{brackets}\"")), None);
        let policy =
            format!("permit(principal, action, resource) when {{ {} true }};", "true && ".repeat(30));
        assert_eq!(too_deep(&policy.repeat(3)), None);
    }

    #[test]
    fn each_way_into_the_depth_is_bounded() {
        for (way, message) in [
            ("(", "nests deeper"),
            ("[", "nests deeper"),
            ("{", "nests deeper"),
            ("if true then true else ", "nests deeper"),
            ("a.", "accesses"),
            ("a && ", "operators"),
            ("a||", "operators"),
            ("a[\"b\"]", "accesses"),
            ("1 + ", "operators"),
            ("!", "accesses"),
        ] {
            let (_, found) = too_deep(&way.repeat(300)).unwrap();
            assert!(found.contains(message), "{way}: {found}");
        }
    }
}
