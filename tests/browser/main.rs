//! Tests of the pages in a real browser, Chromium without a window: what a person sees, types and is told.
//!
//! Where there is no browser they are skipped, and say how to get one; under `CI` they fail.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

mod account;
mod browser;
mod claim;
mod connection;
mod fleet;
mod hands;
mod hostile;

mod interruptions;
mod journey;
mod log_in;
mod looks;
mod read_only;
mod registrations;
mod scale;
mod server;
mod stock;
mod tab;
mod trust;
