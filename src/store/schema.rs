//! The database's schema and connections: made new, migrated, checked, and set up for reading or writing.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction};
use rusqlite_migration::{M, Migrations, SchemaVersion};

use super::StoreError;
use crate::domain::Timestamp;

/// The current schema.
const SCHEMA: &str = include_str!("../../schema.sql");

/// Each step from the first schema to [`SCHEMA`]. A step that was released is never changed.
const STEPS: [&str; 10] = [
    include_str!("migrations/1.sql"),
    include_str!("migrations/2.sql"),
    include_str!("migrations/3.sql"),
    include_str!("migrations/4.sql"),
    include_str!("migrations/5.sql"),
    include_str!("migrations/6.sql"),
    include_str!("migrations/7.sql"),
    include_str!("migrations/8.sql"),
    include_str!("migrations/9.sql"),
    include_str!("migrations/10.sql"),
];

static MIGRATIONS: LazyLock<Migrations<'static>> = LazyLock::new(|| {
    let step = |sql| {
        M::up_with_hook(sql, |_: &Transaction<'_>| {
            fail_point!("migrate.step-done");
            Ok(())
        })
    };
    Migrations::new(STEPS.into_iter().map(step).collect())
});

/// How long to wait for another process (a command run beside the server) to end its transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the database for writing, makes or migrates it, and refuses one whose schema is not ours.
pub(super) fn open_latest(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Before anything is written to it.
    refuse_foreign(&connection, path)?;
    // Before the first table, or it has no effect: lets freed pages be given back later without a full VACUUM.
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // An acknowledged write survives power loss; the writer's batches make that affordable.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", 4 * 1024 * 1024)?;
    // What was deleted, such as the hash of a password, is not left in free pages.
    connection.pragma_update(None, "secure_delete", true)?;
    prepare(&connection)?;
    fail_point!("migrate.begun");
    MIGRATIONS.to_latest(&mut connection).map_err(|error| unusable(path, &error.to_string()))?;
    fail_point!("migrate.done");
    verify(&connection, path)?;
    Ok(connection)
}

/// How reading connections are opened: they cannot write, nor make a database.
pub(super) fn reader_flags() -> OpenFlags {
    OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX
}

/// Sets a reading connection up.
pub(super) fn prepare_reader(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "query_only", true)?;
    prepare(connection)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Each connection may use so many KiB; negative is how SQLite tells KiB from pages.
    connection.pragma_update(None, "cache_size", -2048)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// A database that is newer, or another program's (the reference server's, say), is left as it is.
pub(super) fn refuse_foreign(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    match MIGRATIONS.current_version(connection) {
        Ok(SchemaVersion::Outside(_)) => {
            Err(unusable(path, "it was written by a newer tender: use that version, or go back with `tender rollback`"))
        }
        Ok(SchemaVersion::NoneSet) if !schema_objects(connection)?.is_empty() => {
            Err(unusable(path, "it is another program's: give tender a database of its own"))
        }
        Ok(_) => Ok(()),
        Err(rusqlite_migration::Error::RusqliteError { err, .. }) => match err.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Err(unusable(path, "it is damaged, or no database at all: restore a backup"))
            }
            _ => Err(err.into()),
        },
        Err(error) => Err(unusable(path, &error.to_string())),
    }
}

/// The version of a database's schema: 0 if there is none.
pub(super) fn version(connection: &Connection) -> Result<u32, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// The version of the newest schema.
pub fn latest_version() -> u32 {
    u32::try_from(STEPS.len()).expect("there are a handful of steps")
}

/// Copies a database as it is at this moment into the empty file at `target`, without its free pages. Others may write meanwhile.
pub(super) fn copy_into(connection: &Connection, target: &Path) -> Result<(), StoreError> {
    let target = target.to_str().ok_or_else(|| unusable(target, "its path is not UTF-8 text"))?;
    connection.execute("VACUUM INTO ?1", [target])?;
    Ok(())
}

/// The same of a database that nobody has opened. Blocks.
pub(super) fn copy_file_into(database: &Path, target: &Path) -> Result<(), StoreError> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    copy_into(&connection, target)
}

/// The version of a database that opening it for work would migrate; `None`: it would not, or would be refused.
pub(super) fn version_to_migrate(database: &Path) -> Result<Option<u32>, StoreError> {
    // Not for reading alone: what a process that died has left in the log is to be seen, and may have to be mended for that.
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    refuse_foreign(&connection, database)?;
    let version = version(&connection)?;
    Ok((1..latest_version()).contains(&version).then_some(version))
}

