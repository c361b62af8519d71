//! `tender token`: management tokens, made and revoked on the machine itself, also while the server runs.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::counted;
use super::deed::deed;
use super::installation::{Need, Place, with_installation};
use crate::domain::{Action, Scope, Timestamp};
use crate::installation::Installation;
use crate::store::access_tokens::{self, IssuedToken};
use crate::store::{StoreError, audit};
use crate::usecase::issue_token::issue_token;

/// It is in the token, and that in every request.
const LONGEST_NAME: usize = 64;
const LONGEST_LIFETIME: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);

/// Arguments of `tender token`.
#[derive(Args)]
pub struct TokenArguments {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Subcommand)]
enum TokenCommand {
    /// Make a token and print it
    Create(CreateArguments),
    /// List the tokens that were made
    List(Place),
    /// Revoke tokens, at once
    Revoke(RevokeArguments),
}

#[derive(Args)]
struct CreateArguments {
    /// Whom or what the token is for
    #[arg(long)]
    name: String,
    /// What its holder may do, such as rdfm_admin_ro or rdfm_admin_rw; may be given several times
    #[arg(long = "scope", required = true)]
    scopes: Vec<Scope>,
    /// When it ends: a duration such as 12h or 30d, or "never"
    #[arg(long, default_value = "30d", value_parser = parse_lifetime)]
    expires: Lifetime,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
struct RevokeArguments {
    /// The token's identifier, or its name: then all tokens of this name
    token: String,
    #[command(flatten)]
    place: Place,
}

#[derive(Clone, Copy)]
enum Lifetime {
    Never,
    For(Duration),
}

fn parse_lifetime(text: &str) -> Result<Lifetime, String> {
    if text == "never" {
        return Ok(Lifetime::Never);
    }
    match humantime::parse_duration(text) {
        Ok(duration) if (Duration::from_secs(1)..=LONGEST_LIFETIME).contains(&duration) => Ok(Lifetime::For(duration)),
        _ => Err("use a duration such as 12h or 30d, up to 100 years, or \"never\"".to_owned()),
    }
}

/// Runs `tender token …`.
pub fn run(arguments: TokenArguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        TokenCommand::Create(create_arguments) => {
            let CreateArguments { name, scopes, expires, place } = create_arguments;
            if name.trim().is_empty() || name.chars().any(char::is_control) || name.chars().count() > LONGEST_NAME {
                bail!("--name must be printable text of at most {LONGEST_NAME} characters");
            }
            with_installation(place, Need::Made, |installation| create(installation, name, scopes, expires))
        }
        TokenCommand::List(place) => with_installation(place, Need::There, list),
        TokenCommand::Revoke(RevokeArguments { token, place }) => {
            with_installation(place, Need::There, |installation| revoke(installation, token))
        }
    }
}

async fn create(installation: Installation, name: String, scopes: Vec<Scope>, expires: Lifetime) -> anyhow::Result<()> {
    installation.require_same_secret().await?;
    let clock = installation.store.clock();
    if clock.is_unset() {
        eprintln!("tender: this machine's clock is not set; the token's end is counted from {}", clock.now().rfc3339());
    }
    let lifetime = match expires {
        Lifetime::Never => None,
        Lifetime::For(duration) => Some(duration),
    };
    let Installation { store, keys, .. } = &installation;
    let text =
        issue_token(store, keys, name, scopes.into_iter().collect(), lifetime, deed(Action::CreateToken)).await?;
    fail_point!("token.unprinted");
    writeln!(io::stdout(), "{text}")?;
    Ok(())
}

async fn list(installation: Installation) -> anyhow::Result<()> {
    let tokens = installation.store.read(access_tokens::list).await?;
    let now = installation.store.clock().now();
    let mut stdout = io::stdout();
    writeln!(stdout, "{:36}  {:8}  {:20}  {:20}  {:28}  NAME", "ID", "STATE", "CREATED", "EXPIRES", "SCOPE")?;
    for token in tokens {
        let state = match (token.revoked, token.expires) {
            (Some(_), _) => "revoked",
            (None, Some(expires)) if expires <= now => "expired",
            _ => "valid",
        };
        let expires = token.expires.map_or_else(|| "never".to_owned(), Timestamp::rfc3339);
        let created = token.created.rfc3339();
        let IssuedToken { id, name, scope, .. } = token;
        writeln!(stdout, "{id:36}  {state:8}  {created:20}  {expires:20}  {scope:28}  {name}")?;
    }
    Ok(())
}

async fn revoke(installation: Installation, id_or_name: String) -> anyhow::Result<()> {
    let wanted = id_or_name.clone();
    let revoking = installation.store.write(move |tx| {
        let revoked = access_tokens::revoke(tx, &wanted)?;
        for token in &revoked {
            audit::append(tx, &deed(Action::RevokeToken).done(format!("token/{}", token.id)).with(&token.name))?;
        }
        Ok::<_, StoreError>(revoked.len())
    });
    let revoked = revoking.await?;
    if revoked == 0 {
        bail!("no valid token has the identifier or name \"{id_or_name}\": see `tender token list`");
    }
    eprintln!("tender: {} revoked", counted(revoked as u64, "token"));
    Ok(())
}
