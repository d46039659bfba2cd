//! JSON objects in which no name stands twice: two readers of a repeated name may believe two different values.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

/// An object without repeated names, at any depth (RFC 7519 §4 lets a reader refuse them).
#[derive(Clone, Debug)]
pub(super) struct Unique(pub(super) Map<String, Value>);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Any::deserialize(deserializer)?.0 {
            Value::Object(object) => Ok(Self(object)),
            _ => Err(D::Error::custom("it is no JSON object")),
        }
    }
}

/// Any value, read the same way.
struct Any(Value);

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Any(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Any(value))) = entries.next_entry::<String, Any>()? {
            if object.insert(name, value).is_some() {
                // Without the name: it is foreign text.
                return Err(A::Error::custom("a name stands twice in one object"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_name_is_refused_at_any_depth_and_all_else_is_read_as_it_stands() {
        let good = r#"{"a":1,"b":[{"a":-1.5},{"a":"x"}],"c":{"a":null,"d":true,"e":18446744073709551615}}"#;
        let read: Unique = serde_json::from_str(good).unwrap();
        assert_eq!(Value::Object(read.0), serde_json::from_str::<Value>(good).unwrap());
        for bad in [
            r#"{"sub":"alice","sub":"mallory"}"#,
            r#"{"sub":"alice","s\u0075b":"mallory"}"#,
            r#"{"a":{"groups":["x"],"groups":["y"]}}"#,
            r#"{"a":[{"b":1,"b":1}]}"#,
            "[]",
            "7",
            "",
        ] {
            assert!(serde_json::from_str::<Unique>(bad).is_err(), "{bad}");
        }
    }
}
