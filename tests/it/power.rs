//! What SIGKILL does not test: power that goes, with all that was written and not synced, and disks that fail at any call.
//!
//! The program runs with a shim (`shim.c`) that writes its calls down. From what it has written, `disk` makes what a power cut at any
//! moment may leave, and a server is started on that: what was acknowledged is there, and nothing is there by half.

mod commands;
mod descriptors;
mod disk;
mod failures;
mod faults;
mod lab;
mod log;
mod random;
mod replay;
