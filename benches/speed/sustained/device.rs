//! A simulated device, as its client is. It comes with a token; when that has ended, which it learns from a 401, it
//! asks for another one with a signed request. It leaves its connection open after a poll, as HTTP clients do, for as long as
//! the server does. It has an address of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::{sleep_until, timeout};

use super::record::Record;
use crate::load::{Connection, Reply, Request};

/// Who waits longer for a reply has none.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Device {
    pub server: SocketAddr,
    pub address: Ipv4Addr,
    reported: Value,
    authorization: Request,
    token: Option<String>,
    connection: Option<Connection>,
}

/// What an update check is answered with.
pub enum Answer {
    UpToDate,
    /// The reply's body.
    Update(Value),
}

impl Device {
    /// The device of this number, which decides about its address.
    pub fn new(number: usize, server: SocketAddr, reported: Value, authorization: Request) -> Self {
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 0).to_bits() + number as u32);
        Self { server, address, reported, authorization, token: None, connection: None }
    }

    /// What it runs from now on.
    pub fn install(&mut self, version: String) {
        self.reported["rdfm.software.version"] = version.into();
    }

    /// Checks for an update, `phase` from now and then in every `period`, for ever.
    pub async fn poll(mut self, phase: Duration, period: Duration, record: Arc<Record>) {
        let mut next = tokio::time::Instant::now() + phase;
        loop {
            self.rest_until(next).await;
            match self.check(&record).await {
                Ok(Answer::UpToDate) => {}
                Ok(Answer::Update(offer)) => record.error(format!("a device that is up to date was offered {offer}")),
                Err(error) => record.error(error),
            }
            next += period;
        }
    }

    /// Checks for an update, with a new token where it needs one.
    pub async fn check(&mut self, record: &Record) -> Result<Answer, String> {
        let mut is_renewed = false;
        loop {
            let Some(token) = self.token.clone() else {
                self.authorize(record).await?;
                is_renewed = true;
                continue;
            };
            let authorization = format!("Authorization: Bearer token={token}\r\n");
            let body = serde_json::to_vec(&self.reported).unwrap();
            let request = Request::post("/api/v1/update/check", &authorization, &body);
            let begin = Instant::now();
            let (status, body) = self.exchange(&request).await.map_err(|error| format!("update check: {error}"))?;
            record.check(begin.elapsed());
            match status {
                200 => return serde_json::from_slice(&body).map(Answer::Update).map_err(|error| error.to_string()),
                204 => return Ok(Answer::UpToDate),
                401 if !is_renewed => self.token = None,
                _ => return Err(format!("update check: {status} {}", String::from_utf8_lossy(&body))),
            }
        }
    }

    async fn authorize(&mut self, record: &Record) -> Result<(), String> {
        let request = self.authorization.clone();
        let begin = Instant::now();
        let (status, body) = self.exchange(&request).await.map_err(|error| format!("authorization: {error}"))?;
        record.authorization(begin.elapsed());
        if status != 200 {
            return Err(format!("authorization: {status} {}", String::from_utf8_lossy(&body)));
        }
        let reply: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        self.token = reply["token"].as_str().map(str::to_owned);
        Ok(())
    }

    /// Status and body of the reply.
    async fn exchange(&mut self, request: &Request) -> io::Result<(u16, Vec<u8>)> {
        timeout(PATIENCE, async {
            // The server may be closing a connection that was left open: then it is done again on another one.
            if let Some(connection) = self.connection.take()
                && let Ok(reply) = self.exchange_on(connection, request).await
            {
                return Ok(reply);
            }
            let connection = Connection::open_from(Some(self.address), self.server).await?;
            self.exchange_on(connection, request).await
        })
        .await?
    }

    async fn exchange_on(&mut self, mut connection: Connection, request: &Request) -> io::Result<(u16, Vec<u8>)> {
        let Reply { status, is_kept, body } = connection.exchange(request.bytes()).await?;
        let reply = (status, body.to_vec());
        self.connection = is_kept.then_some(connection);
        Ok(reply)
    }

    /// Keeps the connection until it is closed or the device goes on.
    async fn rest_until(&mut self, end: tokio::time::Instant) {
        if let Some(connection) = &mut self.connection {
            tokio::select! {
                () = connection.closed() => self.connection = None,
                () = sleep_until(end) => return,
            }
        }
        sleep_until(end).await;
    }
}
