//! The fleet as the page shows it: lists, states, numbers, and what people do with devices.

mod changes;
mod pages;
mod removal;
mod search;
mod states;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{Device, Operator, Reply, START, TestServer};

const MAC: &str = "00:11:22:33:44:55";
const DEVICES: &str = "/api/tender/v1/devices";

/// Rows as accepting leaves them, without the arithmetic of many keys. All that is not said is that of a new device.
struct Row<'a> {
    mac_address: &'a str,
    name: &'a str,
    /// Said beside what every device reports.
    reports: Value,
    group: Option<i64>,
    last_access: Option<i64>,
}

impl<'a> Row<'a> {
    fn of(mac_address: &'a str) -> Self {
        Self { mac_address, name: mac_address, reports: json!({}), group: None, last_access: None }
    }

    fn insert(&self, database: &Connection) -> i64 {
        let mut metadata = Device::reports(self.mac_address);
        metadata.extend(self.reports.as_object().unwrap().clone());
        metadata.retain(|_, value| !value.is_null());
        let key = tender::domain::MacAddress::parse(self.mac_address).unwrap().key();
        database
            .execute(
                "INSERT INTO devices (mac_key, mac_address, name, capabilities, metadata, group_id, created_at)
                 VALUES (?1, ?2, ?3, '{}', ?4, ?5, ?6)",
                (
                    key.as_str(),
                    self.mac_address,
                    self.name,
                    Value::Object(metadata).to_string(),
                    self.group,
                    START.as_secs() as i64,
                ),
            )
            .unwrap();
        let id = database.last_insert_rowid();
        if let Some(at) = self.last_access {
            database.execute("INSERT INTO device_presence VALUES (?1, ?2)", (id, at)).unwrap();
        }
        id
    }
}

/// What a list with these parameters is answered.
async fn list(operator: &Operator, parameters: &[(&str, &str)]) -> Reply {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    operator.get(&format!("{DEVICES}?{query}")).await
}

/// A page of devices.
async fn page(operator: &Operator, parameters: &[(&str, &str)]) -> Value {
    list(operator, parameters).await.ok()
}

/// The identifiers of a page's devices, in order.
fn ids(page: &Value) -> Vec<i64> {
    page["devices"].as_array().unwrap().iter().map(|device| device["id"].as_i64().unwrap()).collect()
}

/// The identifiers of all devices, page by page; the last page says that it is.
async fn all_ids(operator: &Operator, parameters: &[(&str, &str)]) -> Vec<i64> {
    let (mut found, mut after) = (Vec::new(), None::<String>);
    loop {
        let mut parameters = parameters.to_vec();
        parameters.extend(after.as_deref().map(|after| ("after", after)));
        let page = page(operator, &parameters).await;
        found.extend(ids(&page));
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => return found,
        }
    }
}

/// A device as it is shown alone.
async fn shown(operator: &Operator, id: i64) -> Value {
    operator.get(&format!("{DEVICES}/{id}")).await.ok()
}

/// The fleet in numbers. Time stands still in tests, so none of it is kept.
async fn overview(operator: &Operator) -> Value {
    operator.get("/api/tender/v1/overview").await.ok()
}

/// A server with a device for each of these.
async fn server_with(rows: &[Row<'_>]) -> (TestServer, Operator) {
    let server = TestServer::start().await;
    let admin = server.admin().await;
    let database = server.database();
    for row in rows {
        row.insert(&database);
    }
    (server, admin)
}
