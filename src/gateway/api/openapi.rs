//! `GET /api/v1/openapi.json`: the API's description (OpenAPI 3.1), made of the same table as the router.

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::{body, dress::ApiError, routes::Route};
use crate::evidence::event::SCHEMA;

pub(super) async fn document() -> Result<Response, ApiError> {
    Ok(body::json(&openapi())?)
}

fn openapi() -> Value {
    let mut paths = Map::new();
    for route in Route::ALL {
        let method = route.method().to_ascii_lowercase();
        let item = paths.entry(template(route)).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(method, operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hoopctl gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The gateway's own API. JSON answers are additive: fields may be added, never renamed.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "security": [{ "bearer": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "bearer": {
                "type": "http", "scheme": "bearer",
                "description": "The access token of /oauth2/token. Over the tunnel the caller is known without one.",
            }},
            "schemas": schemas(),
            "responses": { "Error": {
                "description": "What happened, why, and what to do next.",
                "headers": { "x-request-id": { "schema": { "type": "string" } } },
                "content": content("Error"),
            }},
        },
    })
}

/// The route's path as OpenAPI writes it.
fn template(route: Route) -> String {
    route.path().replace("{*", "{")
}

fn operation(route: Route) -> Value {
    match route {
        Route::Me => described("me", "Who the caller is, as the gateway knows it", content("Me")),
        Route::Models => {
            let models =
                json!({ "application/json": { "schema": { "type": "array", "items": reference("Model") } } });
            described("models", "The models the caller may list", models)
        }
        Route::Credentials => with_body(
            described(
                "issueCredential",
                "A client certificate for a key made by the caller",
                content("Credential"),
            ),
            "CredentialRequest",
        ),
        Route::Events => {
            let summary = "Audit events: the caller's own; with the permission read_audit, everybody's";
            with(described("auditEvents", summary, content("Events")), "parameters", event_parameters())
        }
        Route::Report => {
            let summary = "The encryption-in-transit report of a time; needs the permission read_audit";
            with(described("auditReport", summary, content("Report")), "parameters", report_parameters())
        }
        Route::LogKey => {
            let summary = "The public key of the verifiable log, a vkey of c2sp.org/signed-note";
            described("auditLogKey", summary, plain("text/plain"))
        }
        Route::LogCheckpoint => {
            let summary = "The signed head of the verifiable log (c2sp.org/tlog-checkpoint); needs the permission read_audit";
            described("auditLogCheckpoint", summary, plain("text/plain"))
        }
        Route::LogTile => {
            let summary = "A tile or entry bundle of the verifiable log (c2sp.org/tlog-tiles); needs the permission read_audit";
            let path = json!([{ "name": "path", "in": "path", "required": true, "schema": { "type": "string" },
                "description": "LEVEL/NNN or entries/NNN, with .p/WIDTH when partial; it has slashes." }]);
            with(described("auditLogTile", summary, plain("application/octet-stream")), "parameters", path)
        }
        Route::LogProof => {
            let summary = "That an event is in the verifiable log: for whoever may read the event";
            let event =
                json!([{ "name": "event", "in": "path", "required": true, "schema": { "type": "string" } }]);
            with(described("auditLogProof", summary, content("LogProof")), "parameters", event)
        }
        Route::Sessions => {
            let summary = "Sessions: the caller's own; with the permission read_audit, everybody's";
            with(described("sessions", summary, content("Sessions")), "parameters", session_parameters())
        }
        Route::Session => {
            let summary =
                "A session's exchanges, the oldest first: the caller's own; with read_audit, everybody's";
            with(
                described("session", summary, content("SessionExchanges")),
                "parameters",
                exchange_parameters(),
            )
        }
        Route::Recording => {
            let summary = "The recording of an exchange; needs the permission replay on its model, and is itself recorded";
            let found = json!({
                "application/octet-stream": { "schema": { "type": "string", "description": "As it is stored." } },
                "application/x-ndjson": { "schema": { "type": "string", "description": "Opened: one entry a line." } },
            });
            with(described("recording", summary, found), "parameters", recording_parameters())
        }
        Route::Tokens => with_body(
            described(
                "modelToken",
                "A short-lived token for one model at the direct ingress",
                content("ModelToken"),
            ),
            "ModelTokenRequest",
        ),
        Route::Revocations => with_body(
            described(
                "revoke",
                "Ends a session, or all of a user's; needs the permission administer",
                content("Revoked"),
            ),
            "Revocation",
        ),
        Route::Lift => with_body(
            described(
                "liftSuspension",
                "Lifts what unusual use of a user was answered with; needs the permission administer",
                content("Lifted"),
            ),
            "Revocation",
        ),
        Route::Approvals => {
            let summary = "Requests for approval: the caller's own, those they may decide; with read_audit or administer, all";
            with(described("approvals", summary, content("Approvals")), "parameters", approval_parameters())
        }
        Route::Ask => with_body(
            described("requestApproval", "Asks for an approval of a model", content("Approval")),
            "ApprovalRequest",
        ),
        Route::Approval => {
            let summary = "A request for approval, with the requester's last seven days with the model";
            with(described("approval", summary, content("Approval")), "parameters", id_parameter())
        }
        Route::Approve => decision("approve", "Says yes to a request for approval"),
        Route::Deny => decision("deny", "Says no to a request for approval, or takes an approval back"),
        Route::Openapi => {
            let any = json!({ "application/json": { "schema": { "type": "object" } } });
            with(described("openapi", "This document", any), "security", json!([]))
        }
    }
}

