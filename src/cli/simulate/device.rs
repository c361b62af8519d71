//! One simulated device: what it reports about itself, and the protocol it follows until it has
//! nothing left to do.
//!
//! It knows of no other device; what devices share comes from the fleet, in a [`FleetContext`].
//! HTTP is the client's business.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::client::{Authorization, Check, Metadata, Update};
use super::context::{FleetContext, turn};
use super::failure::{Failure, FailureKind, Operation};
use super::identity::{DeviceKey, MacAddress};
use super::report::Event;
use crate::clock::Clock;
use crate::domain::keys;

/// Keys of a package that say where it may go and where it is stored, not what it makes of a
/// device. The server's resolver leaves out the same ones.
const KEYS_OF_NO_DEVICE: [&str; 2] = [keys::REQUIRES_PREFIX, keys::STORAGE_PREFIX];

const FIRST_FAILURE_PAUSE: Duration = Duration::from_millis(250);
/// Failures in a row after which a device that is to end by itself gives up.
const MAX_FAILURES_IN_A_ROW: u32 = 6;

const HINT_WITHOUT_TOKEN: &str = "hint: a check does not tell a package's version, so devices stay at theirs after a download; \
     with --token (or TENDER_TOKEN) they report the version of the package";

/// How a device ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    NothingLeftToDo,
    GaveUp,
}

/// A device and all it remembers.
pub struct Device {
    fleet: Arc<FleetContext>,
    mac_address: MacAddress,
    key: Arc<DeviceKey>,
    metadata: Metadata,
    first_poll_delay: Duration,
    acceptance: Acceptance,
    session: Option<Session>,
    last_installed: Option<i64>,
    /// Packages that were downloaded and verified, but whose version is not known.
    verified_only: Vec<i64>,
    failures_in_a_row: u32,
}

/// What a device knows about whether somebody accepted it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Acceptance {
    Unknown,
    Awaited,
    Given,
}

struct Session {
    token: String,
    /// Whether a check took the token. One that is refused before that would be refused forever.
    is_proven: bool,
}

/// What a device does after a step.
enum Next {
    Step,
    StepAfter(Duration),
    End,
}

impl Device {
    /// A device that reports `metadata` and its own `mac_address`, and waits `first_poll_delay`
    /// between being accepted and its first check.
    pub fn new(
        fleet: Arc<FleetContext>,
        mac_address: MacAddress,
        key: Arc<DeviceKey>,
        mut metadata: Metadata,
        first_poll_delay: Duration,
    ) -> Self {
        metadata.insert(keys::MAC_ADDRESS.to_owned(), mac_address.to_string().into());
        Device {
            fleet,
            mac_address,
            key,
            metadata,
            first_poll_delay,
            acceptance: Acceptance::Unknown,
            session: None,
            last_installed: None,
            verified_only: Vec::new(),
            failures_in_a_row: 0,
        }
    }

    /// Follows the protocol: to the end when devices run once, else until it is dropped.
    pub async fn run(mut self) -> Conclusion {
        loop {
            // Boxed, so that the thousands of devices that sleep hold no room for a request.
            let pause = match Box::pin(self.step()).await {
                Ok(Next::Step) => continue,
                Ok(Next::StepAfter(pause)) => pause,
                Ok(Next::End) => return Conclusion::NothingLeftToDo,
                Err(failure) => {
                    self.note(&failure);
                    if self.gives_up_after(&failure) {
                        return Conclusion::GaveUp;
                    }
                    failure_pause(self.failures_in_a_row, self.fleet.interval)
                }
            };
            sleep(pause).await;
        }
    }

    async fn step(&mut self) -> Result<Next, Failure> {
        match &self.session {
            None => self.authorize().await,
            Some(session) => {
                let check = self.fleet.client.check(&session.token, &self.metadata);
                let limit = &self.fleet.limits.requests;
                let answer = self.fleet.measured(Operation::Check, limit, check).await?;
                self.fleet.report.count(Event::Checked);
                self.act_on(answer).await
            }
        }
    }

    async fn authorize(&mut self) -> Result<Next, Failure> {
        let (body, signature) = self.signed_request().await?;
        let authorize = self.fleet.client.authorize(body, &signature);
        let limit = &self.fleet.limits.requests;
        let answer = self.fleet.measured(Operation::Authorize, limit, authorize).await?;
        match answer {
            Authorization::Pending => {
                self.failures_in_a_row = 0;
                self.fleet.report.count(Event::AuthorizationPending);
                if self.acceptance == Acceptance::Unknown {
                    self.acceptance = Acceptance::Awaited;
                    self.tell("waits to be accepted");
                }
                Ok(Next::StepAfter(self.fleet.authorize_interval))
            }
            Authorization::Granted { token } => {
                self.session = Some(Session { token, is_proven: false });
                self.fleet.report.count(Event::Authorized);
                if self.acceptance == Acceptance::Given {
                    return Ok(Next::Step);
                }
                if self.acceptance == Acceptance::Awaited {
                    self.tell("accepted");
                }
                self.acceptance = Acceptance::Given;
                self.fleet.report.count(Event::Accepted);
                Ok(Next::StepAfter(self.first_poll_delay))
            }
        }
    }

