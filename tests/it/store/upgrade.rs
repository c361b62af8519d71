//! Databases of every earlier schema are upgraded with all that is in them, and kept as they were.

use std::path::Path;
use std::time::SystemTime;

use rusqlite::Connection;
use rusqlite::types::Value;
use tender::clock::Clock;
use tender::config::StorageConfig;
use tender::installation::Installation;
use tender::store::latest_version;

use crate::harness::START;
use crate::harness::process::{ServerProcess, create_token, run};

/// A database as each version of the schema had it, with rows in every table, as SQL text. A file that is released is never changed.
const SCHEMAS: [&str; 10] = [
    include_str!("schemas/1.sql"),
    include_str!("schemas/2.sql"),
    include_str!("schemas/3.sql"),
    include_str!("schemas/4.sql"),
    include_str!("schemas/5.sql"),
    include_str!("schemas/6.sql"),
    include_str!("schemas/7.sql"),
    include_str!("schemas/8.sql"),
    include_str!("schemas/9.sql"),
    include_str!("schemas/10.sql"),
];

/// Makes the database of a version.
pub fn make(database: &Path, version: usize) -> Connection {
    let connection = Connection::open(database).unwrap();
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL").unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.execute_batch(SCHEMAS[version - 1]).unwrap();
    connection
}

/// A table, its columns, and its rows in order.
type Table = (String, Vec<String>, Vec<Vec<Value>>);

fn tables(connection: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_stat%' ORDER BY name";
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

fn rows(connection: &Connection, table: &str, columns: &[String]) -> Vec<Vec<Value>> {
    let columns = columns.join(", ");
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM {table} ORDER BY {columns}")).unwrap();
    let count = statement.column_count();
    let rows = statement.query_map([], |row| (0..count).map(|index| row.get(index)).collect()).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn contents(connection: &Connection) -> Vec<Table> {
    let table = |name: String| {
        let statement = connection.prepare(&format!("SELECT * FROM {name}")).unwrap();
        let columns: Vec<_> = statement.column_names().into_iter().map(str::to_owned).collect();
        let rows = rows(connection, &name, &columns);
        (name, columns, rows)
    };
    tables(connection).into_iter().map(table).collect()
}

#[tokio::test]
async fn every_released_schema_is_upgraded_with_all_its_rows() {
    assert_eq!(SCHEMAS.len(), latest_version() as usize, "a new schema needs a database that has it");
    for version in 1..=SCHEMAS.len() {
        let folder = tempfile::tempdir().unwrap();
        let config = StorageConfig::in_folder(folder.path().join("data"));
        let places = Installation::folder(&config).unwrap();
        let before = contents(&make(places.database(), version));
        for (table, _, rows) in &before {
            assert!(!rows.is_empty(), "the database of version {version} has no {table}");
        }
        let (clock, _) = Clock::manual(SystemTime::UNIX_EPOCH + START);
        // This fails unless the schema is that of schema.sql afterwards.
        let installation = Installation::open(&places, None, clock).unwrap();
        installation.store.close().await;
        let after = Connection::open(places.database()).unwrap();
        for (table, columns, expected) in &before {
            assert_eq!(&rows(&after, table, columns), expected, "{table} of version {version}");
        }
        for table in tables(&after).into_iter().filter(|table| before.iter().all(|(known, ..)| known != table)) {
            let count: i64 = after.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
            assert_eq!(count, 0, "{table} is new since version {version}");
        }
        let rejected: Option<i64> =
            after.query_row("SELECT rejected_at FROM registrations WHERE id = 2", [], |row| row.get(0)).unwrap();
        assert_eq!(rejected, None, "whoever waited in version {version} waits");

        // What was upgraded is kept as it was, and what was not needs no copy.
        let snapshots = places.list_snapshots().unwrap();
        if version == SCHEMAS.len() {
            assert_eq!(snapshots, []);
        } else {
            assert_eq!(snapshots.len(), 1);
            assert_eq!(snapshots[0].schema as usize, version);
            let kept = Connection::open(&snapshots[0].path).unwrap();
            assert_eq!(contents(&kept), before, "the snapshot of version {version}");
        }
    }
}

#[tokio::test]
async fn the_last_two_snapshots_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let config = StorageConfig::in_folder(folder.path().join("data"));
    let places = Installation::folder(&config).unwrap();
    for version in 1..=4 {
        for name in ["tender.sqlite", "tender.sqlite-wal", "tender.sqlite-shm"] {
            let _ = std::fs::remove_file(places.root().join(name));
        }
        drop(make(places.database(), version));
        Installation::open(&places, None, Clock::system()).unwrap().store.close().await;
    }
    let kept: Vec<_> = places.list_snapshots().unwrap().into_iter().map(|snapshot| snapshot.schema).collect();
    assert_eq!(kept, [3, 4]);
}

#[tokio::test]
async fn death_in_the_middle_of_an_upgrade_leaves_the_old_or_the_new_schema() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let database = data.join("tender.sqlite");
    let connection = make(&database, 1);
    // So that indexes take a moment.
    connection
        .execute_batch(
            "WITH RECURSIVE number (n) AS (SELECT 100 UNION ALL SELECT n + 1 FROM number WHERE n < 20000)
             INSERT INTO devices SELECT n, 'key' || n, 'mac' || n, 'device ' || n, NULL, NULL, '{}',
                 json_object('rdfm.software.version', 'v' || n), NULL, 1799000000 FROM number",
        )
        .unwrap();
    drop(connection);
    // Its two packages are lost.
    std::fs::create_dir(data.join("packages")).unwrap();
    std::fs::write(data.join("packages/.tender"), "").unwrap();
    let mut ends = std::collections::BTreeSet::new();
    for round in 0..12_u64 {
        let mut server = crate::harness::process::tender(folder.path());
        server.args(["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"]);
        server.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut server = server.spawn().unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(round * 15)).await;
        server.kill().unwrap();
        server.wait().unwrap();
        let connection = Connection::open(&database).unwrap();
        let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        ends.insert(version);
        assert!(version == 1 || version == latest_version(), "version {version}");
        let sound: String = connection.pragma_query_value(None, "integrity_check", |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        let devices: i64 = connection.query_row("SELECT count(*) FROM devices", [], |row| row.get(0)).unwrap();
        assert_eq!(devices, 19_903);
    }
    let token = create_token(folder.path());
    let server = ServerProcess::start(folder.path()).await;
    server.operator(&token).get("/api/v1/groups").await.ok();
    server.kill();
    let snapshots = std::fs::read_dir(data.join("snapshots")).unwrap();
    let complete = snapshots.flatten().filter(|entry| entry.path().extension().is_some_and(|end| end == "sqlite"));
    assert!((1..=2).contains(&complete.count()), "after {ends:?}");
}

