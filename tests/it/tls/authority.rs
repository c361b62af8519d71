//! Certificates of the server's own authority: for whom they are good, and when.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use tender::certificates::{self, authority::Authority};
use tender::domain::Timestamp;

use super::*;
use crate::harness::START;
use crate::harness::raw::eventually;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn folder(server: &TestServer) -> DataFolder {
    DataFolder::at(server.data(), None, None)
}

fn names(server: &TestServer) -> BTreeSet<String> {
    certificates::stored(&folder(server)).unwrap().unwrap().names().clone()
}

fn kept(server: &TestServer) -> Vec<u8> {
    fs::read(server.data().join("secrets/authority.json")).unwrap()
}

/// Rotates as `tender ca rotate` does, beside the server, and has the server look.
async fn rotate(server: &TestServer, overlap: Duration) {
    let now = server.beside().store.clock().now();
    certificates::rotate(&folder(server), now, overlap).unwrap().unwrap();
    server.running().settings().reload_certificates().await;
}

/// Whether clients that trust this authority let themselves in: rustls with this clock, and openssl, where it is.
async fn is_trusted(server: &TestServer, authority: &str, clock: Duration) -> bool {
    let config = client_config(authority, BOTH_VERSIONS, H1, Some(clock));
    let is_trusted = connect(server.secure_url(), config, "gateway.example").await.is_ok();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ca.pem"), authority).unwrap();
    let (url, seconds) = (server.secure_url().to_owned(), clock.as_secs().to_string());
    let openssl = tokio::task::spawn_blocking(move || {
        let address = url.strip_prefix("https://").unwrap();
        let arguments = ["s_client", "-connect", address, "-CAfile", "ca.pem", "-no-CApath", "-attime", &seconds];
        tool(folder.path(), "openssl", &[&arguments[..], &["-verify_hostname", "gateway.example"]].concat())
    });
    if let Some((_, text)) = openssl.await.unwrap() {
        assert_eq!(text.contains("Verify return code: 0 (ok)"), is_trusted, "{text}");
    }
    is_trusted
}

#[tokio::test]
async fn the_first_start_makes_an_authority_that_only_its_owner_can_read_and_later_ones_keep_it() {
    let mut server = TestServer::start_with(auto).await;
    let path = server.data().join("secrets/authority.json");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let names = names(&server);
    for name in ["gateway.example", "localhost", "127.0.0.1", "::1"] {
        assert!(names.contains(name), "{names:?}");
    }
    let (before, modified) = (kept(&server), fs::metadata(&path).unwrap().modified().unwrap());
    server.running().settings().reload_certificates().await;
    server.restart().await;
    assert!(kept(&server) == before, "nothing has changed");
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified, "nothing was written");
    assert!(is_trusted(&server, &exported(&server), START).await);
    let other = TestServer::start_with(auto).await;
    assert!(!is_trusted(&server, &exported(&other), START).await, "each has an authority of its own");
}

#[tokio::test]
async fn other_names_make_another_certificate_of_the_same_authority() {
    let mut server = TestServer::start_with(auto).await;
    let authority = exported(&server);
    server.configure(|config| config.tls = TlsConfig::Auto { names: vec!["Other.example".to_lowercase()] });
    server.restart().await;
    assert!(names(&server).contains("other.example") && !names(&server).contains("gateway.example"));
    assert_eq!(exported(&server), authority);
    let config = || client_config(&authority, BOTH_VERSIONS, H1, None);
    assert!(connect(server.secure_url(), config(), "other.example").await.is_ok());
    assert!(connect(server.secure_url(), config(), "gateway.example").await.is_err());
}

#[tokio::test]
async fn a_machine_in_1970_serves_devices_in_1970_and_in_the_present() {
    let server = TestServer::start_at(SystemTime::UNIX_EPOCH, auto).await;
    let authority = exported(&server);
    let present = Duration::from_secs(1_795_500_000);
    for clock in [Duration::ZERO, Duration::from_secs(60), present, present + 365 * DAY] {
        assert!(is_trusted(&server, &authority, clock).await, "{clock:?}");
    }
    // Years later somebody sets the clock: the certificate would have ended, and there is another one at once.
    let later = present + 4 * 365 * DAY;
    assert!(!is_trusted(&server, &authority, later).await);
    let before = kept(&server);
    server.time.set_wall(SystemTime::UNIX_EPOCH + later);
    eventually("there is another certificate", || kept(&server) != before).await;
    server.running().settings().reload_certificates().await;
    for clock in [Duration::ZERO, later, later + 365 * DAY] {
        assert!(is_trusted(&server, &authority, clock).await, "{clock:?}");
    }
    assert_eq!(exported(&server), authority, "the authority is the same");
}

