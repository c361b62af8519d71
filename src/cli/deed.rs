//! Who works on the command line: what the audit log says of its changes.

use std::env;

use crate::domain::{Action, Actor, ActorKind, Deed};

/// The longest name of an account that is noted, in characters.
const LONGEST_NAME: usize = 64;

/// Somebody at this machine does something. The account is the one that its environment names: whoever can change that can
/// change the database as well.
pub(super) fn deed(action: Action) -> Deed {
    let names = ["SUDO_USER", "USER", "LOGNAME"];
    let account = names.iter().filter_map(|name| Some(printable(&env::var(name).ok()?))).find(|name| !name.is_empty());
    let actor = Actor::new(ActorKind::CommandLine, account.unwrap_or_else(|| "unknown".to_owned()));
    Deed { actor, address: None, action }
}

/// The environment may say anything, and what is noted is printed and shown.
fn printable(text: &str) -> String {
    text.trim().chars().filter(|character| !character.is_control()).take(LONGEST_NAME).collect()
}
