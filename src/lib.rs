//! tender: the update and fleet-management server in one file.
//!
//! # The story of an update
//!
//! A device on the local network knocks with its RSA key. [`http`] takes the request off the wire and hands it to the use
//! case [`usecase::register_device`], where [`auth`] judges the signature and [`store`] notes that the device waits. A person
//! accepts it. From then on it holds a token ([`auth::device_token`]) and asks every now and then what to install
//! ([`usecase::check_update`]): what it reports is kept in memory ([`store::Presence`]), and the plan of its group, compiled
//! by [`domain::resolver`], says which package is the first step on the shortest path to the version that the group's
//! policy names. The device downloads that package, installs it, and asks again. When it is offered nothing,
//! [`domain::explanation`] says why.
//!
//! A package comes in as a form ([`usecase::publish_package`]): hashed while it arrives, put on disk, looked at, moved into
//! place, and only then known to the database. Later it is read again now and then ([`usecase::scrub`]), as disks forget.
//!
//! [`app`] puts all of this together for [`cli`] and for the tests; [`config`] says how, [`installation`] opens the data,
//! [`clock`] tells the time. [`service`] is what is between a server and the service manager that started it. People may have
//! their tokens from elsewhere: [`identity_provider`] asks there. What happens is told to webhooks: [`delivery`] sends there.
//! Both do so by [`outbound`] clients, over [`tls`]. Where the server speaks HTTPS itself, [`certificates`] looks after what
//! it shows. [`logging`] writes what is worth a line, [`count`] has the numbers of the metrics, and [`machine`] asks the
//! operating system for more.
//!
//! People log in ([`usecase::log_in`]; the first one with the code that the server printed, [`usecase::claim`]), and programs
//! get tokens ([`usecase::grant_token`]). Whatever they change is in the audit log ([`store::audit`]), in the same transaction.
//!
//! # Who may use whom
//!
//! `domain` knows nobody, nor do `count` and `machine`. `auth` and `store` know `domain` (and `store` the clock, as does `http`, and what is
//! counted); `usecase` knows these three; `http` knows them all; `app` and `cli` wire. A test reads the imports and fails when an arrow runs the other way.
//!
//! # Invariants
//!
//! 1. A row never lacks its file by anything that tender does. A file without a row is legal for a while, and swept. A
//!    package whose file is known to be missing or damaged is not offered and not delivered.
//! 2. What a person or script was answered with 2xx survives a crash and power loss: the commit and every fsync come
//!    before the answer. What a device reports about itself it will report again: that may lag 30 s behind on disk.
//! 3. The package offered to a device can be installed on that device as it reported itself: all its `requires:` hold on
//!    the device's own metadata, same device type, another version.
//! 4. Authentication is judged before the body is read, and never falls through to another route.
//! 5. No endpoint exists without a guard that names who may call it; the authorization matrix in the tests knows them all.
//! 6. The event loop never blocks: SQL and files run elsewhere, or are proven to be microseconds.
//! 7. A poll that changes nothing writes nothing to flash.
//! 8. The replies of the API under `/api/v1/` have exactly the fields that its contract names.
//! 9. What people and programs change is in the audit log if and only if it happened. No secret is in it, nor in any other log.

#[macro_use]
mod fail_point;

pub mod app;
pub mod auth;
pub mod certificates;
pub mod cli;
pub mod clock;
pub mod config;
pub mod count;
pub mod delivery;
pub mod domain;
pub mod http;
pub mod identity_provider;
pub mod installation;
pub mod logging;
pub mod machine;
pub mod outbound;
pub mod service;
pub mod store;
pub mod tls;
pub mod usecase;
