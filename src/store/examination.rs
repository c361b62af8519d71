//! A look at a database without opening it for work: nothing is written, migrated or refused because it is old, also if it
//! is damaged or a server works with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use serde_json::{Map, Value};

use super::schema;
use super::{DatabaseSize, StoreError};

/// How many devices are shown of one.
const DEVICES: u32 = 10_000;
/// How many faults SQLite lists of one database.
const FAULTS: usize = 100;

/// A database that is looked at.
pub struct Examination {
    path: PathBuf,
    connection: Connection,
}

impl Examination {
    /// Opens the database at `path` for reading alone. Blocks, as everything here does.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, schema::reader_flags())?;
        Ok(Self { path: path.to_owned(), connection })
    }

    /// Has everything here wait so long for other processes.
    pub(super) fn wait_for_others(&self, patience: Duration) -> Result<(), StoreError> {
        Ok(self.connection.busy_timeout(patience)?)
    }

    /// The version of the schema: 0 if there is nothing in the database.
    pub fn schema_version(&self) -> Result<u32, StoreError> {
        schema::version(&self.connection)
    }

    /// What SQLite finds wrong with the file and with references between rows; nothing if all is well.
    pub fn faults(&mut self) -> Result<Vec<String>, StoreError> {
        let found = schema::prepare_reader(&mut self.connection).and_then(|()| self.find_faults());
        match found {
            Err(error) if is_damage(&error) => Ok(vec![error.to_string()]),
            found => Ok(found?),
        }
    }

    fn find_faults(&self) -> rusqlite::Result<Vec<String>> {
        let mut faults = Vec::new();
        self.connection.pragma_query(None, "foreign_key_check", |row| {
            let (table, row, parent): (String, Option<i64>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if faults.len() == FAULTS {
                return Ok(());
            }
            let row = row.map_or_else(String::new, |row| format!(" {row}"));
            faults.push(format!("row{row} of {table} refers to a row of {parent} that is not there"));
            Ok(())
        })?;
        let mut statement = self.connection.prepare(&format!("PRAGMA integrity_check({FAULTS})"))?;
        for line in statement.query_map([], |row| row.get::<_, String>(0))? {
            faults.push(line?);
        }
        faults.retain(|fault| fault != "ok");
        Ok(faults)
    }

    /// How long its files are.
    pub fn size(&self) -> DatabaseSize {
        DatabaseSize::of(&self.connection)
    }

    /// What SQLite says about it: the version of the schema, how it is written, and its pages.
    pub fn properties(&self) -> Result<Value, StoreError> {
        let mut properties = Map::new();
        for name in ["user_version", "application_id", "journal_mode", "page_size", "page_count", "freelist_count"] {
            let value: rusqlite::types::Value = self.connection.pragma_query_value(None, name, |row| row.get(0))?;
            properties.insert(name.to_owned(), json_of(value));
        }
        properties.insert("sqlite".to_owned(), rusqlite::version().into());
        Ok(properties.into())
    }

    /// How many rows each table has; of one that cannot be read, why.
    pub fn row_counts(&self) -> Result<Value, StoreError> {
        let mut tables =
            self.connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")?;
        let tables: Vec<String> = tables.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let count = |table: &str| {
            let sql = format!("SELECT count(*) FROM \"{}\"", table.replace('"', "\"\""));
            self.connection.query_row(&sql, [], |row| row.get::<_, i64>(0))
        };
        let counts = tables.into_iter().map(|table| {
            let rows = count(&table).map_or_else(|error| error.to_string().into(), Value::from);
            (table, rows)
        });
        Ok(Value::Object(counts.collect()))
    }

    /// What tells devices apart, of as many as one can look through: neither their keys nor all that they report.
    pub fn device_facts(&self) -> Result<Value, StoreError> {
        let mut devices = self.connection.prepare(
            "SELECT json_object('id', id, 'mac_address', mac_address, 'group', group_id, 'last_access_at', last_access_at,
                 'type', metadata ->> '$.\"rdfm.hardware.devtype\"', 'version', metadata ->> '$.\"rdfm.software.version\"')
             FROM devices LEFT JOIN device_presence ON device_id = id ORDER BY id LIMIT ?1",
        )?;
        let mut shown = Vec::new();
        for text in devices.query_map([DEVICES], |row| row.get::<_, String>(0))? {
            shown.push(serde_json::from_str(&text?).unwrap_or_default());
        }
        Ok(Value::Array(shown))
    }

    /// Refuses a database that is newer, or another program's.
    pub fn refuse_foreign(&self) -> Result<(), StoreError> {
        schema::refuse_foreign(&self.connection, &self.path)
    }

    /// Runs a query.
    pub fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        query(&self.connection)
    }
}

fn json_of(value: rusqlite::types::Value) -> Value {
    match value {
        rusqlite::types::Value::Integer(number) => number.into(),
        rusqlite::types::Value::Real(number) => number.into(),
        rusqlite::types::Value::Text(text) => text.into(),
        rusqlite::types::Value::Null | rusqlite::types::Value::Blob(_) => Value::Null,
    }
}

/// Whether an error says something about the database, and not about this look at it.
fn is_damage(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseCorrupt, NotADatabase, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase | SystemIoFailure))
}
