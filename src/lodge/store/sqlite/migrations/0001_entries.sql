-- Everything that is stored: one row per key. `lease` is the lease the key lives with.
CREATE TABLE entries (
    key TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL,
    created INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    lease INTEGER
);

-- Leases that have not ended; deadlines live in memory, since clocks of two boots do not compare.
CREATE TABLE leases (
    id INTEGER PRIMARY KEY,
    ttl_s REAL NOT NULL
);

-- Numbers that only grow.
CREATE TABLE counters (
    name TEXT PRIMARY KEY NOT NULL,
    value INTEGER NOT NULL
);
INSERT INTO counters (name, value) VALUES ('revision', 0), ('lease', 0);
