//! The devices of the fleet in pages: which fit, and in which order. What they report may lag as far behind here as on disk.
//!
//! Who fits is found first, as a set; then an index is walked in the order wanted. So each question needs one index for each
//! order, and none for the combinations of filters and orders.

use rusqlite::Connection;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use super::StoreError;
use crate::domain::{DeviceId, GroupId, Search, Searched};

/// What a device reports as its type.
const TYPE: &str = r#"coalesce(metadata ->> '$."rdfm.hardware.devtype"', '')"#;
/// The version that it reports.
const VERSION: &str = r#"coalesce(metadata ->> '$."rdfm.software.version"', '')"#;

/// Of a text, what the indexes have.
fn beginning(text: &str) -> String {
    format!("substr({text}, 1, 64)")
}

/// Which devices are wanted: those that fit everything that is said.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// In which these words are.
    pub search: Option<Search>,
    /// Of this group, or of none.
    pub group: Option<Option<GroupId>>,
    /// Of this type; empty: those that report none.
    pub device_type: Option<String>,
    /// With this version; empty: those that report none.
    pub version: Option<String>,
}

impl Filter {
    /// Whether all devices fit.
    pub fn takes_all(&self) -> bool {
        let Self { search, group, device_type, version } = self;
        search.is_none() && group.is_none() && device_type.is_none() && version.is_none()
    }
}

/// What devices are ordered by; those that are equal in it, by identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The identifier.
    Id,
    /// The name, small and capital letters of ASCII being the same.
    Name,
    /// The MAC address, however it is spelled.
    MacAddress,
    /// The type.
    Type,
    /// The version, as text.
    Version,
    /// When they were last heard.
    LastAccess,
}

impl Order {
    /// Never NULL.
    fn key(self) -> String {
        match self {
            Self::Id => "devices.id".to_owned(),
            Self::Name => "name COLLATE NOCASE".to_owned(),
            Self::MacAddress => "mac_key".to_owned(),
            Self::Type => beginning(TYPE),
            Self::Version => beginning(VERSION),
            Self::LastAccess => "coalesce(last_access_at, -1)".to_owned(),
        }
    }

    fn tables(self) -> &'static str {
        match self {
            Self::LastAccess => "devices LEFT JOIN device_presence ON device_id = devices.id",
            _ => "devices",
        }
    }
}

/// What a device is ordered by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderKey {
    /// An identifier or date.
    Number(i64),
    /// A text, or its beginning.
    Text(String),
}

impl ToSql for OrderKey {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Number(number) => number.to_sql(),
            Self::Text(text) => text.to_sql(),
        }
    }
}

impl FromSql for OrderKey {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Integer(number) => Ok(Self::Number(number)),
            other => Ok(Self::Text(other.as_str()?.to_owned())),
        }
    }
}

/// The place of a device in an order. It stays where it is when devices come and go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// What it is ordered by.
    pub key: OrderKey,
    /// The device.
    pub device: DeviceId,
}

/// How many devices there are.
pub fn count(connection: &Connection) -> Result<u64, StoreError> {
    Ok(connection.prepare_cached("SELECT count(*) FROM devices")?.query_row([], |row| row.get(0))?)
}

