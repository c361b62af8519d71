//! The program as its operators meet it: the command line, signals, and what survives a sudden death.

mod clients;
mod commands;
mod death;
mod degraded;
mod serving;
mod users;
mod why;
