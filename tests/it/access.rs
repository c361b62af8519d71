//! Who may log in, and what is written about it.

mod audit;
mod claim;
mod guessing;
mod passwords;
mod scopes;
mod secrets;
mod sessions;