/// Takes the uploads that are no packages yet out of a copy of the database, whose package folder lacks their files.
pub(super) fn forget_uploads(database: &Path) -> Result<(), StoreError> {
    let connection = Connection::open(database)?;
    // A copy that power loss spoils is made again.
    connection.pragma_update(None, "journal_mode", "MEMORY")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    if connection.table_exists(None, "uploads")? {
        connection.execute("DELETE FROM uploads", [])?;
    }
    Ok(())
}

/// The live schema must be the one in the file, or queries would fail one by one later.
fn verify(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let expected = Connection::open_in_memory()?;
    expected.execute_batch(SCHEMA)?;
    if schema_objects(connection)? == schema_objects(&expected)? {
        Ok(())
    } else {
        Err(unusable(path, "its tables are not those of this tender: it is another program's, or was changed by hand"))
    }
}

/// Tables, indexes and triggers: type, name, and how it is defined, whatever the comments and white space.
fn schema_objects(connection: &Connection) -> rusqlite::Result<Vec<(String, String, String)>> {
    let mut statement = connection.prepare(
        "SELECT type, name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name",
    )?;
    let objects =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, definition(&row.get::<_, String>(2)?))))?;
    objects.collect()
}

/// A definition without comments (none of our texts holds `--`) and white space.
fn definition(sql: &str) -> String {
    let without_comments = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    without_comments.flat_map(str::chars).filter(|character| !character.is_whitespace()).collect()
}

/// The latest date in the database: time goes on from there, whatever the wall clock says after a restart.
pub(super) fn latest_timestamp(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    connection.query_row(
        "SELECT max(at) FROM (
             SELECT max(created_at) AS at FROM groups
             UNION ALL SELECT max(created_at) FROM devices
             UNION ALL SELECT max(created_at) FROM packages
             UNION ALL SELECT max(max(coalesce(verified_at, 0)), max(coalesce(found_at, 0))) FROM package_integrity
             UNION ALL SELECT max(last_access_at) FROM device_presence
             UNION ALL SELECT max(last_appeared_at) FROM registrations
             UNION ALL SELECT max(max(created_at), max(coalesce(revoked_at, 0))) FROM access_tokens
             -- The last one is the latest but for seconds, and need not be looked for.
             UNION ALL SELECT at FROM (SELECT at FROM audit_log ORDER BY id DESC LIMIT 1)
             UNION ALL SELECT max(last_seen_at) FROM sessions
             UNION ALL SELECT offered_at FROM (SELECT offered_at FROM attempts ORDER BY id DESC LIMIT 1)
             UNION ALL SELECT at FROM (SELECT at FROM webhook_queue ORDER BY id DESC LIMIT 1)
         )",
        [],
        |row| row.get(0),
    )
}

fn unusable(path: &Path, reason: &str) -> StoreError {
    StoreError::Unusable(format!("cannot use the database {}: {reason}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migrated_database_equals_the_schema_file() {
        MIGRATIONS.validate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite");
        drop(open_latest(&path).unwrap());
        let reopened = open_latest(&path).unwrap();
        let fresh = Connection::open_in_memory().unwrap();
        fresh.execute_batch(SCHEMA).unwrap();
        assert_eq!(schema_objects(&reopened).unwrap(), schema_objects(&fresh).unwrap());
    }

    #[test]
    fn comments_are_no_part_of_the_schema() {
        let definitions =
            ["CREATE TABLE a (b TEXT) STRICT", "CREATE TABLE a (\n    -- A comment.\n    b  TEXT\n) STRICT"];
        assert_eq!(definition(definitions[0]), definition(definitions[1]));
        assert_ne!(definition(definitions[0]), definition("CREATE TABLE a (c TEXT) STRICT"));
    }

    #[test]
    fn foreign_databases_are_refused_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let newer = folder.path().join("newer.sqlite");
        open_latest(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(open_latest(&newer).unwrap_err().to_string().contains("newer tender"));

        let changed = folder.path().join("changed.sqlite");
        open_latest(&changed).unwrap().execute_batch("ALTER TABLE devices ADD COLUMN colour TEXT").unwrap();
        assert!(open_latest(&changed).unwrap_err().to_string().contains("changed by hand"));

        let text = folder.path().join("text.sqlite");
        std::fs::write(&text, "not a database, but long enough to be read as the header of one").unwrap();
        assert!(open_latest(&text).is_err());
    }

    #[test]
    fn every_connection_checks_foreign_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite");
        let writer = open_latest(&path).unwrap();
        let mut reader = Connection::open_with_flags(&path, reader_flags()).unwrap();
        prepare_reader(&mut reader).unwrap();
        for connection in [&writer, &reader] {
            let on: bool = connection.pragma_query_value(None, "foreign_keys", |row| row.get(0)).unwrap();
            assert!(on);
        }
        assert!(reader.execute_batch("DELETE FROM devices").is_err());
        assert!(writer.execute_batch("INSERT INTO group_packages VALUES (1, 1, 0)").is_err());
    }
}
