//! The authorization server, rule by rule: what the RFCs say, on the wire.

mod authentication;
mod discretion;
mod grants;
mod introspection;
mod revocation;
