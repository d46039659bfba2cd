-- How far each sink has come: the place of the last event that its receiver has taken. Names stay when a sink is removed.
CREATE TABLE sinks (
    name  TEXT    NOT NULL PRIMARY KEY,
    place INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
