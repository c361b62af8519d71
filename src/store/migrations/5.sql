-- What packages that are artifacts say about themselves.

CREATE TABLE artifacts (
    package_id INTEGER PRIMARY KEY REFERENCES packages (id) ON DELETE CASCADE,
    description TEXT NOT NULL CHECK (json_valid(description))
) STRICT;
