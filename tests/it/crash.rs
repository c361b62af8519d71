//! Sudden death: the real program is killed at every step of what it does, and at random under load. What was acknowledged is there
//! after the restart; of the rest each is wholly done or wholly undone.
//!
//! - `workers`: who works with a server, and remembers what it acknowledged
//! - `site`: an installation that dies again and again, and **the check** that follows each death
//! - `matrix`: every fail point, the work that reaches it, and what dies there
//! - `serving`, `commands`, `starts`: these deaths, by what dies: a server at work, a command, a server that starts
//! - `random`: many at work, and deaths at any moment; `TENDER_CRASH_SEED` says which

mod commands;
mod matrix;
mod random;
mod serving;
mod site;
mod starts;
mod workers;
