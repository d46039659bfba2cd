-- What is usual, as the anomaly detector has learned it, and what its alarms were answered with. Times are milliseconds since 1970.
CREATE TABLE anomaly_state (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL,
    cursor  INTEGER NOT NULL,                               -- events.seq up to which it was learned
    models  TEXT    NOT NULL
) STRICT;
CREATE TABLE anomaly_callers (
    caller TEXT NOT NULL PRIMARY KEY,                       -- a hash of provider and subject
    state  TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE anomaly_answers (
    id        TEXT    NOT NULL PRIMARY KEY,                 -- of the alarm's event
    rule      TEXT    NOT NULL,
    answer    TEXT    NOT NULL,                             -- suspend, require_approval
    provider  TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    email     TEXT,
    since     INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    lifted_at INTEGER,
    lifted_by TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX anomaly_answers_until ON anomaly_answers (until);
