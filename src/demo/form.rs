//! Reads the first form of a sign-in page: just enough of HTML for pages that this program itself has made.

/// A form and its fields.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) action: String,
    fields: Vec<Field>,
}

#[derive(Debug, PartialEq, Eq)]
struct Field {
    name: String,
    value: String,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Sent as it stands.
    Hidden,
    /// One of several: a button, a radio button or an option.
    Choice,
    /// Typed in.
    Text,
}

impl Form {
    /// What a person called `user` sends: the hidden fields, their name where one is typed, and of every choice the
    /// one that is theirs.
    pub(super) fn filled_in_by(&self, user: &str) -> Vec<(String, String)> {
        self.fields
            .iter()
            .filter(|field| field.kind != Kind::Choice || field.value == user)
            .map(|field| {
                let value = if field.kind == Kind::Text { user } else { &field.value };
                (field.name.clone(), value.to_owned())
            })
            .collect()
    }
}

/// The first form of a page.
pub(super) fn first(html: &str) -> Option<Form> {
    let (_, after) = html.split_once("<form")?;
    let (inside, _) = after.split_once("</form>")?;
    let (head, body) = inside.split_once('>')?;
    let mut form = Form { action: attribute(head, "action").unwrap_or_default(), ..Form::default() };
    let mut selected = String::new();
    for tag in body.split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default();
        let element = tag.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
        let value = attribute(tag, "value").unwrap_or_default();
        let name = attribute(tag, "name");
        let (name, kind) = match (element, attribute(tag, "type").as_deref(), name) {
            ("select", _, Some(name)) => {
                selected = name;
                continue;
            }
            ("option", _, _) if !selected.is_empty() => (selected.clone(), Kind::Choice),
            ("button", _, Some(name)) | ("input", Some("radio" | "submit"), Some(name)) => {
                (name, Kind::Choice)
            }
            ("input", Some("hidden"), Some(name)) => (name, Kind::Hidden),
            ("input", None | Some("text" | "email"), Some(name)) => (name, Kind::Text),
            _ => continue,
        };
        form.fields.push(Field { name, value, kind });
    }
    Some(form)
}

/// The value of an attribute in double quotes, its entities resolved.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let opening = format!(" {name}=\"");
    let spaced = format!(" {}", tag.replace(['\n', '\t', '\r'], " "));
    let (_, after) = spaced.split_once(&opening)?;
    let (value, _) = after.split_once('"')?;
    Some(
        value
            .replace("&quot;", "\"")
            .replace("&#34;", "\"")
            .replace("&#39;", "'")
            .replace("&lt;", "<")
            .replace("&#60;", "<")
            .replace("&gt;", ">")
            .replace("&#62;", ">")
            .replace("&#38;", "&")
            .replace("&amp;", "&"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_with_buttons_is_filled_in_with_ones_own() {
        let page = r#"<h1>Sign in</h1><form method="post" action="/login/dev?a=1&amp;b=2">
            <input type="hidden" name="state" value="x&#38;y">
            <button name="user" value="alice">alice</button> <button name="user" value="bob">bob</button></form>"#;
        let form = first(page).unwrap();
        assert_eq!(form.action, "/login/dev?a=1&b=2");
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(form.filled_in_by("bob"), vec![pair("state", "x&y"), pair("user", "bob")]);
    }

    #[test]
    fn selects_radios_and_text_fields_are_understood() {
        let page = |inside: &str| first(&format!("<form action=\"/a\">{inside}</form>")).unwrap();
        let alice = vec![("user".to_owned(), "alice".to_owned())];
        for inside in [
            r#"<select name="user"><option value="bob">b</option><option value="alice">a</option></select>"#,
            r#"<input type="radio" name="user" value="alice"/><input type="radio" name="user" value="bob"/>"#,
            r#"<input name="user" autocomplete="username">"#,
        ] {
            assert_eq!(page(inside).filled_in_by("alice"), alice, "{inside}");
        }
    }
}