fn decision(id: &str, summary: &str) -> Value {
    let operation = with_body(described(id, summary, content("Approval")), "ApprovalDecision");
    with(operation, "parameters", id_parameter())
}

fn id_parameter() -> Value {
    json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }])
}

fn approval_parameters() -> Value {
    let state = json!({ "enum": ["pending", "approved", "denied", "expired", "all"], "default": "pending" });
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 });
    json!([
        { "name": "state", "in": "query", "description": "What has become of them.", "schema": state },
        { "name": "before", "in": "query", "description": "Only those made before the one of this id: the `next` of an earlier answer.", "schema": { "type": "string" } },
        { "name": "limit", "in": "query", "description": "At most this many, newest first.", "schema": limit },
    ])
}

fn described(id: &str, summary: &str, content: Value) -> Value {
    json!({
        "operationId": id,
        "summary": summary,
        "responses": {
            "200": {
                "description": "Done.",
                "headers": { "x-request-id": { "schema": { "type": "string" } } },
                "content": content,
            },
            "default": { "$ref": "#/components/responses/Error" },
        },
    })
}

fn with_body(operation: Value, schema: &str) -> Value {
    with(operation, "requestBody", json!({ "required": true, "content": content(schema) }))
}

fn with(mut operation: Value, name: &str, value: Value) -> Value {
    if let Some(fields) = operation.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
    operation
}

fn content(schema: &str) -> Value {
    json!({ "application/json": { "schema": reference(schema) } })
}

fn plain(kind: &str) -> Value {
    json!({ kind: { "schema": { "type": "string" } } })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn event_parameters() -> Value {
    let time = json!({ "type": "string", "format": "date-time" });
    let text = json!({ "type": "string" });
    let parameters = [
        ("since", "Events of this time or later.", time.clone()),
        ("until", "Events before this time.", time),
        ("user", "The caller's subject or email address.", text.clone()),
        ("model", "The model's name.", text.clone()),
        ("kind", "`exchange`, `login`, `revocation` …", text.clone()),
        ("exchange", "The exchange's id.", text.clone()),
        ("session", "The session's id.", text),
        ("verdict", "What policy said.", json!({ "type": "string", "enum": ["permit", "ask", "deny"] })),
        ("masked", "An entity that was masked in the answer.", json!({ "type": "string" })),
        (
            "after",
            "Only events after this cursor, the `next` of an earlier answer; 0 begins with the oldest. Without it: the newest.",
            json!({ "type": "integer", "minimum": 0 }),
        ),
        (
            "limit",
            "At most this many.",
            json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }),
        ),
    ];
    parameters
        .into_iter()
        .map(|(name, description, schema)| json!({ "name": name, "in": "query", "description": description, "schema": schema }))
        .collect()
}

fn session_parameters() -> Value {
    let time = json!({ "type": "string", "format": "date-time" });
    let text = json!({ "type": "string" });
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 200, "default": 50 });
    json!([
        { "name": "since", "in": "query", "description": "With an exchange of this time or later.", "schema": time },
        { "name": "until", "in": "query", "description": "With an exchange before this time.", "schema": time },
        { "name": "user", "in": "query", "description": "The caller's subject or email address.", "schema": text },
        { "name": "model", "in": "query", "description": "The model's name.", "schema": text },
        { "name": "verdict", "in": "query", "description": "With an exchange of this verdict.", "schema": { "enum": ["permit", "ask", "deny"] } },
        { "name": "masked", "in": "query", "description": "With an answer in which this entity was masked.", "schema": text },
        { "name": "before", "in": "query", "description": "Goes on: the `next` of an earlier answer.", "schema": { "type": "integer", "minimum": 0 } },
        { "name": "limit", "in": "query", "description": "At most this many, newest first.", "schema": limit },
    ])
}

