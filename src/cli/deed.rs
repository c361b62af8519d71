//! Who works on the command line: what the audit log says of its changes.

use std::env;

use crate::domain::{Action, Actor, ActorKind, Deed};

/// Somebody at this machine does something. The account is the one that its environment names: whoever can change that can
/// change the database as well.
pub(super) fn deed(action: Action) -> Deed {
    let names = ["SUDO_USER", "USER", "LOGNAME"];
    let account = names.iter().find_map(|name| env::var(name).ok().filter(|account| !account.trim().is_empty()));
    let actor = Actor::new(ActorKind::CommandLine, account.unwrap_or_else(|| "unknown".to_owned()));
    Deed { actor, address: None, action }
}
