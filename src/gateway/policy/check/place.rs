//! Where in a file something stands.

use std::path::Path;

use cedar_policy::{EntityUid, Policy};

use crate::gateway::policy::Mistake;

/// A source with its name.
pub(super) struct Text<'a> {
    pub(super) path: &'a Path,
    pub(super) content: &'a str,
}

impl<'a> Text<'a> {
    pub(super) fn new(path: &'a Path, content: &'a str) -> Self {
        Self { path, content }
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub(super) fn position(&self, at: usize) -> (usize, usize) {
        let before = self.content.get(..self.content.floor_char_boundary(at)).unwrap_or_default();
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
        (line, column)
    }

    /// `file:line`.
    pub(super) fn describe(&self, at: usize) -> String {
        format!("{}:{}", self.path.display(), self.position(at).0)
    }

    pub(super) fn mistake(&self, at: usize, message: String, remedy: Option<String>) -> Mistake {
        let (line, column) = self.position(at);
        Mistake { file: self.path.to_owned(), line: Some(line), column: Some(column), message, remedy }
    }

    /// Where a policy begins, and its text.
    pub(super) fn policy(&self, policy: &Policy) -> (usize, &'a str) {
        match policy.as_ref().loc() {
            Some(loc) => (loc.start(), self.content.get(loc.start()..loc.end()).unwrap_or_default()),
            None => (0, self.content),
        }
    }
}

/// Where the text of a policy names an entity, for instance `Model::"gpt"`.
pub(super) fn literal(source: &str, entity: &EntityUid) -> Option<usize> {
    let kind = entity.type_name().to_string();
    source.match_indices(&kind).map(|(at, _)| at).find(|&at| {
        let written = source.get(at.saturating_add(kind.len())..).and_then(|rest| {
            let id = rest.trim_start().strip_prefix("::")?.trim_start();
            id.get(..end_of_string(id)?)
        });
        // Spaces around `::` are Cedar in a policy, but not in an identifier read alone.
        written.and_then(|id| format!("{kind}::{id}").parse::<EntityUid>().ok()).as_ref() == Some(entity)
    })
}

/// The byte after the string literal that the text begins with.
fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().skip(1).find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at.saturating_add(1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_begin_at_one_and_count_characters() {
        let text = Text::new(Path::new("p"), "ab\né*\n");
        assert_eq!(text.position(0), (1, 1));
        assert_eq!(text.position(3), (2, 1));
        assert_eq!(text.position(5), (2, 2));
        assert_eq!(text.position(4), (2, 1), "inside a character");
        assert_eq!(text.position(99), (3, 1));
    }

    #[test]
    fn a_literal_is_found_whatever_its_characters() {
        let entity: EntityUid = r#"Model::"a\"b""#.parse().unwrap();
        let source =
            r#"permit(principal, action, resource == Model::"a") when { resource == Model :: "a\"b" };"#;
        let at = literal(source, &entity).unwrap();
        assert!(source[at..].starts_with(r#"Model :: "a\"b""#));
    }
}
