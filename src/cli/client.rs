//! `tender client`: the programs that get tokens from the authorization server, also while the server runs.

use std::io::Write;
use std::process::ExitCode;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde::Serialize;

use super::deed::deed;
use super::installation::{Need, Place, with_installation};
use crate::domain::{Action, ClientName, Scope};
use crate::installation::Installation;
use crate::store::clients;
use crate::usecase::manage_clients::{self, ClientSecret};

/// Arguments of `tender client`.
#[derive(Args)]
pub struct ClientArguments {
    #[command(subcommand)]
    command: ClientCommand,
}

#[derive(Subcommand)]
enum ClientCommand {
    /// Create a client, and print its identifier and secret: once, as rdfm-mgmt's configuration has them
    Create(CreateArguments),
    /// List the clients
    List(Place),
    /// Remove a client; its tokens end at once
    Remove(OneArguments),
    /// Give a client another secret, and print it: once; the old one and its tokens end at once
    RotateSecret(OneArguments),
}

#[derive(Args)]
struct CreateArguments {
    /// What the client is called, in lists and in the audit log
    name: String,
    /// What it may be given, such as rdfm_admin_ro or rdfm_upload_single_file; may be given several times. Without, the
    /// client gets no tokens: it may only look at those of others
    #[arg(long = "scope")]
    scopes: Vec<Scope>,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct OneArguments {
    /// The client's name or identifier
    client: String,
    #[command(flatten)]
    place: Place,
}

/// The configuration of rdfm-mgmt, but for the server's address.
#[derive(Serialize)]
struct Configuration<'a> {
    client_id: &'a str,
    client_secret: &'a str,
}

/// Runs `tender client …`.
pub fn run(arguments: ClientArguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        ClientCommand::Create(CreateArguments { name, scopes, place }) => {
            with_installation(place, Need::Made, |installation| create(installation, name, scopes))
        }
        ClientCommand::List(place) => with_installation(place, Need::There, list),
        ClientCommand::Remove(OneArguments { client, place }) => {
            with_installation(place, Need::There, |installation| remove(installation, client))
        }
        ClientCommand::RotateSecret(OneArguments { client, place }) => {
            with_installation(place, Need::There, |installation| rotate_secret(installation, client))
        }
    }
}

async fn create(installation: Installation, name: String, scopes: Vec<Scope>) -> anyhow::Result<()> {
    let name: ClientName = name.parse()?;
    let (scopes, deed) = (scopes.into_iter().collect(), deed(Action::CreateClient));
    match manage_clients::create(&installation.store, name.clone(), scopes, deed).await? {
        Some(new) => print(&new),
        None => bail!("there is a client of the name \"{name}\" already"),
    }
}

async fn list(installation: Installation) -> anyhow::Result<()> {
    let clients = installation.store.read(clients::list).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{:36}  {:20}  {:28}  NAME", "ID", "CREATED", "SCOPE")?;
    for client in clients {
        let scope = if client.scopes.is_empty() { "none".to_owned() } else { client.scopes.to_string() };
        writeln!(stdout, "{:36}  {:20}  {scope:28}  {}", client.id, client.created.rfc3339(), client.name)?;
    }
    Ok(())
}

async fn remove(installation: Installation, client: String) -> anyhow::Result<()> {
    if !manage_clients::remove(&installation.store, client.clone(), deed(Action::RemoveClient)).await? {
        return unknown(&client);
    }
    eprintln!("tender: the client \"{client}\" is removed");
    Ok(())
}

async fn rotate_secret(installation: Installation, client: String) -> anyhow::Result<()> {
    match manage_clients::rotate_secret(&installation.store, client.clone(), deed(Action::RotateSecret)).await? {
        Some(new) => print(&new),
        None => unknown(&client),
    }
}

/// The one time that the secret is shown.
fn print(ClientSecret { id, secret }: &ClientSecret) -> anyhow::Result<()> {
    let configuration = Configuration { client_id: id, client_secret: secret.reveal() };
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&configuration)?)?;
    eprintln!("tender: keep this, the secret is not shown again");
    Ok(())
}

fn unknown(client: &str) -> anyhow::Result<()> {
    bail!("no client has the name or identifier \"{client}\": see `tender client list`")
}
