CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    device_id INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    group_id INTEGER NOT NULL,
    package_id INTEGER NOT NULL,
    length_bytes INTEGER NOT NULL,
    from_version TEXT NOT NULL,
    to_version TEXT NOT NULL,
    target TEXT NOT NULL,
    path TEXT NOT NULL CHECK (json_valid(path)),
    offered_at INTEGER NOT NULL,
    offers INTEGER NOT NULL,
    fetched_bytes INTEGER NOT NULL,
    sent_bytes INTEGER NOT NULL,
    fetched_at INTEGER,
    ended_at INTEGER,
    outcome TEXT,
    is_forgiven INTEGER NOT NULL DEFAULT 0,
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT;

CREATE INDEX attempts_by_device ON attempts (device_id, id);

CREATE INDEX attempts_by_target ON attempts (group_id, target, id);

CREATE INDEX attempts_that_go_on ON attempts (id) WHERE outcome IS NULL;

CREATE TABLE group_rollouts (
    group_id INTEGER PRIMARY KEY REFERENCES groups (id) ON DELETE CASCADE,
    hours TEXT,
    time_zone TEXT,
    max_failures INTEGER NOT NULL,
    halt_percent INTEGER,
    halt_devices INTEGER,
    max_parallel INTEGER,
    first_devices INTEGER,
    halted_at INTEGER,
    halted_target TEXT,
    CHECK ((hours IS NULL) = (time_zone IS NULL)),
    CHECK ((halt_percent IS NULL) = (halt_devices IS NULL)),
    CHECK ((halted_at IS NULL) = (halted_target IS NULL))
) STRICT;
