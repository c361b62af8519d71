//! Who works at the command line, for the audit log.

use std::env;

use crate::domain::{Action, Actor, ActorKind, Deed};

/// Where the account's name is found, the best first: `sudo` leaves the name of whoever called it.
const VARIABLES: [&str; 3] = ["SUDO_USER", "USER", "LOGNAME"];
const NAMELESS: &str = "unknown";
const LONGEST_NAME: usize = 64;

/// What somebody at this machine's command line is about to do.
pub(super) fn deed(action: Action) -> Deed {
    let names = VARIABLES.iter().filter_map(|variable| env::var(variable).ok());
    let account = names.map(|name| printable(&name)).find(|name| !name.is_empty());
    let actor = Actor::new(ActorKind::CommandLine, account.unwrap_or_else(|| NAMELESS.to_owned()));
    Deed { actor, address: None, action }
}

/// The environment may say anything.
fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(LONGEST_NAME).collect()
}
