-- Login sessions. Times are milliseconds since 1970.
CREATE TABLE sessions (
    id                      TEXT    PRIMARY KEY,
    subject                 TEXT    NOT NULL,
    email                   TEXT,
    name                    TEXT,
    groups                  TEXT    NOT NULL,               -- JSON array
    provider                TEXT    NOT NULL,
    workload                INTEGER NOT NULL,
    created_at              INTEGER NOT NULL,
    expires_at              INTEGER NOT NULL,
    refresh_sha256          BLOB,
    previous_refresh_sha256 BLOB,
    revoked                 INTEGER NOT NULL DEFAULT 0,
    provider_refresh        BLOB                            -- sealed by the identity room
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_refresh  ON sessions (refresh_sha256)          WHERE refresh_sha256 IS NOT NULL;
CREATE INDEX sessions_previous ON sessions (previous_refresh_sha256) WHERE previous_refresh_sha256 IS NOT NULL;
CREATE INDEX sessions_subject  ON sessions (subject);
CREATE INDEX sessions_email    ON sessions (email)                   WHERE email IS NOT NULL;
CREATE INDEX sessions_name     ON sessions (name)                    WHERE name IS NOT NULL;
CREATE INDEX sessions_expiry   ON sessions (expires_at);

-- One-time things: authorization requests, codes.
CREATE TABLE pending (
    key        TEXT    PRIMARY KEY,
    json       TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pending_expiry ON pending (expires_at);

-- The audit ledger: the event's text as the journal had it, and the columns a query asks for.
CREATE TABLE events (
    seq      INTEGER PRIMARY KEY,
    id       TEXT    NOT NULL UNIQUE,
    time     INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    subject  TEXT,
    email    TEXT,
    provider TEXT,
    model    TEXT,
    session  TEXT,
    exchange TEXT,
    verdict  TEXT,
    outcome  TEXT,
    json     TEXT    NOT NULL
) STRICT;
CREATE INDEX events_time     ON events (time);
CREATE INDEX events_kind     ON events (kind);
CREATE INDEX events_subject  ON events (subject)  WHERE subject  IS NOT NULL;
CREATE INDEX events_email    ON events (email)    WHERE email    IS NOT NULL;
CREATE INDEX events_model    ON events (model)    WHERE model    IS NOT NULL;
CREATE INDEX events_session  ON events (session)  WHERE session  IS NOT NULL;
CREATE INDEX events_exchange ON events (exchange) WHERE exchange IS NOT NULL;

-- Up to where the journal is in the ledger; written in the transaction that brings the events.
CREATE TABLE journal (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    position INTEGER NOT NULL
) STRICT;
INSERT INTO journal (one, position) VALUES (1, 0);