/// The devices that fit, ordered by identifier.
pub fn matching(connection: &Connection, filter: &Filter) -> Result<Vec<DeviceId>, StoreError> {
    let (sql, parameters) = matching_sql(filter);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(parameters.as_slice())?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let is_found = match &filter.search {
            None => true,
            Some(search) => {
                let text = |column| row.get_ref(column)?.as_str().map_err(rusqlite::Error::from);
                search.finds(Searched { name: text(1)?, mac_address: text(2)?, mac_key: text(3)?, metadata: text(4)? })
            }
        };
        if is_found {
            found.push(row.get(0)?);
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn matching_sql(filter: &Filter) -> (String, Vec<&dyn ToSql>) {
    let Filter { search, group, device_type, version } = filter;
    let mut conditions = vec!["true".to_owned()];
    let mut parameters: Vec<&dyn ToSql> = Vec::new();
    if let Some(group) = group {
        parameters.push(group);
        conditions.push("group_id IS ?1".to_owned());
    }
    for (wanted, text) in [(device_type, TYPE), (version, VERSION)] {
        if let Some(wanted) = wanted {
            parameters.push(wanted);
            let parameter = format!("?{}", parameters.len());
            conditions.push(format!("{} = {} AND {text} = {parameter}", beginning(text), beginning(&parameter)));
        }
    }
    // Never more than one index has, so that SQLite may read that alone.
    let texts = if search.is_some() { ", name, mac_address, mac_key, metadata" } else { "" };
    let sql = format!("SELECT id{texts} FROM devices WHERE {}", conditions.join(" AND "));
    (sql, parameters)
}

/// The places of the devices that are `wanted`, in this order, after this place; at most `limit`.
pub fn page(
    connection: &Connection,
    order: Order,
    is_descending: bool,
    after: Option<&Place>,
    wanted: impl Fn(DeviceId) -> bool,
    limit: u32,
) -> Result<Vec<Place>, StoreError> {
    let mut statement = connection.prepare_cached(&page_sql(order, is_descending, after.is_some()))?;
    let mut rows = match after {
        Some(place) => statement.query((&place.key, place.device))?,
        None => statement.query([])?,
    };
    let mut places = Vec::new();
    while places.len() < limit as usize
        && let Some(row) = rows.next()?
    {
        let device = row.get(1)?;
        if wanted(device) {
            places.push(Place { key: row.get(0)?, device });
        }
    }
    Ok(places)
}

fn page_sql(order: Order, is_descending: bool, is_after: bool) -> String {
    let (key, tables) = (order.key(), order.tables());
    let (beyond, direction) = if is_descending { ("<", "DESC") } else { (">", "ASC") };
    // The first part is for the index.
    let condition = if is_after {
        format!("{key} {beyond}= ?1 AND ({key} {beyond} ?1 OR devices.id {beyond} ?2)")
    } else {
        "true".to_owned()
    };
    format!(
        "SELECT {key}, devices.id FROM {tables} WHERE {condition} ORDER BY {key} {direction}, devices.id {direction}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::devices;

    /// How SQLite goes about it.
    fn plan(connection: &Connection, sql: &str) -> String {
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        // No parameter needs a value for this.
        let steps = statement.raw_query().mapped(|row| row.get::<_, String>(3));
        steps.collect::<Result<Vec<_>, _>>().unwrap().join("; ")
    }

    #[test]
    fn pages_and_filters_use_their_indexes() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("../../schema.sql")).unwrap();
        let after = Place { key: OrderKey::Text("x".to_owned()), device: DeviceId(1) };
        for order in [Order::Name, Order::MacAddress, Order::Type, Order::Version] {
            for is_descending in [false, true] {
                for after in [None, Some(&after)] {
                    let plan = plan(&connection, &page_sql(order, is_descending, after.is_some()));
                    assert!(plan.contains("USING COVERING INDEX") && !plan.contains("B-TREE"), "{order:?}: {plan}");
                    assert_eq!(after.is_some(), plan.contains("SEARCH"), "{order:?}: {plan}");
                }
            }
        }
        let some = Some("x".to_owned());
        let filters = [
            (Filter { group: Some(None), ..Filter::default() }, "devices_by_group"),
            (Filter { device_type: some.clone(), ..Filter::default() }, "devices_by_type"),
            (Filter { version: some, ..Filter::default() }, "devices_by_version"),
            (
                Filter { search: Search::parse("x").unwrap(), ..Filter::default() },
                "COVERING INDEX devices_to_look_through",
            ),
        ];
        for (filter, index) in filters {
            let plan = plan(&connection, &matching_sql(&filter).0);
            assert!(plan.contains(index), "{plan}");
        }
        let plan = plan(&connection, &devices::reports_sql(false));
        assert!(plan.contains("COVERING INDEX devices_to_look_through") && !plan.contains("B-TREE"), "{plan}");
    }
}
