//! The program as its operators meet it: the command line, signals, and what survives a sudden death.

mod clients;
mod commands;
mod degraded;
mod diagnose;
mod serving;
mod status;
mod users;
mod why;
