//! The fleet that everything is measured with: a data folder with its database, and the requests that its devices send.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::RSA_PKCS1_SHA256;
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use rsa::{RsaPrivateKey, RsaPublicKey};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tender::auth::{Keys, device_token};
use tender::clock::Clock;
use tender::config::StorageConfig;
use tender::domain::{Action, Actor, ActorKind, Deed, Device, MacAddress, Scope};
use tender::installation::Installation;
use tender::usecase::issue_token::issue_token;

use crate::load::Request;

pub const DEVICES: usize = 10_000;
pub const GROUPS: usize = 20;
/// Packages lead from v0 to the version of this number.
pub const PACKAGES_OF_GROUP: usize = 20;
/// The fleet's.
pub const SIZE: Size = Size { devices: DEVICES, groups: GROUPS, packages_of_group: PACKAGES_OF_GROUP };
/// How many packages there are; their identifiers begin at 1.
pub const PACKAGES: usize = GROUPS * PACKAGES_OF_GROUP;
/// Devices that authorize, those with the small key first: so many that none asks as often as is held back.
const SIGNERS: usize = 3_000;
const SIGNERS_WITH_LARGE_KEY: usize = 1_000;
const DEVICE_TYPE: &str = "edge-gateway";

/// How large a fleet is.
#[derive(Clone, Copy)]
pub struct Size {
    pub devices: usize,
    pub groups: usize,
    pub packages_of_group: usize,
}

/// A prepared installation.
pub struct Fleet {
    folder: TempDir,
    pub keys: Keys,
    operator_token: String,
    pub small_key: SignedMessages,
    pub large_key: SignedMessages,
}

