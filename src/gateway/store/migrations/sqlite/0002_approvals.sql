-- Requests for approval. The JSON is the whole; the columns are what queries and constraints need. Times are milliseconds since 1970.
CREATE TABLE approvals (
    id         TEXT    PRIMARY KEY,
    revision   INTEGER NOT NULL,                            -- compare and swap
    state      TEXT    NOT NULL,                            -- pending, approved, ended, denied, expired
    subject    TEXT    NOT NULL,
    provider   TEXT    NOT NULL,
    model      TEXT    NOT NULL,
    sameness   TEXT    NOT NULL,                            -- what it asks for, hashed
    created_at INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,                            -- of what the state says
    json       TEXT    NOT NULL
) STRICT;
-- However many gateways file it, what asks for the same waits once.
CREATE UNIQUE INDEX approvals_pending ON approvals (sameness) WHERE state = 'pending';
CREATE INDEX approvals_state     ON approvals (state, ends_at);
CREATE INDEX approvals_requester ON approvals (subject, provider, state);
