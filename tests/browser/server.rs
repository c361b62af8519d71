//! A server of this process, on a port of its own with a temporary data folder.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, Transaction};
use tempfile::TempDir;
use tender::app::{App, Running, StartError};
use tender::auth::password::Password;
use tender::clock::{Clock, ManualTime};
use tender::config::Config;
use tender::domain::{Action, Actor, ActorKind, Deed, Role, Scope, UserName};
use tender::installation::Installation;
use tender::store::users;
use tender::usecase::issue_token::issue_token;
use tokio::net::TcpListener;

/// When the tests take place: 2027-01-15T08:00:00Z.
pub const START: Duration = Duration::from_secs(1_800_000_000);

pub struct Server {
    folder: TempDir,
    authentication_is_off: bool,
    clock: Clock,
    /// Moves the server's clock.
    pub time: ManualTime,
    address: SocketAddr,
    running: Option<Running>,
    /// Of the last start; nobody has it twice.
    claim_code: Option<String>,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(false).await
    }

    /// Everybody may do everything.
    pub async fn start_without_authentication() -> Self {
        Self::start_with(true).await
    }

    async fn start_with(authentication_is_off: bool) -> Self {
        let (clock, time) = Clock::manual(SystemTime::UNIX_EPOCH + START);
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { folder, authentication_is_off, clock, time, address, running: None, claim_code: None };
        server.run().await;
        server
    }

    /// Starts on the same data and at the same address as before [`Server::stop`].
    pub async fn run(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        let running = loop {
            let listener = TcpListener::bind(self.address).await.unwrap();
            match App::start(self.config(), listener, self.clock.clone()).await {
                // A test that starts a browser has a copy of all our open files for a moment, the lock among them.
                Err(StartError::AlreadyRunning(_)) if Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                started => break started.unwrap(),
            }
        };
        self.address = running.address;
        self.claim_code = running.claim_code.as_ref().map(|code| code.reveal().to_owned());
        self.running = Some(running);
    }

    /// Stops without waiting for the browser's connections.
    pub async fn stop(&mut self) {
        let running = self.running.take().unwrap();
        running.hurry().cancel();
        running.shutdown().await;
    }

    /// Where it answers, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn claim_code(&self) -> String {
        self.claim_code.clone().unwrap()
    }

    /// A management token, made as `tender token create` does: beside the server.
    pub async fn token(&self) -> String {
        let Installation { store, keys, .. } = self.beside();
        let actor = Actor::new(ActorKind::CommandLine, "tests");
        let deed = Deed { actor, address: None, action: Action::CreateToken };
        let scopes = [Scope::ReadWrite].into_iter().collect();
        let token = issue_token(&store, &keys, "tests".to_owned(), scopes, None, deed).await.unwrap();
        store.close().await;
        token
    }

    /// Adds somebody who may log in with this password, as `tender user add` does: beside the server.
    pub async fn add_user(&self, name: &str, role: Role, password: &str) {
        let (store, name): (_, UserName) = (self.beside().store, name.parse().unwrap());
        let hash = Password::parse(password.to_owned().into(), &name).unwrap().hash().unwrap();
        store.write(move |tx| users::add(tx, &name, role, &hash)).await.unwrap().expect("a name that is free");
        store.close().await;
    }

    /// Puts rows into the database while the server is stopped: all at once, or none.
    pub async fn insert(&mut self, insert: impl FnOnce(&Transaction)) {
        self.stop().await;
        let mut database = Connection::open(self.folder.path().join("data/tender.sqlite")).unwrap();
        let transaction = database.transaction().unwrap();
        insert(&transaction);
        transaction.commit().unwrap();
        drop(database);
        self.run().await;
    }

    /// The installation, opened beside the server as the commands do.
    pub fn beside(&self) -> Installation {
        let storage = self.config().storage;
        let folder = Installation::folder(&storage).unwrap();
        Installation::open(&folder, storage.secret.as_ref(), self.clock.clone()).unwrap()
    }

    fn config(&self) -> Config {
        let mut config = Config::in_folder(self.folder.path().join("data"));
        config.authentication_is_off = self.authentication_is_off;
        config
    }

    /// The address that the server prints at its start.
    pub fn claim_url(&self) -> String {
        format!("{}/#claim={}", self.url(), self.claim_code())
    }
}