#[tokio::test]
async fn during_a_rotation_devices_that_know_either_authority_are_served() {
    let server = TestServer::start_with(auto).await;
    let first = exported(&server);
    rotate(&server, 90 * DAY).await;
    let both = exported(&server);
    let second = both.strip_suffix(&first).expect("the new one, and then the old one").to_owned();
    for authority in [&first, &second, &both] {
        for clock in [Duration::ZERO, START] {
            assert!(is_trusted(&server, authority, clock).await, "{clock:?}");
        }
    }
    // Once more, before that is over.
    rotate(&server, 30 * DAY).await;
    let all = exported(&server);
    let third = all.strip_suffix(&both).expect("three, the newest first").to_owned();
    for authority in [&first, &second, &third] {
        assert!(is_trusted(&server, authority, START).await);
    }
    // The way to the first leads over the second, so they go together.
    server.time.advance(89 * DAY);
    server.running().settings().reload_certificates().await;
    for authority in [&first, &second, &third] {
        assert!(is_trusted(&server, authority, START + 89 * DAY).await);
    }
    server.time.advance(2 * DAY);
    eventually("the earlier ones are forgotten", || exported(&server) == third).await;
    server.running().settings().reload_certificates().await;
    assert!(is_trusted(&server, &third, START + 91 * DAY).await);
    assert!(!is_trusted(&server, &second, START + 91 * DAY).await);
}

#[tokio::test]
async fn without_an_overlap_only_the_new_authority_counts() {
    let server = TestServer::start_with(auto).await;
    let first = exported(&server);
    rotate(&server, Duration::ZERO).await;
    let second = exported(&server);
    assert!(!second.contains(&first));
    assert!(is_trusted(&server, &second, START).await && !is_trusted(&server, &first, START).await);
}

#[tokio::test]
async fn curl_gets_in_with_either_authority() {
    let server = TestServer::start_with(auto).await;
    let first = exported(&server);
    rotate(&server, 90 * DAY).await;
    let second = exported(&server).strip_suffix(&first).unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    for authority in [first, second] {
        fs::write(folder.path().join("ca.pem"), authority).unwrap();
        for protocol in ["--http1.1", "--http2"] {
            let (path, url) = (folder.path().to_owned(), format!("{}/", server.secure_url()));
            let asking = tokio::task::spawn_blocking(move || {
                tool(&path, "curl", &["-sS", "--fail", "--cacert", "ca.pem", protocol, &url])
            });
            let Some((is_good, text)) = asking.await.unwrap() else { return };
            assert!(is_good && text.contains("<!doctype html>"), "{protocol}: {text}");
        }
    }
}

#[test]
fn certificates_are_renewed_in_time_and_never_for_nothing() {
    let start = Timestamp::from_unix_seconds(1_800_000_000);
    let names: BTreeSet<String> = ["a".to_owned()].into();
    let mut authority = Authority::make(start, "host", &names).unwrap();
    let end = authority.trusted()[0].0.not_after();
    let mut renewals = 0;
    // A look a day for fourteen years, beyond the authority's own end.
    for days in 0..14 * 365 {
        let now = start.saturating_add(days * DAY);
        let is_due = authority.is_to_refresh(now);
        assert_eq!(authority.refresh(now, &names).unwrap(), is_due);
        renewals += u32::from(is_due);
        if now < end {
            assert!(authority.server_not_after() > now, "day {days}");
        }
    }
    assert!((5..=9).contains(&renewals), "{renewals}");
    assert_eq!(authority.server_not_after(), end);
    // Three may be on their way out, and no more.
    let mut rotate = || authority.rotate(start, "host", 90 * DAY).unwrap();
    assert_eq!([(); 3].map(|()| rotate().is_ok()), [true; 3]);
    assert!(rotate().is_err());
    assert!(Authority::parse(&authority.to_text()).is_some() && Authority::parse("{}").is_none());
}

#[tokio::test]
async fn an_authority_that_is_lost_while_the_server_runs_is_not_replaced() {
    let server = TestServer::start_with(auto).await;
    let (authority, path) = (exported(&server), server.data().join("secrets/authority.json"));
    let before = kept(&server);
    fs::remove_file(&path).unwrap();
    server.running().settings().reload_certificates().await;
    assert!(!path.exists());
    assert!(is_trusted(&server, &authority, START).await, "the certificate is served on");
    // Restored from a backup, it is taken up.
    fs::write(&path, before).unwrap();
    server.running().settings().reload_certificates().await;
    rotate(&server, 90 * DAY).await;
    assert!(is_trusted(&server, &authority, START).await && exported(&server) != authority);
}

#[tokio::test]
async fn a_damaged_authority_is_refused_and_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("data/secrets")).unwrap();
    let path = folder.path().join("data/secrets/authority.json");
    fs::write(&path, "{").unwrap();
    let arguments = ["serve", "--data-dir", "data", "--listen", "127.0.0.1:0", "--tls", "auto"];
    let line = crate::harness::process::assert_refused(&crate::harness::process::run(folder.path(), arguments), 1);
    assert!(line.contains("authority.json") && line.contains("damaged"), "{line}");
    assert_eq!(fs::read(&path).unwrap(), b"{");
}
