-- What the files of packages were found to be when they were looked at again.

CREATE TABLE package_integrity (
    package_id INTEGER PRIMARY KEY REFERENCES packages (id) ON DELETE CASCADE,
    verified_at INTEGER,
    damage TEXT,
    found_at INTEGER,
    detail TEXT,
    CHECK ((damage IS NULL) = (found_at IS NULL) AND (damage IS NULL) = (detail IS NULL))
) STRICT;
