-- The whole database of tender, as it is today. The program includes this file: a new database is made from it, and a
-- database that was migrated must be equal to it. Moments are seconds since 1970-01-01T00:00:00Z. JSON is text.

-- Groups of devices: what they may install and which version they are to reach.
CREATE TABLE groups (
    -- Never used again after deletion, so that a script's old identifier cannot mean another group.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- When the group was created.
    created_at INTEGER NOT NULL,
    -- Any JSON object, kept for whoever created the group.
    metadata TEXT NOT NULL CHECK (json_valid(metadata)),
    -- The update policy as on the wire: "<name>,<argument>".
    policy TEXT NOT NULL
) STRICT;

-- Devices that a person accepted.
CREATE TABLE devices (
    -- Never used again.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The one form of all spellings of the MAC address: the device's identity.
    mac_key TEXT NOT NULL UNIQUE,
    -- The MAC address as the device first spelled it.
    mac_address TEXT NOT NULL,
    -- A name for people.
    name TEXT NOT NULL,
    -- The accepted public key, in the PEM that the device sent. NULL: none accepted yet.
    public_key TEXT,
    -- SHA-256 of the key's SubjectPublicKeyInfo, to tell keys apart whatever their PEM looks like.
    key_fingerprint BLOB CHECK (length(key_fingerprint) = 32),
    -- What the client can do: a JSON object of booleans.
    capabilities TEXT NOT NULL CHECK (json_valid(capabilities)),
    -- What the device last reported: a JSON object. Changes are written with the batch of what polls report.
    metadata TEXT NOT NULL CHECK (json_valid(metadata)),
    -- The group it is assigned to; a group with devices cannot be deleted.
    group_id INTEGER REFERENCES groups (id) ON DELETE RESTRICT,
    -- When it was accepted.
    created_at INTEGER NOT NULL,
    CHECK ((public_key IS NULL) = (key_fingerprint IS NULL))
) STRICT;

CREATE INDEX devices_by_group ON devices (group_id);

-- What lists of devices are ordered by; of long texts the beginning.
CREATE INDEX devices_by_name ON devices (name COLLATE NOCASE);

CREATE INDEX devices_by_type ON devices (substr(coalesce(metadata ->> '$."rdfm.hardware.devtype"', ''), 1, 64));

CREATE INDEX devices_by_version ON devices (substr(coalesce(metadata ->> '$."rdfm.software.version"', ''), 1, 64));

-- What is looked through when all devices are searched or counted, in the order of their presence and without what is not
-- (the keys, mostly): a third of the pages to read.
CREATE INDEX devices_to_look_through ON devices (id, name, mac_address, mac_key, group_id, metadata);

-- When each device was last heard. Apart from devices: it changes with every poll, and a row here is a few bytes, so
-- that writing those of ten thousand devices touches some dozen pages.
CREATE TABLE device_presence (
    -- The device.
    device_id INTEGER PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    -- The last authorized request.
    last_access_at INTEGER NOT NULL
) STRICT;

-- Devices that asked to be let in and wait for a person, or were rejected: one row for each MAC address and key.
CREATE TABLE registrations (
    -- The order in which they came.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The one form of all spellings of the MAC address.
    mac_key TEXT NOT NULL,
    -- The MAC address as the device first spelled it.
    mac_address TEXT NOT NULL,
    -- The public key, in the PEM that the device sent.
    public_key TEXT NOT NULL,
    -- SHA-256 of the key's SubjectPublicKeyInfo.
    key_fingerprint BLOB NOT NULL CHECK (length(key_fingerprint) = 32),
    -- What the device reported: a JSON object.
    metadata TEXT NOT NULL CHECK (json_valid(metadata)),
    -- When it last asked; written with the batch of what polls report. What it asks once it is rejected is not noted.
    last_appeared_at INTEGER NOT NULL,
    -- When a person rejected it. NULL: it waits.
    rejected_at INTEGER,
    UNIQUE (mac_key, key_fingerprint)
) STRICT;

