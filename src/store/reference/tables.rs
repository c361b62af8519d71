//! Tables and columns of the reference's database, found by the names that they have had.

use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::{StoreError, unusable};

/// All that can be taken over, as it is written there.
#[derive(Debug, Default)]
pub struct ReferenceRows {
    /// Which version of its schema it has, in its own words.
    pub revision: Option<String>,
    /// Groups.
    pub groups: Vec<GroupRow>,
    /// Packages.
    pub packages: Vec<PackageRow>,
    /// Devices.
    pub devices: Vec<DeviceRow>,
    /// Devices that wait to be let in.
    pub registrations: Vec<RegistrationRow>,
    /// Groups and their packages, in the order in which they were assigned.
    pub assignments: Vec<(i64, i64)>,
    /// Devices and their groups.
    pub memberships: Vec<(i64, i64)>,
    /// What is there and not read.
    pub unread: Vec<Unread>,
}

/// Something in the database that nobody here knows.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    /// A table, and how many rows it has.
    Table(String, u64),
    /// A column of a table that is read otherwise.
    Column(&'static str, String),
    /// A column that should be there.
    Missing(&'static str, &'static str),
}

/// A group.
#[derive(Debug)]
pub struct GroupRow {
    /// Identifier.
    pub id: i64,
    /// When it was created.
    pub created: Option<String>,
    /// JSON.
    pub metadata: Option<String>,
    /// As on the wire.
    pub policy: Option<String>,
    /// Which of a device's groups counts, in later versions.
    pub priority: Option<i64>,
}

/// A package.
#[derive(Debug)]
pub struct PackageRow {
    /// Identifier.
    pub id: i64,
    /// When it was uploaded.
    pub created: Option<String>,
    /// JSON, with where the file is.
    pub metadata: Option<String>,
    /// How it is stored.
    pub driver: Option<String>,
    /// Of the file.
    pub sha256: Option<String>,
}

/// A device.
#[derive(Debug)]
pub struct DeviceRow {
    /// Identifier.
    pub id: i64,
    /// For people.
    pub name: Option<String>,
    /// As the device spelled it.
    pub mac_address: Option<String>,
    /// JSON.
    pub capabilities: Option<String>,
    /// JSON.
    pub metadata: Option<String>,
    /// The one group of earlier versions.
    pub group: Option<i64>,
    /// When it was last heard.
    pub last_access: Option<String>,
    /// PEM.
    pub public_key: Option<String>,
}

/// A device that waits to be let in.
#[derive(Debug)]
pub struct RegistrationRow {
    /// As the device spelled it.
    pub mac_address: Option<String>,
    /// PEM.
    pub public_key: Option<String>,
    /// JSON.
    pub metadata: Option<String>,
    /// When it last asked.
    pub last_appeared: Option<String>,
}

/// A table that is known by name.
struct Known {
    name: &'static str,
    /// Each column by what it is, with the names that it may have; `true`: nothing can be done without it.
    columns: &'static [(&'static str, &'static [&'static str], bool)],
    /// Columns that say nothing which is needed here.
    passed_over: &'static [&'static str],
}

const METADATA_NAMES: &[&str] = &["info", "metadata", "device_metadata", "group_metadata", "package_metadata"];
const MAC_NAMES: &[&str] = &["mac_address", "mac_addr", "mac"];
const CREATED_NAMES: &[&str] = &["created", "created_at"];
const GROUP_NAMES: &[&str] = &["group_id", "group"];
/// When a row was last changed, which tender does not keep; and numbers that nobody refers to.
const PASSED_OVER: &[&str] = &["id", "updated", "updated_at"];

