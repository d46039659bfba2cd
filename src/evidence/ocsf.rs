//! Events in the Open Cybersecurity Schema Framework (schema.ocsf.io): API Activity 6003, Authentication 3002.

use serde_json::{Map, Value, json};

use super::event::Event;
use crate::clock::{parse_rfc3339, unix_millis};

/// The version of the framework that the objects are of.
const VERSION: &str = "1.4.0";

/// API Activity.
const API: u32 = 6003;
/// Authentication.
const AUTHENTICATION: u32 = 3002;

/// What happened, in the framework's numbers.
struct Class {
    class: u32,
    activity: u32,
    activity_name: &'static str,
}

/// The event as an OCSF object. What the framework has no place for is in `unmapped`.
pub fn event(event: &Event) -> Value {
    let Class { class, activity, activity_name } = class(event);
    let failed = failed(event);
    let mut object = json!({
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": class / 1000,
        "class_uid": class,
        "type_uid": class * 100 + activity,
        "time": parse_rfc3339(&event.time).map_or(0, unix_millis),
        "severity_id": severity(event, failed),
        "status_id": if failed { 2 } else { 1 },
        "metadata": {
            "version": VERSION,
            "uid": event.id,
            "event_code": event.kind,
            "original_time": event.time,
            "product": { "name": "hoopctl", "vendor_name": "hoopctl" },
        },
        "unmapped": unmapped(event),
    });
    let Some(fields) = object.as_object_mut() else { return object };
    if let Some(detail) = &event.detail {
        fields.insert("message".to_owned(), json!(detail));
    }
    fields.insert("src_endpoint".to_owned(), source(event));
    if class == AUTHENTICATION {
        fields.insert("user".to_owned(), user(event));
        fields.insert("service".to_owned(), json!({ "name": "hoopctl gateway" }));
        fields.insert("is_remote".to_owned(), json!(true));
    } else {
        fields.insert("actor".to_owned(), actor(event));
        fields.insert("api".to_owned(), api(event));
    }
    if let Some(request) = &event.request {
        fields.insert(
            "http_request".to_owned(),
            json!({ "http_method": request.method, "uid": event.exchange }),
        );
    }
    if let Some(response) = &event.response {
        fields
            .insert("http_response".to_owned(), json!({ "code": response.status, "length": response.bytes }));
        fields.insert("duration".to_owned(), json!(response.duration_ms));
        fields.insert("status_detail".to_owned(), json!(response.outcome));
    }
    object
}

fn class(event: &Event) -> Class {
    match event.kind.as_str() {
        "login" | "login_failed" => Class { class: AUTHENTICATION, activity: 1, activity_name: "Logon" },
        "revocation" => Class { class: AUTHENTICATION, activity: 2, activity_name: "Logoff" },
        "renewal" => Class { class: AUTHENTICATION, activity: 5, activity_name: "Service Ticket Renew" },
        "audit_read" => Class { class: API, activity: 2, activity_name: "Read" },
        _ => Class { class: API, activity: 99, activity_name: "Other" },
    }
}

fn failed(event: &Event) -> bool {
    let outcome = event.response.as_ref().is_some_and(|response| response.outcome != "complete");
    outcome
        || matches!(
            event.kind.as_str(),
            "login_failed" | "unknown_caller" | "plaintext_attempt" | "journal_damaged"
        )
}

/// 1 informational, 2 low, 3 medium, 5 critical.
fn severity(event: &Event, failed: bool) -> u32 {
    match event.kind.as_str() {
        "journal_damaged" => 5,
        "plaintext_attempt" | "unknown_caller" => 3,
        _ if event.decision.as_ref().is_some_and(|decision| decision.verdict == "deny") => 3,
        _ if failed => 2,
        _ => 1,
    }
}

fn user(event: &Event) -> Value {
    let Some(caller) = &event.caller else { return json!({ "name": "unknown" }) };
    let groups: Vec<Value> = caller.groups.iter().map(|name| json!({ "name": name })).collect();
    let mut user = json!({ "uid": caller.subject, "groups": groups, "domain": caller.provider });
    if let (Some(user), Some(email)) = (user.as_object_mut(), &caller.email) {
        user.insert("email_addr".to_owned(), json!(email));
        user.insert("name".to_owned(), json!(email));
    }
    user
}

fn actor(event: &Event) -> Value {
    let mut actor = Map::new();
    match &event.caller {
        Some(caller) => {
            actor.insert("user".to_owned(), user(event));
            actor.extend(caller.client.as_ref().map(|client| ("app_name".to_owned(), json!(client))));
        }
        None => drop(actor.insert("app_name".to_owned(), json!("hoopctl gateway"))),
    }
    if let Some(session) = &event.session {
        actor.insert("session".to_owned(), json!({ "uid": session }));
    }
    Value::Object(actor)
}

