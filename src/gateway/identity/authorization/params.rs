//! Parameters of OAuth 2.0 requests: none twice, empty ones absent (RFC 6749 §3.1, §3.2).

use url::form_urlencoded;

/// Parameters looked at.
const MAX_PARAMS: usize = 32;

/// The parameters of a query or a form.
pub(in crate::gateway::identity) struct Params(Vec<(String, String)>);

/// A parameter that stands there twice: which of the two counts is a question attackers like.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::gateway::identity) struct Repeated(pub(super) String);

impl Params {
    /// Reads a query or a form; `None` when it has more than 32 parameters.
    pub(in crate::gateway::identity) fn read(encoded: &[u8]) -> Option<Self> {
        let params: Vec<_> = form_urlencoded::parse(encoded).into_owned().take(MAX_PARAMS + 1).collect();
        (params.len() <= MAX_PARAMS).then_some(Self(params))
    }

    /// The value of a parameter.
    pub(in crate::gateway::identity) fn one(&self, name: &str) -> Result<Option<&str>, Repeated> {
        let mut values = self.0.iter().filter(|(one, _)| one == name).map(|(_, value)| value.as_str());
        let first = values.next();
        if values.next().is_some() {
            return Err(Repeated(name.to_owned()));
        }
        Ok(first.filter(|value| !value.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_stands_once_or_not_at_all() {
        let params = Params::read(b"a=1&b=&c=1&c=2&d=%20x+y").unwrap();
        assert_eq!(params.one("a"), Ok(Some("1")));
        assert_eq!(params.one("b"), Ok(None));
        assert_eq!(params.one("c"), Err(Repeated("c".to_owned())));
        assert_eq!(params.one("d"), Ok(Some(" x y")));
        assert_eq!(params.one("e"), Ok(None));
        assert!(Params::read("a=1&".repeat(33).as_bytes()).is_none());
    }
}
