//! `tender user`: the people who may log in, managed on the machine itself, also while the server runs.

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use zeroize::Zeroizing;

use super::deed::deed;
use super::installation::{Need, Place, with_installation};
use crate::auth::password::Password;
use crate::domain::{Action, PasswordHash, Role, Timestamp, UserName};
use crate::installation::Installation;
use crate::store::users::{self, UserChange};
use crate::store::{StoreError, WriteTx, audit};

/// The longest line that is read as a password, in bytes; what is longer is refused anyway.
const LINE_LIMIT_BYTES: u64 = 4096;

/// Arguments of `tender user`.
#[derive(Args)]
pub struct UserArguments {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Add a user; the password is asked for
    Add(AddArguments),
    /// List the users
    List(Place),
    /// Set a user's password, which ends their sessions
    SetPassword(PasswordArguments),
    /// Set what a user may do
    SetRole(RoleArguments),
    /// Bar a user from logging in, and end their sessions
    Disable(NameArguments),
    /// Let a user log in again
    Enable(NameArguments),
    /// Remove a user, and end their sessions
    Remove(NameArguments),
}

#[derive(Args)]
struct AddArguments {
    /// What they log in with
    name: UserName,
    /// What they may do: admin (everything) or viewer (see everything)
    #[arg(long)]
    role: Role,
    #[command(flatten)]
    password: PasswordOption,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct PasswordArguments {
    /// The user
    name: UserName,
    #[command(flatten)]
    password: PasswordOption,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct RoleArguments {
    /// The user
    name: UserName,
    /// What they may do: admin (everything) or viewer (see everything)
    #[arg(long)]
    role: Role,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct NameArguments {
    /// The user
    name: UserName,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct PasswordOption {
    /// Read the password from the first line of standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
}

impl PasswordOption {
    /// Reads the new password of `name` and hashes it. Never from the command line, which everybody on the machine can read.
    fn read(&self, name: &UserName) -> anyhow::Result<PasswordHash> {
        let text = if self.password_stdin { first_line(io::stdin().lock())? } else { ask()? };
        Ok(Password::parse(text, name)?.hash()?)
    }
}

fn first_line(input: impl BufRead) -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    input.take(LINE_LIMIT_BYTES).read_line(&mut line).context("cannot read the password from standard input")?;
    let length = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(length);
    Ok(line)
}

fn ask() -> anyhow::Result<Zeroizing<String>> {
    let ask = |prompt: &str| rpassword::prompt_password(prompt).map(Zeroizing::new);
    let asked = ask("Password: ").context("no terminal to ask for the password on: use --password-stdin")?;
    if *ask("The same again: ")? != *asked {
        bail!("the two passwords are not the same");
    }
    Ok(asked)
}

/// Runs `tender user …`.
pub fn run(arguments: UserArguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        UserCommand::Add(AddArguments { name, role, password, place }) => {
            let hash = password.read(&name)?;
            with_installation(place, Need::Made, |installation| add(installation, name, role, hash))
        }
        UserCommand::List(place) => with_installation(place, Need::There, list),
        UserCommand::SetPassword(PasswordArguments { name, password, place }) => {
            let hash = password.read(&name)?;
            change(place, name, Action::SetPassword, String::new(), move |tx, name| {
                users::set_password(tx, name, &hash)
            })
        }
        UserCommand::SetRole(RoleArguments { name, role, place }) => {
            let detail = role.to_string();
            change(place, name, Action::SetRole, detail, move |tx, name| users::set_role(tx, name, role))
        }
        UserCommand::Disable(NameArguments { name, place }) => {
            change(place, name, Action::DisableUser, String::new(), users::disable)
        }
        UserCommand::Enable(NameArguments { name, place }) => {
            change(place, name, Action::EnableUser, String::new(), users::enable)
        }
        UserCommand::Remove(NameArguments { name, place }) => {
            change(place, name, Action::RemoveUser, String::new(), users::remove)
        }
    }
}

async fn add(installation: Installation, name: UserName, role: Role, hash: PasswordHash) -> anyhow::Result<()> {
    let taken = name.clone();
    let adding = installation.store.write(move |tx| {
        let is_added = users::add(tx, &name, role, &hash)?.is_some();
        if is_added {
            audit::append(tx, &deed(Action::AddUser).done(format!("user/{name}")).with(role.to_string()))?;
        }
        Ok::<_, StoreError>(is_added)
    });
    if !adding.await? {
        bail!("there is a user of the name {taken} already: see `tender user list`");
    }
    Ok(())
}

async fn list(installation: Installation) -> anyhow::Result<()> {
    let users = installation.store.read(users::list).await?;
    let mut stdout = io::stdout();
    writeln!(stdout, "{:24}  {:8}  {:8}  {:20}  LAST LOGIN", "NAME", "ROLE", "STATE", "CREATED")?;
    for user in users {
        let state = if user.disabled.is_some() { "disabled" } else { "active" };
        let last_login = user.last_login.map_or_else(|| "never".to_owned(), Timestamp::rfc3339);
        let created = user.created.rfc3339();
        let (name, role) = (user.name.as_str(), user.role.name());
        writeln!(stdout, "{name:24}  {role:8}  {state:8}  {created:20}  {last_login}")?;
    }
    Ok(())
}

/// Changes a user and notes it.
fn change(
    place: Place,
    name: UserName,
    action: Action,
    detail: String,
    change: impl FnOnce(&WriteTx<'_>, &UserName) -> Result<UserChange, StoreError> + Send + 'static,
) -> anyhow::Result<ExitCode> {
    with_installation(place, Need::There, |installation| async move {
        let wanted = name.clone();
        let changing = installation.store.write(move |tx| {
            let changed = change(tx, &wanted)?;
            if changed == UserChange::Done {
                audit::append(tx, &deed(action).done(format!("user/{wanted}")).with(detail))?;
            }
            Ok::<_, StoreError>(changed)
        });
        match changing.await? {
            UserChange::Done => Ok(()),
            UserChange::NotFound => bail!("there is no user of the name {name}: see `tender user list`"),
            UserChange::LastAdmin => {
                bail!("{name} is the last admin who can log in: make somebody else one first")
            }
        }
    })
}
