//! The integration tests, in one binary: everything here talks to the server as clients do.

mod harness;
mod resolver;
mod update;
