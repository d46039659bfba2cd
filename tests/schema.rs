//! The JSON Schema of an audit event is made from the types of `src/evidence/event.rs` as they are written.
//! `HOOPCTL_BLESS=1 cargo test --test runner schema` rewrites it.

use std::{fs, path::Path};

use serde_json::{Map, Value, json};
use syn::{Attribute, Expr, Field, Fields, GenericArgument, Item, Lit, Meta, PathArguments, Type};

const FILE: &str = "docs/audit-event.schema.json";

#[test]
fn the_schema_is_that_of_the_types() {
    let text = serde_json::to_string_pretty(&schema()).unwrap() + "\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    if std::env::var_os("HOOPCTL_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{FILE} is not that of the types: HOOPCTL_BLESS=1 cargo test --test runner schema"
    );
}

#[test]
fn the_schema_knows_every_field_and_which_of_them_are_always_there() {
    let schema = schema();
    assert_eq!(schema["required"], json!(["schema", "id", "time", "kind"]));
    for pointer in [
        "/properties/masked/additionalProperties/type",
        "/properties/caller/$ref",
        "/$defs/Caller/properties/groups/items/type",
        "/$defs/Leg/properties/peer_sha256/description",
        "/$defs/Response/properties/status/minimum",
    ] {
        assert!(schema.pointer(pointer).is_some(), "{pointer}");
    }
    assert_eq!(schema["properties"]["schema"]["const"], "hoopctl.audit/1");
}

fn schema() -> Value {
    let source = include_str!("../src/evidence/event.rs");
    let file = syn::parse_file(source).unwrap();
    let mut structs = Map::new();
    for item in file.items {
        let Item::Struct(item) = item else { continue };
        let whole = item.attrs.iter().any(|one| says(one, "default"));
        structs.insert(item.ident.to_string(), object(&item.fields, &item.attrs, whole));
    }
    let Some(Value::Object(mut event)) = structs.remove("Event") else { panic!("no Event") };
    let mut schema = Map::new();
    schema.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".into(), json!("hoopctl audit event"));
    event["properties"]["schema"] = json!({ "const": hoopctl::evidence::event::SCHEMA });
    schema.append(&mut event);
    schema.insert("$defs".into(), Value::Object(structs));
    Value::Object(schema)
}

/// Fields may be added in later versions: nothing forbids others.
fn object(fields: &Fields, attributes: &[Attribute], optional: bool) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        let name = field.ident.as_ref().unwrap().to_string();
        let mut value = of_type(&field.ty);
        value.as_object_mut().unwrap().insert("description".into(), json!(words(&field.attrs)));
        if !optional && !may_be_absent(field) {
            required.push(name.clone());
        }
        properties.insert(name, value);
    }
    json!({ "description": words(attributes), "type": "object", "properties": properties, "required": required })
}

fn may_be_absent(field: &Field) -> bool {
    field.attrs.iter().any(|one| says(one, "default") || says(one, "skip_serializing_if"))
}

/// Whether a `serde` attribute has this word.
fn says(attribute: &Attribute, word: &str) -> bool {
    match &attribute.meta {
        Meta::List(list) if list.path.is_ident("serde") => list.tokens.to_string().contains(word),
        _ => false,
    }
}

fn words(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|one| match &one.meta {
        Meta::NameValue(said) if said.path.is_ident("doc") => match &said.value {
            Expr::Lit(lit) => match &lit.lit {
                Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    });
    lines.collect::<Vec<_>>().join(" ")
}

fn of_type(ty: &Type) -> Value {
    let Type::Path(path) = ty else { panic!("a type the schema does not know") };
    let last = path.path.segments.last().unwrap();
    let inner: Vec<&Type> = match &last.arguments {
        PathArguments::AngleBracketed(list) => list
            .args
            .iter()
            .filter_map(|one| if let GenericArgument::Type(ty) = one { Some(ty) } else { None })
            .collect(),
        _ => Vec::new(),
    };
    match (last.ident.to_string().as_str(), inner.as_slice()) {
        ("String", []) => json!({ "type": "string" }),
        ("bool", []) => json!({ "type": "boolean" }),
        ("u16" | "u32" | "u64", []) => json!({ "type": "integer", "minimum": 0 }),
        ("i64", []) => json!({ "type": "integer" }),
        ("f64", []) => json!({ "type": "number" }),
        ("Option", [one]) => of_type(one),
        ("Vec", [one]) => json!({ "type": "array", "items": of_type(one) }),
        ("BTreeMap", [_, one]) => json!({ "type": "object", "additionalProperties": of_type(one) }),
        (name, []) => json!({ "$ref": format!("#/$defs/{name}") }),
        (name, _) => panic!("a type the schema does not know: {name}"),
    }
}
