-- A database as tender left it with version 10 of the schema.
PRAGMA foreign_keys = OFF;
BEGIN;
CREATE TABLE access_tokens (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO "access_tokens" VALUES('t1','nightly','rdfm_admin_rw',1799000000,NULL,NULL);
INSERT INTO "access_tokens" VALUES('t2','old','rdfm_admin_ro',1799000000,1799100000,1799000050);
CREATE TABLE artifacts (
    package_id INTEGER PRIMARY KEY REFERENCES packages (id) ON DELETE CASCADE,
    description TEXT NOT NULL CHECK (json_valid(description))
) STRICT;
INSERT INTO "artifacts" VALUES(6,'{"name":"v2"}');
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
INSERT INTO "attempts" VALUES(1,7,3,6,11,'v1','v2','v2','[6]',1799000900,1,11,11,1799000910,1799000990,'succeeded',0);
INSERT INTO "attempts" VALUES(2,7,3,6,11,'v1','v2','v2','[6]',1799001000,1,5,5,NULL,NULL,NULL,0);
CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    actor_kind TEXT NOT NULL,
    actor TEXT NOT NULL,
    address TEXT,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
INSERT INTO "audit_log" VALUES(4,1799000500,'user','anna','10.0.0.9','session.login','user/anna','done','');
CREATE TABLE clients (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    secret_hash BLOB NOT NULL CHECK (length(secret_hash) = 32),
    created_at INTEGER NOT NULL,
    secret_version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "clients" VALUES('c1','builder','rdfm_admin_ro',X'0000000000000000000000000000000000000000000000000000000000000000',1799000000,1);
CREATE TABLE device_presence (
    device_id INTEGER PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    last_access_at INTEGER NOT NULL
) STRICT;
INSERT INTO "device_presence" VALUES(7,1799000300);
CREATE TABLE devices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    mac_key TEXT NOT NULL UNIQUE,
    mac_address TEXT NOT NULL,
    name TEXT NOT NULL,
    public_key TEXT,
    key_fingerprint BLOB CHECK (length(key_fingerprint) = 32),
    capabilities TEXT NOT NULL CHECK (json_valid(capabilities)),
    metadata TEXT NOT NULL CHECK (json_valid(metadata)),
    group_id INTEGER REFERENCES groups (id) ON DELETE RESTRICT,
    created_at INTEGER NOT NULL,
    CHECK ((public_key IS NULL) = (key_fingerprint IS NULL))
) STRICT;
INSERT INTO "devices" VALUES(7,'001122334455','00:11:22:33:44:55','pump','-----BEGIN PUBLIC KEY-----',X'0000000000000000000000000000000000000000000000000000000000000000','{"shell":true}','{"rdfm.hardware.devtype":"dummy","rdfm.software.version":"v1"}',3,1799000010);
INSERT INTO "devices" VALUES(8,'001122334456','00-11-22-33-44-56','',NULL,NULL,'{}','{}',NULL,1799000020);
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "facts" VALUES('installation',X'31623465323862612D326661312D313164322D383833662D303031366433636361343237');
CREATE TABLE group_packages (
    group_id INTEGER NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    package_id INTEGER NOT NULL REFERENCES packages (id) ON DELETE RESTRICT,
    position INTEGER NOT NULL,
    PRIMARY KEY (group_id, package_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "group_packages" VALUES(3,5,1);
INSERT INTO "group_packages" VALUES(3,6,0);
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
INSERT INTO "group_rollouts" VALUES(3,'mon-fri 22:00-06:00','Europe/Berlin',3,10,3,20,2,NULL,NULL);
CREATE TABLE groups (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER NOT NULL,
    metadata TEXT NOT NULL CHECK (json_valid(metadata)),
    policy TEXT NOT NULL
) STRICT;
INSERT INTO "groups" VALUES(3,1799000000,'{"name":"line 1"}','exact_match,v2');
CREATE TABLE package_integrity (
    package_id INTEGER PRIMARY KEY REFERENCES packages (id) ON DELETE CASCADE,
    verified_at INTEGER,
    damage TEXT,
    found_at INTEGER,
    detail TEXT,
    CHECK ((damage IS NULL) = (found_at IS NULL) AND (damage IS NULL) = (detail IS NULL))
) STRICT;
INSERT INTO "package_integrity" VALUES(5,1799000700,NULL,NULL,NULL);
INSERT INTO "package_integrity" VALUES(6,NULL,'missing',1799000710,'the file is not there');
CREATE TABLE packages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    created_at INTEGER NOT NULL,
    sha256 BLOB NOT NULL CHECK (length(sha256) = 32),
    length_bytes INTEGER NOT NULL CHECK (length_bytes > 0),
    uuid TEXT NOT NULL UNIQUE,
    directory TEXT,
    metadata TEXT NOT NULL CHECK (json_valid(metadata))
) STRICT;
INSERT INTO "packages" VALUES(5,1799000100,X'0000000000000000000000000000000000000000000000000000000000000000',9,'67e55044-10b1-426f-9247-bb680e5fe0c8',NULL,'{"rdfm.software.version":"v1","rdfm.hardware.devtype":"dummy"}');
INSERT INTO "packages" VALUES(6,1799000110,X'0000000000000000000000000000000000000000000000000000000000000000',11,'67e55044-10b1-426f-9247-bb680e5fe0c9','site a','{"rdfm.software.version":"v2","rdfm.hardware.devtype":"dummy","requires:rdfm.software.version":"v1"}');
CREATE TABLE registrations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    mac_key TEXT NOT NULL,
    mac_address TEXT NOT NULL,
    public_key TEXT NOT NULL,
    key_fingerprint BLOB NOT NULL CHECK (length(key_fingerprint) = 32),
    metadata TEXT NOT NULL CHECK (json_valid(metadata)),
    last_appeared_at INTEGER NOT NULL, rejected_at INTEGER,
    UNIQUE (mac_key, key_fingerprint)
) STRICT;
INSERT INTO "registrations" VALUES(2,'0a0b0c0d0e0f','0A:0B:0C:0D:0E:0F','-----BEGIN PUBLIC KEY-----',X'0000000000000000000000000000000000000000000000000000000000000000','{}',1799000400,NULL);
INSERT INTO "registrations" VALUES(3,'0a0b0c0d0e10','0A:0B:0C:0D:0E:10','-----BEGIN PUBLIC KEY-----',X'0000000000000000000000000000000000000000000000000000000000000000','{}',1799000400,1799000450);
CREATE TABLE revoked_tokens (
    id TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "revoked_tokens" VALUES('j1',1799000900);
CREATE TABLE sessions (
    token_hash BLOB PRIMARY KEY CHECK (length(token_hash) = 32),
    user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "sessions" VALUES(X'0000000000000000000000000000000000000000000000000000000000000000',1,1799000500,1799000600);
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
INSERT INTO "uploads" VALUES('67e55044-10b1-426f-9247-bb680e5fe0ca','user','anna',100,64,X'0000000000000000000000000000000000000000000000000000000000000000','filename YQ==',1799000800,1799090000);
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    disabled_at INTEGER,
    last_login_at INTEGER
) STRICT;
INSERT INTO "users" VALUES(1,'anna','admin','$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaA',1799000000,NULL,1799000500);
CREATE TABLE webhook_queue (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id INTEGER NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event_id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body TEXT NOT NULL CHECK (json_valid(body))
) STRICT;
INSERT INTO "webhook_queue" VALUES(3,1,1799001000000000,1799001000,'{"id":1799001000000000}');
CREATE TABLE webhooks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    url_sha256 BLOB NOT NULL UNIQUE CHECK (length(url_sha256) = 32),
    host TEXT NOT NULL,
    queued INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0,
    last_event_id INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0,
    failing_since INTEGER,
    last_error TEXT,
    CHECK ((failing_since IS NULL) = (failures = 0) AND (last_error IS NULL) = (failures = 0))
) STRICT;
INSERT INTO "webhooks" VALUES(1,X'0000000000000000000000000000000000000000000000000000000000000000','hooks.example',1,2,1799001000000000,0,NULL,NULL);
CREATE TABLE group_identities (
    group_id INTEGER PRIMARY KEY REFERENCES groups (id) ON DELETE CASCADE,
    uuid TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO "group_identities" VALUES(3,'6f7483ac-5cde-467f-acf7-39e4b397e313');
CREATE TABLE trusted_signers (
    public_key BLOB PRIMARY KEY CHECK (length(public_key) = 32),
    name TEXT NOT NULL UNIQUE,
    added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO "trusted_signers" VALUES(X'0000000000000000000000000000000000000000000000000000000000000000','the depot',1799000500);
CREATE INDEX devices_by_group ON devices (group_id);
CREATE INDEX group_packages_by_package ON group_packages (package_id);
CREATE INDEX sessions_by_user ON sessions (user_id);
CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE ON audit_log
BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;
CREATE INDEX attempts_by_device ON attempts (device_id, id);
CREATE INDEX attempts_by_target ON attempts (group_id, target, id);
CREATE INDEX attempts_that_go_on ON attempts (id) WHERE outcome IS NULL;
CREATE INDEX webhook_queue_by_webhook ON webhook_queue (webhook_id, id);
CREATE INDEX devices_by_name ON devices (name COLLATE NOCASE);
CREATE INDEX devices_by_type ON devices (substr(coalesce(metadata ->> '$."rdfm.hardware.devtype"', ''), 1, 64));
CREATE INDEX devices_by_version ON devices (substr(coalesce(metadata ->> '$."rdfm.software.version"', ''), 1, 64));
CREATE INDEX devices_to_look_through ON devices (id, name, mac_address, mac_key, group_id, metadata);
CREATE INDEX registrations_by_worth ON registrations (rejected_at IS NULL, last_appeared_at);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('groups',3);
INSERT INTO "sqlite_sequence" VALUES('devices',8);
INSERT INTO "sqlite_sequence" VALUES('registrations',3);
INSERT INTO "sqlite_sequence" VALUES('packages',6);
INSERT INTO "sqlite_sequence" VALUES('users',1);
INSERT INTO "sqlite_sequence" VALUES('audit_log',4);
INSERT INTO "sqlite_sequence" VALUES('webhooks',1);
INSERT INTO "sqlite_sequence" VALUES('webhook_queue',3);
COMMIT;
PRAGMA user_version = 10;
