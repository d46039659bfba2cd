-- Which events masked which entity.
CREATE TABLE masked (
    entity TEXT    NOT NULL,
    seq    INTEGER NOT NULL,
    PRIMARY KEY (entity, seq)
) STRICT, WITHOUT ROWID;
