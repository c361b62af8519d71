DROP INDEX devices_for_search;

CREATE INDEX devices_to_look_through ON devices (id, name, mac_address, mac_key, group_id, metadata);

CREATE TABLE group_identities (
    group_id INTEGER PRIMARY KEY REFERENCES groups (id) ON DELETE CASCADE,
    uuid TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE trusted_signers (
    public_key BLOB PRIMARY KEY CHECK (length(public_key) = 32),
    name TEXT NOT NULL UNIQUE,
    added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
