//! What depends on the machine: its certificates, its proxies, its environment. Each in a process of its own, since an
//! environment is a process's.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tender::clock::Clock;
use tender::identity_provider::IdentityProvider;

use super::{Log, TOKEN, config, good};
use crate::harness::certificate::Certificate;
use crate::harness::process::{assert_refused, tender};
use crate::harness::provider::Provider;

/// Says which provider [`asks_in_a_process_of_its_own`] asks.
const URL_VARIABLE: &str = "TENDER_TEST_PROVIDER";
const OUTCOME: &str = "outcome: ";

/// Does nothing by itself: [`ask_on_a_machine`] runs it in a process of its own, and says whom to ask.
#[tokio::test]
async fn asks_in_a_process_of_its_own() {
    let Ok(url) = std::env::var(URL_VARIABLE) else { return };
    let log = Log::listen();
    let clock = Clock::system();
    let outcome = match IdentityProvider::new(&config(&url), clock.clone()) {
        Err(error) => format!("cannot start: {error}"),
        Ok(provider) => match provider.introspect(TOKEN, clock.now()).await {
            Some(holder) => holder.name,
            None => log.warnings().join(" "),
        },
    };
    println!("\n{OUTCOME}{outcome}");
}

/// Asks a provider in a process with this environment more: the holder's name, or what went wrong.
async fn ask_on_a_machine(url: &str, environment: &[(&str, &Path)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--nocapture", "identity_provider::machine::asks_in_a_process_of_its_own"]);
    command.env(URL_VARIABLE, url).envs(environment.iter().copied()).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = stdout.lines().find_map(|line| line.strip_prefix(OUTCOME));
    line.unwrap_or_else(|| panic!("no outcome: {stdout}{}", String::from_utf8_lossy(&output.stderr))).to_owned()
}

/// Where nothing listens.
const DEAD_PROXY: &str = "http://127.0.0.1:1";

#[tokio::test]
async fn https_needs_a_certificate_that_the_machine_trusts() {
    let Some(certificate) = Certificate::make() else { return };
    let provider = Provider::answering_over_tls(&good(), certificate.acceptor()).await;

    // The proxies of the environment are not asked.
    let trusting: [(&str, &Path); 3] = [
        ("SSL_CERT_FILE", certificate.path()),
        ("HTTPS_PROXY", DEAD_PROXY.as_ref()),
        ("ALL_PROXY", DEAD_PROXY.as_ref()),
    ];
    assert_eq!(ask_on_a_machine(&provider.url(), &trusting).await, "ada");
    assert_eq!(provider.count(), 1);

    // By another name it is somebody else, and on a machine with other certificates it is a stranger.
    let by_name = provider.url().replace("127.0.0.1", "localhost");
    let outcome = ask_on_a_machine(&by_name, &trusting).await;
    assert!(outcome.contains("certificate"), "{outcome}");
    let system = Path::new("/etc/ssl/certs/ca-certificates.crt");
    if system.exists() {
        let outcome = ask_on_a_machine(&provider.url(), &[("SSL_CERT_FILE", system)]).await;
        assert!(outcome.contains("certificate") && outcome.contains("WARN"), "{outcome}");
    }
    assert_eq!(provider.count(), 1, "nothing was said to whom nobody vouches for");
}

#[tokio::test]
async fn a_machine_without_certificates_can_ask_over_http_only() {
    let folder = tempfile::tempdir().unwrap();
    let (nowhere, proxy) = (folder.path().join("none.pem"), Path::new(DEAD_PROXY));
    let bare: [(&str, &Path); 4] =
        [("SSL_CERT_FILE", &nowhere), ("SSL_CERT_DIR", &nowhere), ("HTTP_PROXY", proxy), ("http_proxy", proxy)];
    let provider = Provider::answering(&good()).await;
    assert_eq!(ask_on_a_machine(&provider.url(), &bare).await, "ada");
    let outcome = ask_on_a_machine("https://127.0.0.1:1/introspect", &bare).await;
    assert!(outcome.starts_with("cannot start: ") && outcome.contains("ca-certificates"), "{outcome}");
}

#[test]
fn options_that_are_not_all_there_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), "hidden").unwrap();
    fs::write(folder.path().join("empty"), "\n").unwrap();
    let url = ("RDFM_OAUTH_URL", "https://idp.example/introspect");
    let id = ("RDFM_OAUTH_CLIENT_ID", "tender");
    let secret = ("RDFM_OAUTH_CLIENT_SEC", "hidden");
    let file = |name| ("TENDER_OAUTH_CLIENT_SECRET_FILE", name);
    let refused: &[&[(&str, &str)]] = &[
        &[url],
        &[id],
        &[secret],
        &[file("secret")],
        &[url, id],
        &[url, secret],
        &[id, file("secret")],
        &[url, id, secret, file("secret")],
        &[url, id, file("missing")],
        &[url, id, file("empty")],
        &[url, id, ("RDFM_OAUTH_CLIENT_SEC", "")],
        &[url, ("RDFM_OAUTH_CLIENT_ID", ""), secret],
        &[("RDFM_OAUTH_URL", "https://tender:hidden@idp.example/"), id, secret],
        &[("RDFM_OAUTH_URL", "idp.example"), id, secret],
    ];
    for environment in refused {
        let output = tender(folder.path()).arg("serve").envs(environment.iter().copied()).output().unwrap();
        let line = assert_refused(&output, 2);
        assert!(!line.contains("hidden"), "{line}");
    }
    let output = tender(folder.path()).args(["serve", "--oauth-client-secret", "hidden"]).output().unwrap();
    assert_refused(&output, 2);
}