    /// An authorization request and its signature.
    async fn signed_request(&self) -> Result<(Vec<u8>, String), Failure> {
        #[derive(Serialize)]
        struct Request<'a> {
            metadata: &'a Metadata,
            public_key: &'a str,
            timestamp: i64,
        }
        let sign = async {
            let _turn = turn(&self.fleet.limits.signatures).await;
            let request = Request {
                metadata: &self.metadata,
                public_key: self.key.public_key_pem(),
                timestamp: Clock::system().now().unix_seconds(),
            };
            let body = serde_json::to_vec(&request)?;
            let key = Arc::clone(&self.key);
            spawn_blocking(move || {
                let signature = key.sign(&body)?;
                anyhow::Ok((body, signature))
            })
            .await
            .context("the signing thread ended early")?
        };
        sign.await.map_err(|error| Failure::new(Operation::Authorize, FailureKind::NotSigned, format!("{error:#}")))
    }

    async fn act_on(&mut self, answer: Check) -> Result<Next, Failure> {
        if let Check::TokenExpired = answer {
            return match self.session.take() {
                Some(Session { is_proven: false, .. }) => {
                    Err(Failure::new(Operation::Check, FailureKind::TokenRefused, String::new()))
                }
                _ => Ok(Next::Step),
            };
        }
        if let Some(session) = &mut self.session {
            session.is_proven = true;
        }
        let next = match answer {
            Check::Update(update) => self.update(&update).await?,
            Check::UpToDate | Check::TokenExpired => self.end_or_poll_again(),
        };
        self.failures_in_a_row = 0;
        Ok(next)
    }

    async fn update(&mut self, update: &Update) -> Result<Next, Failure> {
        if self.verified_only.contains(&update.package_id) {
            return Ok(self.end_or_poll_again());
        }
        if self.last_installed == Some(update.package_id) {
            return Err(Failure::new(
                Operation::Check,
                FailureKind::OfferedAgain,
                format!("package {}", update.package_id),
            ));
        }
        // Asked for first: a refused management token shall not cost a download each time.
        let package_metadata = {
            let _turn = turn(&self.fleet.limits.requests).await;
            self.fleet.client.package_metadata(update).await?
        };
        let report = &self.fleet.report;
        let download = self.fleet.client.download(update, |bytes| report.count_downloaded(bytes));
        let limit = &self.fleet.limits.downloads;
        let download = self.fleet.measured(Operation::Download, limit, download).await?;
        if download.resumptions > 0 {
            report.count(Event::DownloadResumed);
        }
        let version_before = self.version().to_owned();
        let verified = format!("({} bytes, sha256 ok)", download.length_bytes);
        match package_metadata {
            Some(package_metadata) => {
                install(&package_metadata, &mut self.metadata);
                self.last_installed = Some(update.package_id);
                self.fleet.report.count(Event::Installed);
                self.tell(format_args!("{version_before} → {} {verified}", self.version()));
            }
            None => {
                self.verified_only.push(update.package_id);
                self.fleet.report.count(Event::VerifiedOnly);
                self.tell(format_args!("{version_before}, package {} downloaded {verified}", update.package_id));
                self.fleet.report.hint_once(HINT_WITHOUT_TOKEN);
            }
        }
        if self.fleet.once {
            return Ok(Next::Step);
        }
        Ok(Next::StepAfter(self.fleet.interval))
    }

    fn end_or_poll_again(&self) -> Next {
        if self.fleet.once { Next::End } else { Next::StepAfter(self.fleet.interval) }
    }

    fn version(&self) -> &str {
        self.metadata.get(keys::SOFTWARE_VERSION).and_then(|version| version.as_str()).unwrap_or_default()
    }

    fn note(&mut self, failure: &Failure) {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        self.fleet.report.count_failure(failure);
        self.tell(failure);
    }

    fn gives_up_after(&self, failure: &Failure) -> bool {
        let is_final = !failure.is_transient() || self.failures_in_a_row >= MAX_FAILURES_IN_A_ROW;
        self.fleet.once && is_final
    }

    fn tell(&self, what: impl std::fmt::Display) {
        if self.fleet.tells_each_device {
            let mac_address = self.mac_address;
            self.fleet.report.tell(format_args!("{mac_address} {what}"));
        }
    }
}

/// Lays a package's metadata over a device's. A device stays who it is.
fn install(package: &Metadata, device: &mut Metadata) {
    for (key, value) in package {
        let is_of_no_device = KEYS_OF_NO_DEVICE.iter().any(|prefix| key.starts_with(prefix));
        if !is_of_no_device && key != keys::MAC_ADDRESS {
            device.insert(key.clone(), value.clone());
        }
    }
}

/// Grows with each failure in a row, up to the time between two polls.
fn failure_pause(failures_in_a_row: u32, interval: Duration) -> Duration {
    let growth = 2_u32.saturating_pow(failures_in_a_row.saturating_sub(1));
    FIRST_FAILURE_PAUSE.saturating_mul(growth).min(interval)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn metadata(value: serde_json::Value) -> Metadata {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn an_installed_package_changes_what_the_device_reports_but_not_who_it_is() {
        let mut device = metadata(json!({
            "rdfm.software.version": "v0",
            "rdfm.hardware.macaddr": "02:00:01:00:00:00",
            "site": "north",
        }));
        let package = metadata(json!({
            "rdfm.software.version": "v1",
            "rdfm.hardware.macaddr": "ff:ff:ff:ff:ff:ff",
            "rdfm.storage.local.length": 4_194_304,
            "requires:rdfm.software.version": "v0",
            "features": ["a", "b"],
        }));
        install(&package, &mut device);
        let expected = metadata(json!({
            "rdfm.software.version": "v1",
            "rdfm.hardware.macaddr": "02:00:01:00:00:00",
            "site": "north",
            "features": ["a", "b"],
        }));
        assert_eq!(device, expected);
    }

    #[test]
    fn pauses_after_failures_grow_up_to_the_interval() {
        let interval = Duration::from_secs(5);
        assert_eq!(failure_pause(1, interval), FIRST_FAILURE_PAUSE);
        assert_eq!(failure_pause(3, interval), FIRST_FAILURE_PAUSE * 4);
        assert_eq!(failure_pause(u32::MAX, interval), interval);
    }
}
