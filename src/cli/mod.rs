//! The command line: one file for each command. Commands print what they are asked for on stdout and everything else on
//! stderr; exit code 0 is success, 1 failure, 2 a command line or configuration that cannot work.

mod backup;
mod bundle;
mod ca;
mod check;
mod client;
mod deed;
mod diagnose;
mod health;
mod import;
mod installation;
mod passphrase;
mod remote;
mod restore;
mod rollback;
mod serve;
mod simulate;
mod status;
mod token;
mod trust;
mod user;
mod webhook;
mod why;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::app::StartError;
use crate::certificates::CertificateError;
use crate::config::ConfigError;

const USAGE_EXIT_CODE: u8 = 2;

/// Update and fleet-management server in one file: speaks the RDFM API, needs nothing else
// The width only says when help begins a line of its own: with less, the longest flag would move that of all others, too.
#[derive(Parser)]
#[command(name = "tender", version, propagate_version = true, term_width = 120)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(Box<serve::ServeArguments>),
    /// Run a fleet of simulated devices against a server
    Simulate(simulate::SimulateArguments),
    /// Say whether the server on this machine is ready: exit code 0 if it is
    Health(health::HealthArguments),
    /// Compare the database with the package files, also while the server runs
    Check(check::CheckArguments),
    /// Write a backup of everything into one file, also while the server runs
    Backup(backup::BackupArguments),
    /// Make an installation of a backup, or verify one
    Restore(restore::RestoreArguments),
    /// Put back the database from before the last upgrade
    Rollback(rollback::RollbackArguments),
    /// Make a bundle without secrets for whoever is to help, also of what is damaged
    Diagnose(diagnose::DiagnoseArguments),
    /// Say how the server and its fleet are; exit code 1 if there is something that a person has to know
    Status(status::StatusArguments),
    /// Say why a device does not get an update, or which one it gets
    Why(why::WhyArguments),
    /// Show, export and rotate the certificate authority that --tls auto makes
    Ca(ca::CaArguments),
    /// Take over the data of a reference server, before the first start
    Import(import::ImportArguments),
    /// Carry packages and groups to an installation without a network
    Bundle(bundle::BundleArguments),
    /// Create, list and remove the programs that get tokens from the authorization server
    Client(client::ClientArguments),
    /// Make, list and revoke management tokens
    Token(token::TokenArguments),
    /// Add, list, change and remove the people who may log in
    User(user::UserArguments),
    /// Try the webhooks, and list how they are
    Webhook(webhook::WebhookArguments),
}

/// The command line as clap knows it: what manual pages and completions are made from.
pub fn definition() -> clap::Command {
    CommandLine::command()
}

/// Runs what this process' command line says.
pub fn run() -> ExitCode {
    run_command_line(std::env::args_os())
}

/// Runs a command line; its first word is the name of the program.
pub fn run_command_line(words: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    let matches = match definition().try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) => return usage(&error),
    };
    let CommandLine { command } = match CommandLine::from_arg_matches(&matches) {
        Ok(command_line) => command_line,
        Err(error) => return usage(&error),
    };
    let result = match command {
        Command::Serve(arguments) => serve::run(arguments, matches.subcommand_matches("serve")),
        Command::Simulate(arguments) => simulate::run(arguments),
        Command::Health(arguments) => health::run(arguments, matches.subcommand_matches("health")),
        Command::Check(arguments) => check::run(arguments),
        Command::Backup(arguments) => backup::run(arguments),
        Command::Restore(arguments) => restore::run(arguments),
        Command::Rollback(arguments) => rollback::run(arguments),
        Command::Diagnose(arguments) => diagnose::run(arguments),
        Command::Status(arguments) => status::run(arguments),
        Command::Why(arguments) => why::run(arguments),
        Command::Ca(arguments) => ca::run(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Bundle(arguments) => bundle::run(arguments),
        Command::Client(arguments) => client::run(arguments),
        Command::Token(arguments) => token::run(arguments),
        Command::User(arguments) => user::run(arguments),
        Command::Webhook(arguments) => webhook::run(arguments),
    };
    result.unwrap_or_else(|error| {
        eprintln!("tender: {error:#}");
        if is_wrong_configuration(&error) { ExitCode::from(USAGE_EXIT_CODE) } else { ExitCode::FAILURE }
    })
}

/// How many there are of something, in words: `1 package`, `2 packages`.
fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Whether it is for the operator to give the program something else.
fn is_wrong_configuration(error: &anyhow::Error) -> bool {
    let certificate = matches!(error.downcast_ref(), Some(StartError::Certificate(CertificateError::Given(_))));
    certificate || error.is::<ConfigError>()
}

/// Help as clap writes it; an error as one sentence.
fn usage(error: &clap::Error) -> ExitCode {
    let wants_help = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    if wants_help {
        // A closed stdout is the reader's choice.
        let _ = error.print();
        return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE_EXIT_CODE));
    }
    let rendered = error.render().to_string();
    let sentence: Vec<&str> = rendered.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let sentence = sentence.join(" ");
    eprintln!("tender: {} (try --help)", sentence.strip_prefix("error: ").unwrap_or(&sentence));
    ExitCode::from(USAGE_EXIT_CODE)
}
