//! The integration tests, in one binary: everything here talks to the server as clients do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

mod access;
mod artifact;
mod assets;
mod attacks;
mod authorization;
mod backup;
mod bundles;
// Fail points are nothing where code is optimized.
#[cfg(debug_assertions)]
mod crash;
mod decision;
mod devices;
mod downloads;
mod events;
mod fleet;
mod fuzzing;
mod groups;
mod harness;
mod hostile;
mod house;
mod identity_provider;
mod integrity;
mod logging;
mod metrics;
mod moving_in;
mod oauth;
mod openapi;
mod packages;
mod power;
mod process;
mod readme;
mod registrations;
mod resolver;
mod rollouts;
mod service;
mod status;
mod store;
mod tls;
mod update;
mod uploads;
mod webhooks;
mod wire;
