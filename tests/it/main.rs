//! The integration tests, in one binary: everything here talks to the server as clients do.

mod harness;
mod hostile;
mod house;
mod process;
mod resolver;
mod store;
mod update;