-- Of too many registrations, those go that were rejected, and then those that have not appeared for the longest time.
CREATE INDEX registrations_by_worth ON registrations (rejected_at IS NULL, last_appeared_at);

-- Stored packages. Each row has its file; the file is there before the row and goes after it.
CREATE TABLE packages (
    -- Never used again.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- When the package was uploaded.
    created_at INTEGER NOT NULL,
    -- SHA-256 of the file.
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    -- Length of the file.
    length_bytes INTEGER NOT NULL CHECK (length_bytes > 0),
    -- The file's name in the package folder, and the package's in download URLs.
    uuid TEXT NOT NULL UNIQUE,
    -- The directory below the package folder that the file is in. NULL: the folder itself.
    directory TEXT,
    -- What the uploader said: a JSON object of strings, without keys under rdfm.storage.
    metadata TEXT NOT NULL CHECK (json_valid(metadata))
) STRICT;

-- What packages that are artifacts say about themselves, read when they were uploaded. No row: the package is a plain file,
-- or was uploaded by a version that did not read artifacts.
CREATE TABLE artifacts (
    -- The package; this goes with it.
    package_id INTEGER PRIMARY KEY REFERENCES packages (id) ON DELETE CASCADE,
    -- Format, name, device types, what it provides and depends on, payloads and checksums, as the API shows them: a JSON object.
    description TEXT NOT NULL CHECK (json_valid(description))
) STRICT;

-- What the files of packages were found to be when they were looked at again. No row: not since the upload.
CREATE TABLE package_integrity (
    -- The package; this goes with it.
    package_id INTEGER PRIMARY KEY REFERENCES packages (id) ON DELETE CASCADE,
    -- When the whole file was last read and was what had been uploaded. NULL: not since the upload.
    verified_at INTEGER,
    -- What the file is: 'corrupt' or 'missing'; such a package is not offered. NULL: whole, as far as is known.
    damage TEXT,
    -- When that was found.
    found_at INTEGER,
    -- What exactly, for people.
    detail TEXT,
    CHECK ((damage IS NULL) = (found_at IS NULL) AND (damage IS NULL) = (detail IS NULL))
) STRICT;

