//! `tender webhook`: whether events reach where they are sent, also while the server runs.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::installation::{Need, Place, with_installation};
use crate::clock::Clock;
use crate::config::{FileOption, WebhookConfig, WebhookLimits, WebhookOptions};
use crate::delivery::Receiver;
use crate::domain::{Event, EventRecord, Timestamp};
use crate::installation::Installation;
use crate::store::webhooks::{self, Standing};

/// Arguments of `tender webhook`.
#[derive(Args)]
pub struct WebhookArguments {
    #[command(subcommand)]
    command: WebhookCommand,
}

#[derive(Subcommand)]
enum WebhookCommand {
    /// Send a test event to each configured webhook now, and print what came of it
    Test(TestArguments),
    /// List the webhooks of the server: how many events wait, and why
    List(Place),
}

#[derive(Args)]
struct TestArguments {
    #[command(flatten)]
    webhook: WebhookOptions,
    #[command(flatten)]
    file: FileOption,
}

/// Runs `tender webhook …`.
pub fn run(arguments: WebhookArguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        WebhookCommand::Test(TestArguments { webhook, file }) => {
            let webhooks = WebhookConfig::all(webhook, &file)?;
            if webhooks.is_empty() {
                bail!("no webhook is configured: give --webhook, or the --config of the server");
            }
            tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(test(&webhooks))
        }
        WebhookCommand::List(place) => with_installation(place, Need::There, list),
    }
}

/// Sends one event to each, whichever it wants. Exit code 1 says that one did not take it.
async fn test(webhooks: &[WebhookConfig]) -> anyhow::Result<ExitCode> {
    let (clock, mut exit_code) = (Clock::system(), ExitCode::SUCCESS);
    for webhook in webhooks {
        let receiver = Receiver::new(webhook, WebhookLimits::default().patience, clock.clone())?;
        // No event of the server has a number as low as one that is no date.
        let record = EventRecord { id: 0, at: clock.now(), event: Event::webhook_test() };
        let body = match webhook.batch {
            Some(_) => serde_json::to_vec(&[&record])?,
            None => serde_json::to_vec(&record)?,
        };
        let begun = Instant::now();
        let sent = receiver.send(&format!("evt_test_{}", uuid::Uuid::new_v4()), body).await;
        let (host, milliseconds) = (receiver.host(), begun.elapsed().as_millis());
        let mut stdout = std::io::stdout();
        match sent {
            Ok(status) => writeln!(stdout, "{host}: HTTP {status} in {milliseconds} ms")?,
            Err(failure) => {
                writeln!(stdout, "{host}: failed after {milliseconds} ms: {failure}")?;
                exit_code = ExitCode::FAILURE;
            }
        }
    }
    Ok(exit_code)
}

async fn list(installation: Installation) -> anyhow::Result<()> {
    let webhooks = installation.store.read(webhooks::list).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{:>9}  {:>9}  {:20}  {:30}  LAST ERROR", "QUEUED", "DROPPED", "FAILING SINCE", "HOST")?;
    for Standing { host, queued, dropped, failing_since, last_error, .. } in webhooks {
        let since = failing_since.map_or_else(|| "-".to_owned(), Timestamp::rfc3339);
        let error = last_error.unwrap_or_else(|| "-".to_owned());
        writeln!(stdout, "{queued:>9}  {dropped:>9}  {since:20}  {host:30}  {error}")?;
    }
    Ok(())
}
