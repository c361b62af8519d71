//! The store on a real file, through what it offers to the rest of the program.

mod presence;
pub mod upgrade;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::time::SystemTime;

use rusqlite::Connection;
use tempfile::TempDir;
use tender::clock::{Clock, ManualTime};
use tender::store::{Store, StoreError};

use crate::harness::START;

/// A store in a folder of its own.
struct Place {
    folder: TempDir,
    store: Store,
    time: ManualTime,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (clock, time) = Clock::manual(SystemTime::UNIX_EPOCH + START);
        let store = Store::open(&folder.path().join("a.sqlite"), clock).unwrap();
        Self { folder, store, time }
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("a.sqlite")
    }

    /// A connection beside the store.
    fn beside(&self) -> Connection {
        Connection::open(self.database()).unwrap()
    }

    /// Closes and opens again.
    async fn reopen(&mut self) {
        self.store.close().await;
        let (clock, time) = Clock::manual(SystemTime::UNIX_EPOCH + START);
        self.store = Store::open(&self.database(), clock).unwrap();
        self.time = time;
    }
}

fn count(connection: &Connection, table: &str) -> i64 {
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

/// A copy of a database with one of everything in it, that can be broken.
fn copy_with_rows(place: &Place, path: &Path) -> Connection {
    place.beside().execute("VACUUM INTO ?1", [path.to_str().unwrap()]).unwrap();
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    connection
        .execute_batch(
            "INSERT INTO groups VALUES (1, 0, '{}', 'no_update,');
             INSERT INTO devices VALUES (1, 'k1', 'k1', 'n', 'pem', zeroblob(32), '{}', '{}', 1, 0);
             INSERT INTO device_presence VALUES (1, 0);
             INSERT INTO registrations VALUES (1, 'k1', 'k1', 'pem', zeroblob(32), '{}', 0, NULL);
             INSERT INTO packages VALUES (1, 0, zeroblob(32), 1, 'u1', NULL, '{}');
             INSERT INTO artifacts VALUES (1, '{}');
             INSERT INTO package_integrity VALUES (1, 0, NULL, NULL, NULL);
             INSERT INTO group_packages VALUES (1, 1, 0);
             INSERT INTO access_tokens VALUES ('t1', 'n', 's', 0, NULL, NULL);
             INSERT INTO facts VALUES ('f1', x'00');",
        )
        .unwrap();
    connection
}

#[tokio::test]
async fn rows_that_make_no_sense_cannot_be_written() {
    let place = Place::new();
    let connection = copy_with_rows(&place, &place.folder.path().join("copy.sqlite"));
    let refused = [
        // One device for each MAC address.
        "INSERT INTO devices VALUES (2, 'k1', 'K1', 'n', NULL, NULL, '{}', '{}', NULL, 0)",
        "INSERT INTO devices VALUES (2, NULL, 'k2', 'n', NULL, NULL, '{}', '{}', NULL, 0)",
        "INSERT INTO devices VALUES (2, 'k2', NULL, 'n', NULL, NULL, '{}', '{}', NULL, 0)",
        // A key with its fingerprint, or neither.
        "INSERT INTO devices VALUES (2, 'k2', 'k2', 'n', 'pem', NULL, '{}', '{}', NULL, 0)",
        "INSERT INTO devices VALUES (2, 'k2', 'k2', 'n', NULL, zeroblob(32), '{}', '{}', NULL, 0)",
        "INSERT INTO devices VALUES (2, 'k2', 'k2', 'n', 'pem', zeroblob(31), '{}', '{}', NULL, 0)",
        "UPDATE devices SET metadata = 'no json'",
        "UPDATE devices SET metadata = NULL",
        "UPDATE devices SET capabilities = '{'",
        "UPDATE devices SET group_id = 99",
        "UPDATE devices SET created_at = 'yesterday'",
        "INSERT INTO device_presence VALUES (99, 0)",
        "UPDATE device_presence SET last_access_at = NULL",
        // One registration for each MAC address and key.
        "INSERT INTO registrations VALUES (2, 'k1', 'K1', 'pem', zeroblob(32), '{}', 0, NULL)",
        "UPDATE registrations SET key_fingerprint = x'00'",
        "UPDATE registrations SET metadata = ''",
        // Packages are files with contents.
        "INSERT INTO packages VALUES (2, 0, zeroblob(32), 0, 'u2', NULL, '{}')",
        "INSERT INTO packages VALUES (2, 0, zeroblob(32), -1, 'u2', NULL, '{}')",
        "INSERT INTO packages VALUES (2, 0, zeroblob(32), 'long', 'u2', NULL, '{}')",
        "INSERT INTO packages VALUES (2, 0, zeroblob(31), 1, 'u2', NULL, '{}')",
        "INSERT INTO packages VALUES (2, 0, NULL, 1, 'u2', NULL, '{}')",
        "INSERT INTO packages VALUES (2, 0, zeroblob(32), 1, 'u1', NULL, '{}')",
        "INSERT INTO packages VALUES (2, 0, zeroblob(32), 1, NULL, NULL, '{}')",
        "INSERT INTO packages VALUES (2, 0, zeroblob(32), 1, 'u2', NULL, 'text')",
        // What an artifact says is that of a package.
        "INSERT INTO artifacts VALUES (99, '{}')",
        "UPDATE artifacts SET description = 'text'",
        // A damage says since when it is known, and what it is.
        "INSERT INTO package_integrity VALUES (99, 0, NULL, NULL, NULL)",
        "UPDATE package_integrity SET damage = 'corrupt'",
        "UPDATE package_integrity SET damage = 'corrupt', found_at = 0",
        "UPDATE package_integrity SET found_at = 0, detail = 'x'",
        // Assignments lead from something to something, once.
        "INSERT INTO group_packages VALUES (99, 1, 1)",
        "INSERT INTO group_packages VALUES (1, 99, 1)",
        "INSERT INTO group_packages VALUES (1, 1, 1)",
        "INSERT INTO group_packages VALUES (1, NULL, 1)",
        // What is used stays.
        "DELETE FROM groups",
        "DELETE FROM packages",
        "UPDATE groups SET id = 2",
        "UPDATE groups SET metadata = 'no json'",
        "UPDATE groups SET policy = NULL",
        "INSERT INTO access_tokens VALUES ('t1', 'n', 's', 0, NULL, NULL)",
        "INSERT INTO access_tokens VALUES (NULL, 'n', 's', 0, NULL, NULL)",
        "INSERT INTO facts VALUES ('f1', x'01')",
        "INSERT INTO facts VALUES ('f2', NULL)",
    ];
    for statement in refused {
        assert!(connection.execute_batch(statement).is_err(), "{statement}");
    }
    // What goes takes what is only about it along.
    connection.execute_batch("DELETE FROM devices; DELETE FROM groups; DELETE FROM packages").unwrap();
    for table in ["device_presence", "group_packages", "package_integrity"] {
        assert_eq!(count(&connection, table), 0, "{table}");
    }
    // Identifiers are never used again.
    connection
        .execute_batch("INSERT INTO groups (created_at, metadata, policy) VALUES (0, '{}', 'no_update,')")
        .unwrap();
    assert_eq!(connection.last_insert_rowid(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reading_connection_checks_foreign_keys_and_cannot_write() {
    let place = Place::new();
    const READERS: usize = 4;
    // All at once, so that each has a connection of its own.
    let together = Arc::new(Barrier::new(READERS));
    let reads: Vec<_> = (0..READERS)
        .map(|_| {
            let (store, together) = (place.store.clone(), together.clone());
            tokio::spawn(async move {
                let look = move |connection: &Connection| {
                    together.wait();
                    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
                    let writes = connection.execute_batch("DELETE FROM devices");
                    Ok::<_, StoreError>((pragma("foreign_keys")?, pragma("query_only")?, writes.is_err()))
                };
                store.read(look).await.unwrap()
            })
        })
        .collect();
    for read in reads {
        assert_eq!(read.await.unwrap(), (1, 1, true));
    }
}

#[tokio::test]
async fn databases_of_others_are_refused_and_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let open = |path: &Path| Store::open(path, Clock::system()).map(drop).map_err(|error| error.to_string());

    let newer = folder.path().join("newer.sqlite");
    Store::open(&newer, Clock::system()).unwrap().close().await;
    Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(open(&newer).unwrap_err().contains("newer tender"));

    let foreign = folder.path().join("foreign.sqlite");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE songs (title TEXT)").unwrap();
    assert!(open(&foreign).unwrap_err().contains("another program's"));
    let before = std::fs::read(&foreign).unwrap();
    open(&foreign).unwrap_err();
    assert_eq!(std::fs::read(&foreign).unwrap(), before);
    let objects = "SELECT group_concat(name) FROM sqlite_schema";
    let found: String = Connection::open(&foreign).unwrap().query_row(objects, [], |row| row.get(0)).unwrap();
    assert_eq!(found, "songs");

    let text = folder.path().join("text.sqlite");
    let contents = "a diary, and no database at all ".repeat(100);
    std::fs::write(&text, &contents).unwrap();
    open(&text).unwrap_err();
    assert_eq!(std::fs::read_to_string(&text).unwrap(), contents);
    open(folder.path()).unwrap_err();
}