fn recording_parameters() -> Value {
    let what_for = json!({ "enum": ["replay", "export", "verify"], "default": "replay" });
    let form = json!({ "enum": ["sealed", "opened", "either"], "default": "either" });
    json!([
        { "name": "exchange", "in": "path", "required": true, "schema": { "type": "string" } },
        { "name": "for", "in": "query", "description": "What it is read for; goes into the audit log.", "schema": what_for },
        { "name": "form", "in": "query", "description": "As it is stored, or opened, where the gateway has the key.", "schema": form },
    ])
}

fn exchange_parameters() -> Value {
    let limit = json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 1000 });
    json!([
        { "name": "id", "in": "path", "required": true, "schema": { "type": "string" } },
        { "name": "after", "in": "query", "description": "Goes on: the `next` of an earlier answer.", "schema": { "type": "integer", "minimum": 0 } },
        { "name": "limit", "in": "query", "description": "At most this many.", "schema": limit },
    ])
}

fn report_parameters() -> Value {
    let time = json!({ "type": "string", "format": "date-time" });
    let parameters = [
        ("since", "Events of this time or later; without it from the log's beginning."),
        ("until", "Events before this time; without it up to now."),
    ];
    parameters
        .map(|(name, description)| json!({ "name": name, "in": "query", "description": description, "schema": time.clone() }))
        .into_iter()
        .collect()
}

/// An object schema: fields with their schemas, those required by name.
fn object(fields: Value, required: &[&str]) -> Value {
    json!({ "type": "object", "properties": fields, "required": required })
}

fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "array", "items": { "type": "string" } });
    let schema = json!({ "type": "integer", "const": 1 });
    let maybe = json!({ "type": ["string", "null"] });
    let numbers = json!({ "type": "object", "additionalProperties": { "type": "integer" } });
    json!({
        "Me": object(json!({
            "schema": schema, "user": text, "subject": text, "email": maybe, "groups": texts, "provider": text,
            "workload": { "type": "boolean" }, "session": text,
        }), &["schema", "user", "subject", "groups", "provider", "workload", "session"]),
        "Model": object(json!({
            "name": text, "dialect": text, "tls": { "enum": ["required", "relaxed"] },
            "labels": { "type": "object", "additionalProperties": text }, "access": { "enum": ["permit", "ask"] },
        }), &["name", "dialect", "tls", "labels", "access"]),
        "CredentialRequest": object(json!({ "csr": { "type": "string", "description": "PKCS #10, PEM." } }), &["csr"]),
        "Credential": object(json!({
            "certificate": text, "expires_at": text, "session_expires_at": text, "session": text, "user": text,
            "groups": texts, "provider": text, "roots": text, "roots_version": { "type": "integer" },
        }), &["certificate", "expires_at", "session", "user", "groups", "provider"]),
        "Event": object(json!({
            "schema": { "const": SCHEMA }, "id": text, "time": { "type": "string", "format": "date-time" }, "kind": text,
        }), &["schema", "id", "time", "kind"]),
        "Events": object(json!({
            "schema": schema,
            "events": { "type": "array", "items": reference("Event") },
            "next": { "type": ["integer", "null"], "description": "Goes on from here; null when these were the last for now." },
            "cursor": { "type": "integer", "description": "`after` for later events, also when these were the last for now." },
        }), &["schema", "events", "next", "cursor"]),
        "LogProof": object(json!({
            "schema": schema, "event": { "type": "string", "description": "The event's text, to the byte as the log has it." },
            "index": { "type": "integer" },
            "proof": { "type": "array", "items": { "type": "string" }, "description": "From the leaf to the root, hex (RFC 9162, 2.1.3)." },
            "checkpoint": { "type": "string", "description": "The signed head that the proof leads to (c2sp.org/tlog-checkpoint)." },
        }), &["schema", "event", "index", "proof", "checkpoint"]),
        "Session": object(json!({
            "session": text, "caller": object(json!({ "subject": text, "email": maybe, "provider": text }), &["subject", "provider"]),
            "model": text, "first": { "type": "string", "format": "date-time" }, "last": { "type": "string", "format": "date-time" },
            "exchanges": { "type": "integer" }, "outcomes": numbers, "verdicts": numbers,
            "request_bytes": { "type": "integer" }, "response_bytes": { "type": "integer" }, "masked": numbers,
            "recorded": { "type": "integer", "description": "Exchanges of which a recording was made." },
        }), &["session", "caller", "model", "first", "last", "exchanges", "outcomes", "verdicts", "request_bytes", "response_bytes", "masked", "recorded"]),
        "Sessions": object(json!({
            "schema": schema, "sessions": { "type": "array", "items": reference("Session") },
            "next": { "type": ["integer", "null"], "description": "`before` of the next page; null when there is none." },
        }), &["schema", "sessions", "next"]),
        "SessionExchanges": object(json!({
            "schema": schema,
            "sessions": { "type": "array", "items": reference("Session"), "description": "One, unless several callers or models share the id." },
            "exchanges": { "type": "array", "items": reference("Event") },
            "next": { "type": ["integer", "null"], "description": "`after` of the next page; null when there is none." },
        }), &["schema", "sessions", "exchanges", "next"]),
        "Report": object(json!({
            "schema": schema, "made_at": text, "made_by": text, "since": text, "until": text,
            "exchanges": object(json!({
                "total": { "type": "integer" }, "encrypted": { "type": "integer" }, "unencrypted": { "type": "integer" },
                "unknown": { "type": "integer" }, "post_quantum": { "type": "integer" },
            }), &["total", "encrypted", "unencrypted", "unknown", "post_quantum"]),
            "checkpoint": { "type": ["object", "null"], "description": "The log's signed head, and whether it covers every event of the report." },
        }), &["schema", "made_at", "since", "until", "exchanges", "checkpoint"]),
        "ModelTokenRequest": object(json!({ "model": text }), &["model"]),
        "ModelToken": object(json!({
            "schema": schema, "token": text, "token_type": { "const": "Bearer" },
            "expires_at": { "type": "string", "format": "date-time" }, "url": text, "model": text,
        }), &["schema", "token", "token_type", "expires_at", "url", "model"]),
        "Revocation": object(json!({
            "who": { "type": "string", "maxLength": 512, "description": "A session's id, or a user's subject, email address or name." },
        }), &["who"]),
        "Revoked": object(json!({
            "schema": schema, "sessions": { "type": "integer", "description": "How many were ended." }, "ids": texts,
        }), &["schema", "sessions", "ids"]),
        "Lifted": object(json!({
            "schema": schema, "lifted": { "type": "integer", "description": "How many answers to alarms were lifted." },
        }), &["schema", "lifted"]),
        "Approval": object(json!({
            "schema": schema, "id": text, "state": { "enum": ["pending", "approved", "denied", "expired"] },
            "model": text, "requester": text, "reason": maybe,
            "approvals": { "type": "integer" }, "needed": { "type": "integer" },
            "expires_at": { "type": "string", "format": "date-time" }, "created_at": { "type": "string", "format": "date-time" },
            "lasts": { "type": "integer", "description": "Seconds from the last yes." },
            "approvers": texts, "approved_by": texts, "denied_by": maybe, "comment": maybe, "url": text,
            "decidable": { "type": "boolean" },
            "history": object(json!({
                "exchanges": { "type": "integer" }, "refused": { "type": "integer" }, "approved": { "type": "integer" }, "last": maybe,
            }), &["exchanges", "refused", "approved", "last"]),
        }), &["schema", "id", "state", "model", "requester", "approvals", "needed", "expires_at", "created_at", "url", "decidable"]),
        "Approvals": object(json!({
            "schema": schema,
            "approvals": { "type": "array", "items": reference("Approval") },
            "next": { "type": ["string", "null"], "description": "`before` of the next page; null when there is none." },
        }), &["schema", "approvals", "next"]),
        "ApprovalRequest": object(json!({ "model": text, "reason": { "type": ["string", "null"], "maxLength": 1000 } }), &["model"]),
        "ApprovalDecision": object(json!({
            "lasts": { "type": ["integer", "null"], "minimum": 60, "description": "Only to approve: shortens the approval to so many seconds." },
            "comment": { "type": ["string", "null"], "maxLength": 1000 },
        }), &[]),
        "Error": object(json!({
            "error": object(json!({
                "code": text, "message": text, "type": text, "request_id": maybe, "remedy": maybe,
            }), &["code", "message", "type", "request_id"]),
        }), &["error"]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = openapi();
        let described: usize =
            document["paths"].as_object().unwrap().values().map(|item| item.as_object().unwrap().len()).sum();
        assert_eq!(described, Route::ALL.len());
        for route in Route::ALL {
            let operation = &document["paths"][template(route)][route.method().to_ascii_lowercase()];
            assert!(operation["summary"].is_string(), "{route:?}");
            assert!(operation["responses"]["default"].is_object(), "{route:?}");
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(fields) => {
                    for (name, field) in fields {
                        match field {
                            Value::String(to) if name == "$ref" => found.push(to.clone()),
                            other => references(other, found),
                        }
                    }
                }
                Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }
        let document = openapi();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > Route::ALL.len());
        for to in found {
            assert!(document.pointer(to.trim_start_matches('#')).is_some(), "{to}");
        }
    }
}