#[tokio::test]
async fn a_rollback_puts_the_database_before_the_upgrade_back() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let database = data.join("tender.sqlite");
    drop(make(&database, 7));
    std::fs::create_dir_all(data.join("packages")).unwrap();
    std::fs::write(data.join("packages/.tender"), "1b4e28ba-2fa1-11d2-883f-0016d3cca427").unwrap();
    std::fs::write(data.join("packages/67e55044-10b1-426f-9247-bb680e5fe0c8"), "contents!").unwrap();

    let output = run(folder.path(), ["rollback", "--data-dir", "data", "--yes"]);
    assert!(crate::harness::process::assert_refused(&output, 1).contains("no database from before an upgrade"));

    let token = create_token(folder.path());
    let mut server = ServerProcess::start(folder.path()).await;
    let operator = server.operator(&token);
    let later = operator.package("v3", &[], b"later").await;
    let output = run(folder.path(), ["rollback", "--data-dir", "data", "--yes"]);
    assert!(crate::harness::process::assert_refused(&output, 1).contains("is running"));
    server.signal("TERM");
    server.ended().await;

    let before = std::fs::read(&database).unwrap();
    let output = run(folder.path(), ["rollback", "--data-dir", "data"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("--yes") && said.contains("packages that are lost: 1"), "{said}");
    // Package 6 has no file: it was deleted after the upgrade, say.
    assert!(said.contains("missing until they are uploaded again: 6"), "{said}");
    assert_eq!(std::fs::read(&database).unwrap(), before, "nothing is changed without a yes");

    let output = run(folder.path(), ["rollback", "--data-dir", "data", "--yes"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let restored = Connection::open(&database).unwrap();
    let version: u32 = restored.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 7);
    let count = |connection: &Connection, sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count(&restored, "SELECT count(*) FROM packages"), 2);
    // Whatever has become of their files since: uploads begin anew.
    assert_eq!(count(&restored, "SELECT count(*) FROM uploads"), 0);
    let replaced = Connection::open(data.join("tender.sqlite-replaced")).unwrap();
    assert_eq!(count(&replaced, &format!("SELECT count(*) FROM packages WHERE id = {later}")), 1);
    drop((restored, replaced));

    // This program upgrades it once more, and finds the package whose file is gone.
    let server = ServerProcess::start(folder.path()).await;
    let operator = server.operator(&token);
    operator.get("/api/v1/packages").await.error(401);
    let token = create_token(folder.path());
    let operator = server.operator(&token);
    let state = async || operator.get("/api/tender/v1/packages/6").await.ok()["state"].clone();
    while state().await != "missing" {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
