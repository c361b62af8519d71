-- Uploads that can be resumed.

CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    actor_kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    length_bytes INTEGER NOT NULL CHECK (length_bytes > 0),
    offset_bytes INTEGER NOT NULL CHECK (offset_bytes BETWEEN 0 AND length_bytes),
    hash_state BLOB NOT NULL CHECK (length(hash_state) = 32),
    metadata TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