-- Which packages the devices of a group may install.
CREATE TABLE group_packages (
    -- The group; its assignments go with it.
    group_id INTEGER NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    -- An assigned package cannot be deleted.
    package_id INTEGER NOT NULL REFERENCES packages (id) ON DELETE RESTRICT,
    -- The order of assignment: between paths of equal length the first package wins.
    position INTEGER NOT NULL,
    PRIMARY KEY (group_id, package_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX group_packages_by_package ON group_packages (package_id);

-- What was offered to a device, and what came of it: one row for each time that a device was to install a package.
CREATE TABLE attempts (
    -- Grows with time.
    id INTEGER PRIMARY KEY,
    -- The device.
    device_id INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    -- The group that wanted it; it may be gone.
    group_id INTEGER NOT NULL,
    -- The package; it may be gone.
    package_id INTEGER NOT NULL,
    -- Its length.
    length_bytes INTEGER NOT NULL,
    -- The version that the device ran.
    from_version TEXT NOT NULL,
    -- The version that the package brings.
    to_version TEXT NOT NULL,
    -- The version that the group's policy named.
    target TEXT NOT NULL,
    -- The packages up to the target, this one first: a JSON array of numbers.
    path TEXT NOT NULL CHECK (json_valid(path)),
    -- When it was first offered.
    offered_at INTEGER NOT NULL,
    -- How often it was offered.
    offers INTEGER NOT NULL,
    -- How many bytes the device has of it, from its beginning on; as of the last write.
    fetched_bytes INTEGER NOT NULL,
    -- How many bytes were sent in all; as of the last write.
    sent_bytes INTEGER NOT NULL,
    -- When the device had all of it. NULL: it has not.
    fetched_at INTEGER,
    -- When it was over. NULL: it goes on.
    ended_at INTEGER,
    -- What came of it: 'succeeded', 'reverted', 'failed', 'superseded' or 'expired'. NULL: it goes on.
    outcome TEXT,
    -- Whether a person has said that its failure does not count.
    is_forgiven INTEGER NOT NULL DEFAULT 0,
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT;

CREATE INDEX attempts_by_device ON attempts (device_id, id);

CREATE INDEX attempts_by_target ON attempts (group_id, target, id);

CREATE INDEX attempts_that_go_on ON attempts (id) WHERE outcome IS NULL;

-- How the devices of a group get new versions. No row: as they ask.
CREATE TABLE group_rollouts (
    -- The group; this goes with it.
    group_id INTEGER PRIMARY KEY REFERENCES groups (id) ON DELETE CASCADE,
    -- When packages are offered, such as 'mon-fri 22:00-06:00'. NULL: always.
    hours TEXT,
    -- Whose clocks that is by: a name of the IANA's database.
    time_zone TEXT,
    -- After so many failures of one package a device pauses. 0: never.
    max_failures INTEGER NOT NULL,
    -- Offers stop when more than so many percent of the devices that tried have failed. NULL: never.
    halt_percent INTEGER,
    -- And at least so many.
    halt_devices INTEGER,
    -- How many devices may be between offer and outcome at once. NULL: all.
    max_parallel INTEGER,
    -- How many devices must have reached the target before the rest begins. NULL: none.
    first_devices INTEGER,
    -- Since when offers have stopped. NULL: they have not.
    halted_at INTEGER,
    -- The version that devices were to reach then; with another one offers go on.
    halted_target TEXT,
    CHECK ((hours IS NULL) = (time_zone IS NULL)),
    CHECK ((halt_percent IS NULL) = (halt_devices IS NULL)),
    CHECK ((halted_at IS NULL) = (halted_target IS NULL))
) STRICT;

-- Uploads that can be resumed and are not packages yet. Each has its file.
CREATE TABLE uploads (
    -- The upload's name in URLs, and its file's in the package folder.
    id TEXT PRIMARY KEY,
    -- What kind of somebody began it, and their name: nobody else may go on with it.
    actor_kind TEXT NOT NULL,
    -- The name.
    actor TEXT NOT NULL,
    -- How long it will be.
    length_bytes INTEGER NOT NULL CHECK (length_bytes > 0),
    -- How many bytes are on disk and acknowledged; what the file has beyond does not count.
    offset_bytes INTEGER NOT NULL CHECK (offset_bytes BETWEEN 0 AND length_bytes),
    -- The SHA-256 state after the last whole block of these.
    hash_state BLOB NOT NULL CHECK (length(hash_state) = 32),
    -- What the client said about it: the header Upload-Metadata as it was sent.
    metadata TEXT NOT NULL,
    -- When it began.
    created_at INTEGER NOT NULL,
    -- When it is given up; moves on when more of it comes.
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Management tokens that were issued. The token itself is not here: it is signed, and this row is what can revoke it.
CREATE TABLE access_tokens (
    -- The token's `jti`.
    id TEXT PRIMARY KEY,
    -- Whom or what it was made for.
    name TEXT NOT NULL,
    -- Its scopes, separated by spaces.
    scope TEXT NOT NULL,
    -- When it was made.
    created_at INTEGER NOT NULL,
    -- When it ends by itself. NULL: never.
    expires_at INTEGER,
    -- When it was revoked. NULL: it was not.
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

-- People who may log in.
CREATE TABLE users (
    -- Never used again.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- What they log in with, in small letters.
    name TEXT NOT NULL UNIQUE,
    -- What they may do: 'admin' or 'viewer'.
    role TEXT NOT NULL,
    -- The password's argon2id hash with its parameters and salt, in the PHC string format.
    password_hash TEXT NOT NULL,
    -- When the user was added.
    created_at INTEGER NOT NULL,
    -- Since when the user is barred. NULL: may log in.
    disabled_at INTEGER,
    -- The last login. NULL: none yet.
    last_login_at INTEGER
) STRICT;

-- Who is logged in. A session ends when its row goes.
CREATE TABLE sessions (
    -- SHA-256 of what the browser's cookie holds.
    token_hash BLOB PRIMARY KEY CHECK (length(token_hash) = 32),
    -- Whose it is.
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- When it began; it ends some days later.
    created_at INTEGER NOT NULL,
    -- When it was last used, to some minutes; it ends some hours after the last use.
    last_seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user_id);

-- Programs that get tokens from the authorization server with a secret of their own.
CREATE TABLE clients (
    -- The client identifier (RFC 6749, section 2.2).
    id TEXT PRIMARY KEY,
    -- A name for people.
    name TEXT NOT NULL UNIQUE,
    -- The scopes that it may have, separated by spaces.
    scope TEXT NOT NULL,
    -- SHA-256 of the secret, which is 32 random bytes.
    secret_hash BLOB NOT NULL CHECK (length(secret_hash) = 32),
    -- When the client was created.
    created_at INTEGER NOT NULL,
    -- Grows when it gets another secret: tokens from before are not good any more.
    secret_version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Clients' tokens that were revoked before they ended. Clients' tokens live some minutes and have no rows of their own.
CREATE TABLE revoked_tokens (
    -- The token's `jti`.
    id TEXT PRIMARY KEY,
    -- When the token would have ended; then the row goes.
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Who did what. Rows are added, and go when they are old or too many; none is ever changed.
CREATE TABLE audit_log (
    -- Grows with time.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- When it was done.
    at INTEGER NOT NULL,
    -- What kind of somebody did it: 'user', 'client', 'token', 'external', 'command-line' or 'anonymous'.
    actor_kind TEXT NOT NULL,
    -- Their name.
    actor TEXT NOT NULL,
    -- The network address that it came from. NULL: this machine's command line.
    address TEXT,
    -- What was done, such as 'group.policy'.
    action TEXT NOT NULL,
    -- On what, such as 'group/3'.
    target TEXT NOT NULL,
    -- What came of it: 'done', 'denied', 'refused' or 'failed'.
    outcome TEXT NOT NULL,
    -- More about it.
    detail TEXT NOT NULL
) STRICT;

CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE ON audit_log
BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;

-- Where events are sent: one row for each configured address.
CREATE TABLE webhooks (
    -- Never used again.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- SHA-256 of the address, which may hold what is not for everybody.
    url_sha256 BLOB NOT NULL UNIQUE CHECK (length(url_sha256) = 32),
    -- The host in it, for people.
    host TEXT NOT NULL,
    -- How many events wait.
    queued INTEGER NOT NULL DEFAULT 0,
    -- How many events were dropped, because too many waited or they waited for too long.
    dropped INTEGER NOT NULL DEFAULT 0,
    -- The highest identifier of an event that ever waited.
    last_event_id INTEGER NOT NULL DEFAULT 0,
    -- How many attempts to deliver have failed in a row.
    failures INTEGER NOT NULL DEFAULT 0,
    -- When the first of these was. NULL: none.
    failing_since INTEGER,
    -- Why the last of these failed: a sentence for people. NULL: none.
    last_error TEXT,
    CHECK ((failing_since IS NULL) = (failures = 0) AND (last_error IS NULL) = (failures = 0))
) STRICT;

-- Events that are to be sent.
CREATE TABLE webhook_queue (
    -- The order in which they are sent.
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- To whom; this goes with it.
    webhook_id INTEGER NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    -- The event's identifier.
    event_id INTEGER NOT NULL,
    -- When it was queued.
    at INTEGER NOT NULL,
    -- The event as it is sent: a JSON object.
    body TEXT NOT NULL CHECK (json_valid(body))
) STRICT;

CREATE INDEX webhook_queue_by_webhook ON webhook_queue (webhook_id, id);

-- Facts about this installation, by name.
CREATE TABLE facts (
    -- 'secret_check': tells whether a command runs with the same secret as the server.
    -- 'installation': tells this installation from others, in the package folder.
    -- 'claimed': there is or was an administrator, so nobody can become the first one any more.
    name TEXT PRIMARY KEY,
    -- What is kept under it.
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