fn api(event: &Event) -> Value {
    let operation = match &event.request {
        Some(request) => format!("{} {}", request.method, request.path),
        None if event.kind.is_empty() => "unknown".to_owned(),
        None => event.kind.clone(),
    };
    let mut api = json!({ "operation": operation, "service": { "name": "hoopctl gateway" } });
    if let Some(fields) = api.as_object_mut() {
        if let Some(model) = &event.model {
            fields.insert("service".to_owned(), json!({ "name": model }));
        }
        if let Some(response) = &event.response {
            fields.insert(
                "response".to_owned(),
                json!({ "code": response.status, "message": response.outcome }),
            );
        }
    }
    api
}

/// The framework wants at least a name of where a request came from.
fn source(event: &Event) -> Value {
    match (&event.source, &event.session) {
        (Some(ip), _) => json!({ "ip": ip }),
        (None, Some(session)) => json!({ "uid": session }),
        (None, None) => json!({ "name": "unknown" }),
    }
}

fn unmapped(event: &Event) -> Value {
    let mut rest = serde_json::to_value(event).unwrap_or_default();
    if let Some(fields) = rest.as_object_mut() {
        for known in ["id", "time", "caller", "detail", "source"] {
            fields.remove(known);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::event::{Caller, Decision, Request, Response};

    /// What the published schema requires of every event, and of each class (OCSF 1.4: base_event, api_activity, authentication).
    const BASE: [&str; 7] =
        ["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"];

    fn has_one_of(object: &Value, names: &[&str]) -> bool {
        names.iter().any(|name| object.get(name).is_some_and(|value| !value.is_null()))
    }

    fn holds(object: &Value) {
        for field in BASE {
            assert!(object[field].is_object() || object[field].is_number(), "{field}: {object}");
        }
        let number = |name: &str| object[name].as_u64().unwrap();
        assert_eq!(number("type_uid"), number("class_uid") * 100 + number("activity_id"));
        assert_eq!(number("category_uid"), number("class_uid") / 1000);
        assert!(object["metadata"]["version"].is_string());
        assert!(object["metadata"]["product"]["vendor_name"].is_string());
        let endpoint = ["ip", "uid", "name", "hostname", "svc_name", "instance_uid", "interface_uid"];
        assert!(has_one_of(&object["src_endpoint"], &endpoint), "{object}");
        match number("class_uid") {
            6003 => {
                assert!(has_one_of(
                    &object["actor"],
                    &["process", "user", "invoked_by", "session", "app_name"]
                ));
                assert!(!object["api"]["operation"].as_str().unwrap().is_empty());
            }
            3002 => {
                assert!(has_one_of(&object["user"], &["account", "name", "uid"]), "{object}");
                assert!(has_one_of(object, &["service", "dst_endpoint"]));
            }
            other => panic!("no class of ours: {other}"),
        }
    }

    fn of(kind: &str) -> Event {
        Event {
            id: "ev_1".into(),
            time: "2026-11-23T07:15:46.123Z".into(),
            kind: kind.into(),
            ..Event::default()
        }
    }

    fn alice() -> Option<Caller> {
        Some(Caller {
            subject: "alice".into(),
            email: Some("alice@example.test".into()),
            ..Caller::default()
        })
    }

    #[test]
    fn every_kind_has_what_its_class_requires_with_a_caller_and_without() {
        for kind in [
            "exchange",
            "login",
            "login_failed",
            "renewal",
            "revocation",
            "plaintext_attempt",
            "unknown_caller",
            "gateway_start",
            "gateway_stop",
            "journal_damaged",
            "audit_read",
            "approval_granted",
            "certificate_made",
            "",
        ] {
            holds(&event(&of(kind)));
            holds(&event(&Event { caller: alice(), session: Some("ses_1".into()), ..of(kind) }));
            holds(&event(&Event { source: Some("192.0.2.1".into()), ..of(kind) }));
        }
        holds(&event(&Event::default()));
    }

    #[test]
    fn a_denied_exchange_is_a_failed_api_activity() {
        let denied = Event {
            caller: alice(),
            model: Some("fraud-detector".into()),
            decision: Some(Decision { verdict: "deny".into(), ..Decision::default() }),
            request: Some(Request { method: "POST".into(), path: "/v2/infer".into(), ..Request::default() }),
            response: Some(Response { status: 403, outcome: "refused".into(), ..Response::default() }),
            ..of("exchange")
        };
        let object = event(&denied);
        holds(&object);
        assert_eq!(object["class_uid"], 6003);
        assert_eq!((&object["status_id"], &object["severity_id"]), (&json!(2), &json!(3)));
        assert_eq!(object["api"]["operation"], "POST /v2/infer");
        assert_eq!(object["api"]["service"]["name"], "fraud-detector");
        assert_eq!(object["actor"]["user"]["email_addr"], "alice@example.test");
        assert_eq!(object["unmapped"]["decision"]["verdict"], "deny");
        assert_eq!(object["time"], 1_795_418_146_123_u64);
        assert!(object["unmapped"].get("caller").is_none());
    }
}
