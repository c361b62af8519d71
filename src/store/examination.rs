//! A look at a database without opening it for work: nothing is written, migrated or refused because it is old, also if it
//! is damaged or a server works with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::StoreError;
use super::schema;

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

    /// Refuses a database that is newer, or another program's.
    pub fn refuse_foreign(&self) -> Result<(), StoreError> {
        schema::refuse_foreign(&self.connection, &self.path)
    }

    /// Runs a query.
    pub fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        query(&self.connection)
    }
}

/// Whether an error says something about the database, and not about this look at it.
fn is_damage(error: &rusqlite::Error) -> bool {
    use ErrorCode::{DatabaseCorrupt, NotADatabase, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase | SystemIoFailure))
}
