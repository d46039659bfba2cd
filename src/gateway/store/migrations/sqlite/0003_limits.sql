-- Counters of models' limits: one row for each who shares one. Times are seconds since 1970, days too are counted from there.
CREATE TABLE limits (
    model    TEXT    NOT NULL,
    kind     TEXT    NOT NULL,                              -- model, caller, group
    provider TEXT    NOT NULL,                              -- of a caller, else empty
    name     TEXT    NOT NULL,                              -- subject or group, else empty
    day      INTEGER NOT NULL,
    tokens   INTEGER NOT NULL,
    recent   TEXT    NOT NULL,                              -- second:count,… of the last minute
    saved_at INTEGER NOT NULL,
    PRIMARY KEY (model, kind, provider, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX limits_saved ON limits (saved_at);
