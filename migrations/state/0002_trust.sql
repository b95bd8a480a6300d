-- Who may use the API. Of a key only its SHA-256 is kept: with 256 random bits behind it there is nothing to guess, so
-- nothing is won by a slow hash. Its beginning, by which people recognise it, is found by index.
CREATE TABLE api_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    digest BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    scope TEXT NOT NULL CHECK (scope IN ('read', 'write', 'admin')),
    created_at REAL NOT NULL, -- Unix time [s], as all times here
    expires_at REAL,
    revoked_at REAL,
    last_used_at REAL
) STRICT;
CREATE INDEX api_key_by_prefix ON api_key (prefix);

-- Every write that was admitted: who, what, when, and how it ended.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    method TEXT NOT NULL,
    route TEXT NOT NULL,
    path TEXT NOT NULL,
    arguments TEXT NOT NULL, -- SHA-256 of query and body, in hexadecimal
    actor TEXT NOT NULL,
    actor_kind TEXT NOT NULL,
    key_id INTEGER,
    client TEXT NOT NULL,
    request_id TEXT NOT NULL,
    status INTEGER NOT NULL
) STRICT;
CREATE INDEX audit_by_time ON audit (at);
