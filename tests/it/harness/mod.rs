//! A real server on a port of its own with a temporary data folder, and the actors who talk to it over HTTP.

mod actors;
pub mod artifact;
mod assertions;
mod browser;
pub mod certificate;
pub mod client;
pub mod description;
pub mod process;
pub mod provider;
pub mod raw;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::Connection;
use tempfile::TempDir;
use tender::app::{App, Running, StartError};
use tender::auth::device_token;
use tender::auth::password::Password;
use tender::clock::{Clock, ManualTime};
use tender::config::{Config, TlsConfig};
use tender::domain::{Action, Actor, ActorKind, Deed, MacAddress, Role, Scope, Scopes, UserName};
use tender::http::serve::Listeners;
use tender::installation::Installation;
use tender::store::users;
use tender::usecase::issue_token::issue_token;
use tokio::net::TcpListener;

pub use actors::{Anonymous, Device, Operator, Reply, form, metadata};
pub use assertions::{assert_fields, contents, date, eventually, sha256};
pub use browser::Browser;

/// When the tests take place: 2027-01-15T08:00:00Z.
pub const START: Duration = Duration::from_secs(1_800_000_000);

/// The password of everybody in the tests.
pub const PASSWORD: &str = "correct horse battery";

/// A running server. Stops when dropped; [`TestServer::stop`] does so in order.
pub struct TestServer {
    folder: TempDir,
    config: Config,
    clock: Clock,
    /// Moves the server's clock.
    pub time: ManualTime,
    running: Option<Running>,
    url: String,
    secure_url: String,
}

impl TestServer {
    /// Starts with the defaults.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts with the defaults, changed by `configure`.
    pub async fn start_with(configure: impl FnOnce(&mut Config)) -> Self {
        Self::start_at(SystemTime::UNIX_EPOCH + START, configure).await
    }

    /// The same on a machine whose clock shows this.
    pub async fn start_at(wall: SystemTime, configure: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::in_folder(folder.path().join("data"));
        configure(&mut config);
        let (clock, time) = Clock::manual(wall);
        let mut server =
            Self { folder, config, clock, time, running: None, url: String::new(), secure_url: String::new() };
        server.run().await;
        server
    }