/// A key, the authorization requests of some devices with it, and their signatures.
pub struct SignedMessages {
    pub bits: usize,
    pub public_key: RsaPublicKey,
    key: KeyPair,
    pub messages: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Fleet {
    /// Makes keys, database and package files; takes some seconds.
    pub fn prepare() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let large_key = thread::spawn(|| SignedMessages::prepare(4096, SIGNERS..SIGNERS + SIGNERS_WITH_LARGE_KEY));
        let small_key = SignedMessages::prepare(2048, 0..SIGNERS);
        let large_key = large_key.join().unwrap();

        let config = StorageConfig::in_folder(folder.path().join("data"));
        let data = Installation::folder(&config).unwrap();
        let clock = Clock::system();
        let now = clock.now();
        let installation = Installation::open(&data, None, clock).unwrap();
        let (keys, store) = (installation.keys.clone(), installation.store.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let operator_token = runtime.block_on(async {
            installation.adopt_secret().await.unwrap();
            // The lock goes at once; that the folder is this installation's stays.
            drop(installation.claim_packages().await.unwrap());
            let scopes = [Scope::ReadWrite].into_iter().collect();
            let actor = Actor::new(ActorKind::CommandLine, "speed");
            let deed = Deed { actor, address: None, action: Action::CreateToken };
            let token = issue_token(&store, &keys, "speed".to_owned(), scopes, None, deed).await.unwrap();
            store.close().await;
            token
        });
        let mut database = Connection::open(data.database()).unwrap();
        let fleet = Self { folder, keys, operator_token, small_key, large_key };
        fleet.fill(&mut database, data.packages(), now.unix_seconds(), SIZE);
        drop(database);
        // Nothing of this is to be written back while something is measured.
        fs::File::open(data.database()).unwrap().sync_all().unwrap();
        fleet
    }

    /// The key of one of the devices.
    pub fn key_of(&self, device: usize) -> &SignedMessages {
        if device < SIGNERS { &self.small_key } else { &self.large_key }
    }

    /// What lets an operator in: a header with its line break.
    pub fn operator(&self) -> String {
        format!("Authorization: Bearer token={}\r\n", self.operator_token)
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn database(&self) -> PathBuf {
        self.data().join("tender.sqlite")
    }

    /// The update checks of all devices for which there is an update (those of even number), or none (odd).
    pub fn checks(&self, finds_update: bool) -> Vec<Request> {
        self.checks_of(SIZE, finds_update)
    }

    /// The same of a fleet of another size.
    pub fn checks_of(&self, size: Size, finds_update: bool) -> Vec<Request> {
        let wanted = (0..size.devices).filter(|device| finds_update == (device % 2 == 0));
        // Good for five minutes: longer than what is measured with them takes.
        let issued = Clock::system().now();
        wanted
            .map(|device| {
                let mac_address = MacAddress::parse(&mac_address(device)).unwrap();
                let token = device_token::issue(&self.keys, &mac_address, issued).unwrap();
                let authorization = format!("Authorization: Bearer token={token}\r\n");
                let body = serde_json::to_vec(&size.reported(device)).unwrap();
                Request::post("/api/v1/update/check", &authorization, &body)
            })
            .collect()
    }

    /// The list of all devices.
    pub fn device_list(&self) -> Request {
        Request::get("/api/v1/devices", &self.operator())
    }
}

impl SignedMessages {
    fn prepare(bits: usize, devices: std::ops::Range<usize>) -> Self {
        // The seed makes every run work with the same keys, and their making takes equally long.
        let key = RsaPrivateKey::new(&mut ChaCha20Rng::seed_from_u64(bits as u64), bits).unwrap();
        let public_key = key.to_public_key();
        let key = KeyPair::from_der(key.to_pkcs1_der().unwrap().as_bytes()).unwrap();
        let mut signed = Self { bits, public_key, key, messages: Vec::new() };
        signed.messages = devices.map(|device| signed.sign(&reported(device))).collect();
        signed
    }

    /// The body of an authorization request, and its signature.
    fn sign(&self, reported: &Value) -> (Vec<u8>, Vec<u8>) {
        let pem = self.public_key.to_public_key_pem(LineEnding::LF).unwrap();
        let body = json!({ "metadata": reported, "public_key": pem, "timestamp": 1_694_414_456 });
        let message = serde_json::to_vec(&body).unwrap();
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &message, &mut signature).unwrap();
        (message, signature)
    }

    /// The authorization requests.
    pub fn requests(&self) -> Vec<Request> {
        self.messages.iter().map(authorization).collect()
    }

    /// The authorization request of a device that reports this.
    pub fn request(&self, reported: &Value) -> Request {
        authorization(&self.sign(reported))
    }

    /// The yardstick of an authorization: one signature is checked.
    pub fn verifier(&self) -> impl Fn(usize) + Send + Sync {
        use rsa::signature::Verifier;
        let key = VerifyingKey::<Sha256>::new(self.public_key.clone());
        let parsed = |(message, signature): &(Vec<u8>, Vec<u8>)| {
            (message.clone(), Signature::try_from(signature.as_slice()).unwrap())
        };
        let messages: Vec<_> = self.messages.iter().map(parsed).collect();
        move |number| {
            let (message, signature) = &messages[number % messages.len()];
            key.verify(message, signature).unwrap();
        }
    }
}

/// The request for a token with this body and signature.
pub fn authorization((message, signature): &(Vec<u8>, Vec<u8>)) -> Request {
    let header = format!("X-RDFM-Device-Signature: {}\r\n", STANDARD.encode(signature));
    Request::post("/api/v1/auth/device", &header, message)
}

pub fn mac_address(device: usize) -> String {
    let [.., high, middle, low] = (device as u32).to_be_bytes();
    format!("02:00:00:{high:02x}:{middle:02x}:{low:02x}")
}

/// What a device of the fleet says of itself, in its database row and in each of its requests.
pub fn reported(device: usize) -> Value {
    SIZE.reported(device)
}

/// What a device says of itself that runs the version of this number.
pub fn reported_at(device: usize, version: usize) -> Value {
    json!({
        "rdfm.software.version": format!("v{version}"),
        "rdfm.hardware.devtype": DEVICE_TYPE,
        "rdfm.hardware.macaddr": mac_address(device),
        "site.name": format!("substation {}", device / 7),
        "modem.firmware": "EG25GGBR07A08M2G_01.003",
    })
}

impl Size {
    /// Devices of even number have an update to get.
    fn reported(self, device: usize) -> Value {
        reported_at(device, if device.is_multiple_of(2) { 0 } else { self.packages_of_group })
    }
}

impl Fleet {
    /// Groups whose packages lead from v0 to the last version one by one, and the devices, spread over the groups.
    pub fn fill(&self, database: &mut Connection, packages: &Path, now: i64, size: Size) {
        let tx = database.transaction().unwrap();
        let policy = format!("exact_match,v{}", size.packages_of_group);
        for group in 1..=size.groups {
            tx.execute(
                "INSERT INTO groups (id, created_at, metadata, policy) VALUES (?1, ?2, ?3, ?4)",
                params![group, now, json!({ "name": format!("group {group}") }).to_string(), policy],
            )
            .unwrap();
            for version in 1..=size.packages_of_group {
                let id = (group - 1) * size.packages_of_group + version;
                let contents = format!("package {id}");
                let uuid = uuid::Uuid::from_u128(id as u128).to_string();
                let metadata = json!({
                    "rdfm.software.version": format!("v{version}"),
                    "rdfm.hardware.devtype": DEVICE_TYPE,
                    "requires:rdfm.software.version": format!("v{}", version - 1),
                });
                fs::write(packages.join(&uuid), &contents).unwrap();
                tx.execute(
                    "INSERT INTO packages (id, created_at, sha256, length_bytes, uuid, metadata) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![id, now, Sha256::digest(&contents).as_slice(), contents.len(), uuid, metadata.to_string()],
                )
                .unwrap();
                tx.execute("INSERT INTO group_packages VALUES (?1, ?2, ?3)", params![group, id, version]).unwrap();
            }
        }
        let pem = |key: &SignedMessages| key.public_key.to_public_key_pem(LineEnding::LF).unwrap();
        let fingerprint = |key: &SignedMessages| Sha256::digest(key.public_key.to_public_key_der().unwrap());
        let [small_key, large_key] = [&self.small_key, &self.large_key].map(|key| (pem(key), fingerprint(key)));
        let capabilities = serde_json::to_string(&Device::unknown_capabilities()).unwrap();
        for device in 0..size.devices {
            let (pem, fingerprint) = if device < SIGNERS { &small_key } else { &large_key };
            let mac_address = mac_address(device);
            tx.execute(
                "INSERT INTO devices (id, mac_key, mac_address, name, public_key, key_fingerprint, capabilities, metadata, group_id,
                     created_at)
                 VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    device + 1,
                    MacAddress::parse(&mac_address).unwrap().key().as_str(),
                    mac_address,
                    pem,
                    fingerprint.as_slice(),
                    capabilities,
                    size.reported(device).to_string(),
                    // Both parities of device numbers in every group.
                    device / 2 % size.groups + 1,
                    now,
                ],
            )
            .unwrap();
            tx.execute("INSERT INTO device_presence VALUES (?1, ?2)", params![device + 1, now - 3600]).unwrap();
        }
        tx.commit().unwrap();
        database.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    }
}
