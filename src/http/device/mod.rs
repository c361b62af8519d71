//! What devices call: the frozen API of the reference server.

pub mod auth;
pub mod download;
pub mod update;

/// The longest report of a device with a token, in bytes.
const REPORT_LIMIT_BYTES: usize = 64 * 1024;
/// The longest request of a device that anybody could be, in bytes: its report and key, several times over.
const AUTHORIZATION_LIMIT_BYTES: usize = 16 * 1024;
