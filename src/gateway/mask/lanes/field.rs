//! `$.customer.ssn`, `$.predictions[*].email`: values that an operator names by where they stand (a subset of RFC 9535).

use super::json::{Path, Step};

/// The longest rule, bytes.
const LONGEST: usize = 512;
/// The most steps of a rule.
const MOST_STEPS: usize = 32;

/// Values by where they stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Key(String),
    Index(usize),
    /// `[*]` and `.*`: any element or key.
    Any,
}

/// Why a rule is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoField(&'static str);

impl Field {
    /// Reads `$`, then any of `.key`, `['key']`, `[3]`, `[*]` and `.*`.
    ///
    /// # Errors
    /// When it is anything else, or has no step.
    pub fn parse(text: &str) -> Result<Self, NoField> {
        if text.len() > LONGEST {
            return Err(NoField("it is longer than 512 bytes"));
        }
        let mut rest = text.strip_prefix('$').ok_or(NoField("it begins with `$`, as in `$.customer.ssn`"))?;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (part, after) = part(rest)?;
            parts.push(part);
            rest = after;
        }
        match parts.len() {
            0 => Err(NoField("it names the whole document; name a value in it, as in `$.customer.ssn`")),
            1..=MOST_STEPS => Ok(Self(parts)),
            _ => Err(NoField("it has more than 32 steps")),
        }
    }

    /// Whether the value at `path` is named, or lies in one that is.
    pub(super) fn covers(&self, path: &Path) -> bool {
        path.steps().len() >= self.0.len()
            && self.0.iter().zip(path.steps()).all(|(part, step)| match (part, step) {
                (Part::Any, _) => true,
                (Part::Key(wanted), Step::Key(key)) => wanted == key,
                (Part::Index(wanted), Step::Index(index)) => wanted == index,
                _ => false,
            })
    }
}

fn part(rest: &str) -> Result<(Part, &str), NoField> {
    const STEPS: NoField = NoField("steps are `.key`, `['key']`, `[0]`, `[*]` and `.*`");
    if let Some(rest) = rest.strip_prefix("['") {
        let (key, rest) = rest.split_once("']").ok_or(STEPS)?;
        return Ok((Part::Key(key.to_owned()), rest));
    }
    if let Some(rest) = rest.strip_prefix('[') {
        let (index, rest) = rest.split_once(']').ok_or(STEPS)?;
        let part = if index == "*" { Part::Any } else { Part::Index(index.parse().map_err(|_| STEPS)?) };
        return Ok((part, rest));
    }
    let rest = rest.strip_prefix('.').ok_or(STEPS)?;
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let (key, rest) = rest.split_at(end);
    match key {
        "" => Err(STEPS),
        "*" => Ok((Part::Any, rest)),
        key => Ok((Part::Key(key.to_owned()), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::mask::lanes::json::{Escapes, Scanner, Sink};

    struct Covered<'a>(&'a Field, Vec<String>);

    impl Sink for Covered<'_> {
        fn raw(&mut self, _: &[u8]) {}
        fn enter(&mut self, _: &Path, _: u8, _: u64) {}
        fn leave(&mut self, _: u8, _: u64) {}
        fn open(&mut self, path: &Path, key: bool, _: u64) {
            if !key {
                self.scalar(path, "", 0);
            }
        }
        fn text(&mut self, _: &str, _: &Escapes) {}
        fn close(&mut self, _: &Escapes, _: u64) {}
        fn scalar(&mut self, path: &Path, _: &str, _: u64) {
            if self.0.covers(path) {
                self.1.push(path.to_string());
            }
        }
    }

    #[test]
    fn rules_name_values_and_what_lies_in_them() {
        let json =
            br#"{"customer":{"ssn":"1","x":{"ssn":"2"}},"p":[{"email":"a"},{"email":"b","o.k":[1,2]}]}"#;
        for (rule, covered) in [
            ("$.customer.ssn", &["$.customer.ssn"][..]),
            ("$.customer", &["$.customer.ssn", "$.customer.x.ssn"]),
            ("$.p[*].email", &["$.p[0].email", "$.p[1].email"]),
            ("$.p[1]['o.k'][0]", &["$.p[1].o.k[0]"]),
            ("$.*.ssn", &["$.customer.ssn"]),
            ("$.q", &[]),
        ] {
            let field = Field::parse(rule).unwrap();
            let mut covers = Covered(&field, Vec::new());
            Scanner::default().feed(json, &mut covers).unwrap();
            assert_eq!(covers.1, covered, "{rule}");
        }
    }

    #[test]
    fn what_is_no_rule_is_said() {
        for rule in ["", "$", "customer", "$..ssn", "$.a[", "$.a[x]", "$a", "$.", "$['a", &"$.a".repeat(300)]
        {
            assert!(Field::parse(rule).is_err(), "{rule}");
        }
    }
}