const GROUPS: Known = Known {
    name: "groups",
    columns: &[
        ("identifier", &["id"], true),
        ("date of creation", CREATED_NAMES, false),
        ("metadata", METADATA_NAMES, false),
        ("policy", &["policy"], true),
    ],
    passed_over: &["id", "updated", "updated_at", "priority"],
};
const PACKAGES: Known = Known {
    name: "packages",
    columns: &[
        ("identifier", &["id"], true),
        ("date of creation", CREATED_NAMES, false),
        ("metadata", METADATA_NAMES, true),
        ("storage driver", &["driver"], false),
        ("SHA-256", &["sha256"], true),
    ],
    passed_over: PASSED_OVER,
};
const DEVICES: Known = Known {
    name: "devices",
    columns: &[
        ("identifier", &["id"], true),
        ("name", &["name"], false),
        ("MAC address", MAC_NAMES, true),
        ("capabilities", &["capabilities"], false),
        ("metadata", METADATA_NAMES, false),
        ("last access", &["last_access", "last_accessed", "last_seen"], false),
        ("public key", &["public_key"], true),
    ],
    passed_over: &["id", "updated", "updated_at", "group", "group_id"],
};
const REGISTRATIONS: Known = Known {
    name: "registrations",
    columns: &[
        ("MAC address", MAC_NAMES, true),
        ("public key", &["public_key"], true),
        ("metadata", METADATA_NAMES, false),
        ("last appearance", &["last_appeared", "last_appearance"], false),
    ],
    passed_over: PASSED_OVER,
};

/// Where assignments may refer to without saying so.
const REFERENCES: [(&str, &[&str]); 3] =
    [("groups", GROUP_NAMES), ("packages", &["package_id", "package"]), ("devices", &["device_id", "device"])];

/// Reads everything.
pub(super) fn read(connection: &Connection, path: &Path) -> Result<ReferenceRows, StoreError> {
    let tables = names(connection)?;
    let mut rows = ReferenceRows::default();
    let mut take = |known: &Known, more: &[&str]| -> Result<Vec<Vec<Value>>, StoreError> {
        let columns = columns(connection, known.name)?;
        let mut selected = Vec::new();
        for (meaning, candidates, is_needed) in known.columns {
            let found = candidates.iter().find(|candidate| columns.iter().any(|column| column == *candidate));
            match found {
                Some(name) => selected.push(quoted(name)),
                None if *is_needed => {
                    let reason = format!(
                        "its table {} has no column for the {meaning}: it is no reference server's, or of a version that \
                         tender does not know",
                        known.name
                    );
                    return Err(unusable(path, &reason));
                }
                None => {
                    rows.unread.push(Unread::Missing(known.name, meaning));
                    selected.push("NULL".to_owned());
                }
            }
        }
        let is_known =
            |column: &String| known.passed_over.contains(&column.as_str()) || selected.contains(&quoted(column));
        rows.unread.extend(
            columns.iter().filter(|column| !is_known(column)).map(|column| Unread::Column(known.name, column.clone())),
        );
        // What not all versions have, and nobody misses.
        let optional = |name: &&str| columns.iter().any(|column| column == *name);
        selected.push(more.iter().find(|name| optional(name)).map_or("NULL".to_owned(), |name| quoted(name)));
        select(connection, known.name, &selected)
    };
    for known in [&GROUPS, &PACKAGES, &DEVICES] {
        if !tables.iter().any(|table| table == known.name) {
            let reason = format!("it has no table {}: it is no reference server's", known.name);
            return Err(unusable(path, &reason));
        }
    }

    let groups = take(&GROUPS, &["priority"])?;
    let packages = take(&PACKAGES, &[])?;
    let devices = take(&DEVICES, &["group", "group_id"])?;
    let has_registrations = tables.iter().any(|table| table == REGISTRATIONS.name);
    let registrations = if has_registrations { take(&REGISTRATIONS, &[])? } else { Vec::new() };

    let bad_id = |table: &str| unusable(path, &format!("an identifier in its table {table} is no number"));
    for row in groups {
        let mut row = row.into_iter();
        rows.groups.push(GroupRow {
            id: integer(row.next()).ok_or_else(|| bad_id("groups"))?,
            created: text(row.next()),
            metadata: text(row.next()),
            policy: text(row.next()),
            priority: integer(row.next()),
        });
    }
    for row in packages {
        let mut row = row.into_iter();
        rows.packages.push(PackageRow {
            id: integer(row.next()).ok_or_else(|| bad_id("packages"))?,
            created: text(row.next()),
            metadata: text(row.next()),
            driver: text(row.next()),
            sha256: text(row.next()),
        });
    }
    for row in devices {
        let mut row = row.into_iter();
        rows.devices.push(DeviceRow {
            id: integer(row.next()).ok_or_else(|| bad_id("devices"))?,
            name: text(row.next()),
            mac_address: text(row.next()),
            capabilities: text(row.next()),
            metadata: text(row.next()),
            last_access: text(row.next()),
            public_key: text(row.next()),
            group: integer(row.next()),
        });
    }
    for row in registrations {
        let mut row = row.into_iter();
        rows.registrations.push(RegistrationRow {
            mac_address: text(row.next()),
            public_key: text(row.next()),
            metadata: text(row.next()),
            last_appeared: text(row.next()),
        });
    }
    let known = [GROUPS.name, PACKAGES.name, DEVICES.name, REGISTRATIONS.name];
    for table in tables.iter().filter(|table| !known.contains(&table.as_str())) {
        read_other(connection, table, &mut rows)?;
    }
    Ok(rows)
}