    /// Starts on the same data after [`TestServer::stop`].
    pub async fn run(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        let running = loop {
            let mut listeners = Listeners::from(TcpListener::bind("127.0.0.1:0").await.unwrap());
            if self.config.tls != TlsConfig::Off {
                // Those who are not there for the encryption do without.
                listeners.plain.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
            }
            if let Some((host, port)) = &self.config.metrics_listen {
                listeners.metrics = Some(TcpListener::bind((host.as_str(), *port)).await.unwrap());
            }
            match App::start(self.config.clone(), listeners, self.clock.clone()).await {
                // A test that starts a program has a copy of all our open files for a moment, the lock among them.
                Err(StartError::AlreadyRunning(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                started => break started.unwrap(),
            }
        };
        self.url = format!("http://{}", running.plain_addresses.first().unwrap_or(&running.address));
        self.secure_url = format!("https://{}", running.address);
        self.running = Some(running);
    }

    /// Stops in order; what was acknowledged or reported is on disk afterwards.
    pub async fn stop(&mut self) {
        self.running.take().expect("a server that runs").shutdown().await;
    }

    /// Changes the configuration of a server that is stopped.
    pub fn configure(&mut self, configure: impl FnOnce(&mut Config)) {
        configure(&mut self.config);
    }

    /// Stops in order and starts on the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.run().await;
    }

    /// Where the server answers, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where a server with a certificate speaks HTTPS; then [`TestServer::url`] is plain HTTP.
    pub fn secure_url(&self) -> &str {
        &self.secure_url
    }

    /// Where the server serves metrics alone, if it does.
    pub fn metrics_url(&self) -> Option<String> {
        self.running().metrics_address.map(|address| format!("http://{address}"))
    }

    /// The server as it runs.
    pub fn running(&self) -> &Running {
        self.running.as_ref().expect("a server that runs")
    }

    /// The server's data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The database, for looking at rows.
    pub fn database(&self) -> Connection {
        Connection::open(self.data().join("tender.sqlite")).unwrap()
    }

    /// How many rows a table has.
    pub fn rows(&self, table: &str) -> i64 {
        self.database().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    /// All files in the package folder, uploads in flight included, relative to it.
    pub fn package_files(&self) -> BTreeSet<PathBuf> {
        let root = self.data().join("packages");
        process::package_files_below(&root).iter().map(|path| path.strip_prefix(&root).unwrap().to_owned()).collect()
    }

    /// A browser that has never been here.
    pub fn browser(&self) -> Browser {
        Browser::new(&self.url)
    }

    /// Adds somebody who may log in with [`PASSWORD`], as `tender user add` does: beside the server.
    pub async fn add_user(&self, name: &str, role: Role) {
        let (store, name): (_, UserName) = (self.beside().store, name.parse().unwrap());
        let hash = Password::parse(PASSWORD.to_owned().into(), &name).unwrap().hash().unwrap();
        store.write(move |tx| users::add(tx, &name, role, &hash)).await.unwrap().expect("a name that is free");
        store.close().await;
    }

    /// A browser in which somebody of this role has logged in.
    pub async fn logged_in(&self, name: &str, role: Role) -> Browser {
        self.add_user(name, role).await;
        let mut browser = self.browser();
        browser.log_in(name, PASSWORD).await.ok();
        browser
    }

    /// The code that makes somebody the first administrator.
    pub fn claim_code(&self) -> Option<String> {
        self.running().claim_code.as_ref().map(|code| code.reveal().to_owned())
    }

    /// Somebody without any token.
    pub fn anonymous(&self) -> Anonymous {
        Anonymous::new(&self.url)
    }

    /// A person with `rdfm_admin_rw`.
    pub async fn admin(&self) -> Operator {
        self.operator(Scope::ReadWrite).await
    }

    /// A person with a token of one scope.
    pub async fn operator(&self, scope: Scope) -> Operator {
        let token = self.issue_token("somebody", [scope].into_iter().collect(), Some(Duration::from_secs(3600))).await;
        Operator::new(&self.url, token)
    }

    /// A management token, made as `tender token create` does: beside the server.
    pub async fn issue_token(&self, name: &str, scopes: Scopes, lifetime: Option<Duration>) -> String {
        let Installation { store, keys, .. } = self.beside();
        let deed =
            Deed { actor: Actor::new(ActorKind::CommandLine, "tests"), address: None, action: Action::CreateToken };
        let token = issue_token(&store, &keys, name.to_owned(), scopes, lifetime, deed).await.unwrap();
        store.close().await;
        token
    }

    /// A device token as the server would issue it now, whether or not there is such a device.
    pub async fn device_token(&self, mac_address: &str) -> String {
        self.device_tokens([mac_address]).await.remove(0)
    }

    /// Like [`TestServer::device_token`], for many.
    pub async fn device_tokens(&self, mac_addresses: impl IntoIterator<Item: AsRef<str>>) -> Vec<String> {
        let Installation { store, keys, .. } = self.beside();
        let now = store.clock().steady();
        store.close().await;
        let issue =
            |mac_address: &str| device_token::issue(&keys, &MacAddress::parse(mac_address).unwrap(), now).unwrap();
        mac_addresses.into_iter().map(|mac_address| issue(mac_address.as_ref())).collect()
    }

    /// The installation, opened beside the server as the commands do.
    pub fn beside(&self) -> Installation {
        let folder = Installation::folder(&self.config.storage).unwrap();
        Installation::open(&folder, self.config.storage.secret.as_ref(), self.clock.clone()).unwrap()
    }

    /// A device that nobody has accepted; its metadata is version `v0` of type `dummy`.
    pub fn device(&self, mac_address: &str) -> Device {
        Device::new(&self.url, mac_address)
    }

    /// Somebody with this token, good or not.
    pub fn holder_of(&self, token: &str) -> Operator {
        Operator::new(&self.url, token.to_owned())
    }

    /// A device that was accepted and has a token.
    pub async fn accepted_device(&self, mac_address: &str) -> Device {
        let mut device = self.device(mac_address);
        assert_eq!(device.authorize().await.status, 401);
        self.admin().await.accept(&device).await;
        assert_eq!(device.authorize().await.status, 200);
        device
    }
}