/// A table that is not known by name: assignments, the revision of the schema, or something that stays where it is.
fn read_other(connection: &Connection, table: &str, rows: &mut ReferenceRows) -> Result<(), StoreError> {
    if table == "alembic_version" {
        let revisions = select(connection, table, &[quoted("version_num")])?;
        rows.revision = revisions.into_iter().flatten().next().and_then(|revision| text(Some(revision)));
        return Ok(());
    }
    let [group, package, device] = referring_columns(connection, table)?;
    let (pairs, ends) = match (group, package, device) {
        (Some(group), Some(package), None) => (&mut rows.assignments, [group, package]),
        (Some(group), None, Some(device)) => (&mut rows.memberships, [device, group]),
        _ => {
            let sql = format!("SELECT count(*) FROM {}", quoted(table));
            let count: u64 = connection.query_row(&sql, [], |row| row.get(0))?;
            if count > 0 {
                rows.unread.push(Unread::Table(table.to_owned(), count));
            }
            return Ok(());
        }
    };
    for row in select(connection, table, &ends.map(|end| quoted(&end)))? {
        let mut row = row.into_iter();
        if let (Some(one), Some(other)) = (integer(row.next()), integer(row.next())) {
            pairs.push((one, other));
        }
    }
    Ok(())
}

/// The columns of a table that refer to groups, packages and devices.
fn referring_columns(connection: &Connection, table: &str) -> Result<[Option<String>; 3], StoreError> {
    let mut statement = connection.prepare("SELECT \"table\", \"from\" FROM pragma_foreign_key_list(?1)")?;
    let references = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let references: Vec<(String, String)> = references.collect::<Result<_, _>>()?;
    let columns = columns(connection, table)?;
    Ok(REFERENCES.map(|(target, names)| {
        let by_reference = references.iter().find(|(table, _)| table == target).map(|(_, column)| column.clone());
        by_reference.or_else(|| columns.iter().find(|column| names.contains(&column.as_str())).cloned())
    }))
}

fn names(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

fn columns(connection: &Connection, table: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    Ok(statement.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// The rows of a table in the order in which they were written.
fn select(connection: &Connection, table: &str, columns: &[String]) -> Result<Vec<Vec<Value>>, StoreError> {
    let sql = format!("SELECT {} FROM {} ORDER BY rowid", columns.join(", "), quoted(table));
    let mut statement = connection.prepare(&sql)?;
    let rows = statement.query_map([], |row| (0..columns.len()).map(|column| row.get(column)).collect())?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn text(value: Option<Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) => Some(number.to_string()),
        Value::Text(text) => Some(text),
        Value::Blob(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

fn integer(value: Option<Value>) -> Option<i64> {
    match value? {
        Value::Integer(number) => Some(number),
        Value::Text(text) => text.parse().ok(),
        Value::Null | Value::Real(_) | Value::Blob(_) => None,
    }
}
