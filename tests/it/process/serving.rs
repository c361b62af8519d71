//! The server's start, its end, and its environment.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::harness::process::{ServerProcess, assert_refused, create_token, package_files_below, run, tender};
use crate::harness::raw::{Raw, eventually};
use crate::harness::{Device, Operator};

const SERVE: [&str; 5] = ["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"];

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn a_fresh_start_makes_a_folder_that_only_its_owner_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let _server = ServerProcess::start(folder.path()).await;
    for private in [data.clone(), data.join("secrets"), data.join("packages")] {
        assert!(private.is_dir());
        assert_eq!(mode(&private), 0o700, "{}", private.display());
    }
    let secret = data.join("secrets/jwt-secret");
    assert_eq!(mode(&secret), 0o600);
    assert!(fs::read_to_string(&secret).unwrap().len() >= 64);
    // Another folder has another secret.
    let other = tempfile::tempdir().unwrap();
    create_token(other.path());
    assert_ne!(fs::read(&secret).unwrap(), fs::read(other.path().join("data/secrets/jwt-secret")).unwrap());
}

#[tokio::test]
async fn a_port_in_use_is_refused_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = assert_refused(&run(folder.path(), ["serve", "--data-dir", "data", "--listen", &address]), 1);
    assert!(line.contains(&address), "{line}");
    assert!(!folder.path().join("data").exists());
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let first = ServerProcess::start(folder.path()).await;
    let line = assert_refused(&run(folder.path(), SERVE), 1);
    assert!(line.contains("another tender is running"), "{line}");
    first.anonymous().get("/api/v1/devices").await.error(401);
    // It is the process that counts, not a file that it may leave.
    first.kill();
    ServerProcess::start(folder.path()).await;
}

#[tokio::test]
async fn both_signals_end_the_server_in_order() {
    let folder = tempfile::tempdir().unwrap();
    for signal in ["TERM", "INT"] {
        let mut server = ServerProcess::start(folder.path()).await;
        // A client that only keeps its connection open holds nobody up.
        let _idle = Raw::to(&server.url).await;
        server.signal(signal);
        assert_eq!(server.ended().await, Some(0), "{signal}: {}", server.log());
        assert!(server.log().contains("stopped"), "{}", server.log());
        // All of the database is in its one file.
        let journal = fs::metadata(folder.path().join("data/tender.sqlite-wal"));
        assert!(journal.is_err() || journal.is_ok_and(|journal| journal.len() == 0));
    }
}

/// Starts a server with one large package; its path and contents.
async fn with_large_package(folder: &Path, drain_timeout: &str) -> (ServerProcess, String, Vec<u8>) {
    let server = ServerProcess::start_with(folder, |command| command.args(["--drain-timeout", drain_timeout])).await;
    let operator = server.operator(&create_token(folder));
    // More than the sockets hold: most of it waits in the server until the client reads.
    let contents: Vec<u8> = (0..24 * 1024 * 1024_u32).map(|number| (number >> 8) as u8 ^ number as u8).collect();
    let id = operator.package("v1", &[], &contents).await;
    let package = operator.get(&format!("/api/v1/packages/{id}")).await.ok();
    let path = format!("/local_storage/{}", package["metadata"]["rdfm.storage.local.uuid"].as_str().unwrap());
    (server, path, contents)
}

#[tokio::test]
async fn a_download_that_has_begun_comes_to_its_end_before_the_server_does() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, path, contents) = with_large_package(folder.path(), "20s").await;
    let mut client = Raw::to(&server.url).await;
    client.send(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n")).await;
    assert_eq!(client.head().await, 200);
    server.signal("TERM");
    eventually("the server stops", || server.log().contains("stopping")).await;
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    eventually("nobody new is let in", || std::net::TcpStream::connect(&address).is_err()).await;
    let reply = client.reply().await.expect("the rest of the download");
    assert!(reply.body == contents, "the download was damaged");
    assert_eq!(server.ended().await, Some(0), "{}", server.log());
}

#[tokio::test]
async fn a_client_that_never_reads_holds_the_end_up_no_longer_than_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, path, _) = with_large_package(folder.path(), "1s").await;
    let mut client = Raw::to(&server.url).await;
    client.send(format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n")).await;
    assert_eq!(client.head().await, 200);
    let told = Instant::now();
    server.signal("TERM");
    assert_eq!(server.ended().await, Some(0), "{}", server.log());
    let took = told.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(6), "{took:?}");
    drop(client);
}

#[tokio::test]
async fn the_reference_servers_variables_are_honoured() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("db/fleet.sqlite");
    let mut command = tender(folder.path());
    command.args(["serve", "--data-dir", "data"]);
    command.env("RDFM_HOSTNAME", "127.0.0.1").env("RDFM_API_PORT", "0");
    command.env("RDFM_LOCAL_PACKAGE_DIR", folder.path().join("images"));
    command.env("RDFM_DB_CONNSTRING", format!("sqlite:///{}", database.display()));
    command.env("RDFM_DISABLE_API_AUTH", "1").env("RDFM_JWT_SECRET", "given");
    let mut server = ServerProcess::launch(command).await;
    assert!(server.log().contains("WARN AUTHENTICATION IS OFF"), "{}", server.log());

    // Everybody may do everything, with any token or none.
    server.anonymous().get("/api/v1/devices").await.ok();
    server.operator("whatever").package("v1", &[], b"contents").await;
    assert_eq!(package_files_below(&folder.path().join("images")).len(), 1);
    assert!(database.exists());
    assert!(!folder.path().join("data/tender.sqlite").exists());
    assert!(!folder.path().join("data/secrets/jwt-secret").exists(), "no secret is made where one is given");
    server.signal("TERM");
    assert_eq!(server.ended().await, Some(0));

    // A flag wins over a variable; two variables that say the same thing are one too many.
    let mut command = tender(folder.path());
    command.args(SERVE).env("RDFM_API_PORT", "1");
    drop(ServerProcess::launch(command).await);
    let mut command = tender(folder.path());
    command.args(["serve", "--data-dir", "data"]).env("RDFM_API_PORT", "0").env("TENDER_LISTEN", "127.0.0.1:0");
    assert_refused(&command.output().unwrap(), 2);
    // Where systemd says, if nobody else does.
    let mut command = tender(folder.path());
    command.args(["serve", "--listen", "127.0.0.1:0"]).env("STATE_DIRECTORY", folder.path().join("state:other"));
    let _server = ServerProcess::launch(command).await;
    assert!(folder.path().join("state/tender.sqlite").exists());
}

#[tokio::test]
async fn another_secret_than_before_is_said_loudly() {
    let folder = tempfile::tempdir().unwrap();
    let with_secret = async |secret: &'static str| {
        ServerProcess::start_with(folder.path(), |command| command.env("RDFM_JWT_SECRET", secret)).await
    };
    let warns = |server: &ServerProcess| server.log().contains("WARN the secret is another one than before");
    let first = with_secret("first").await;
    assert!(!warns(&first), "{}", first.log());
    first.kill();
    let same = with_secret("first").await;
    assert!(!warns(&same), "{}", same.log());
    same.kill();
    let other = with_secret("second").await;
    assert!(warns(&other), "{}", other.log());
    assert!(!other.log().contains("second"), "{}", other.log());
}

#[tokio::test]
async fn packages_that_a_new_database_does_not_know_are_not_swept_away() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("images/site/6f7483ac-5cde-467f-acf7-39e4b397e313");
    fs::create_dir_all(image.parent().unwrap()).unwrap();
    fs::write(&image, "years of work").unwrap();
    let line = assert_refused(&run(folder.path(), SERVE.iter().chain(&["--local-package-dir", "images"])), 1);
    assert!(line.contains("images") && line.contains("does not know"), "{line}");
    assert_eq!(fs::read_to_string(&image).unwrap(), "years of work");
    // Asking again does not wear it down, and neither does another command before it.
    create_token(folder.path());
    assert_refused(&run(folder.path(), SERVE.iter().chain(&["--local-package-dir", "images"])), 1);
    assert!(image.exists());
}

#[tokio::test]
async fn attacks_leave_the_servers_memory_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path()).await;
    let token = create_token(folder.path());
    server.operator(&token).get("/api/v1/devices").await.ok();
    let before = server.peak_memory();
    let piece = [format!("{:x}\r\n", 256 * 1024).into_bytes(), vec![b'x'; 256 * 1024], b"\r\n".to_vec()].concat();
    for (content_type, start) in [
        ("multipart/form-data; boundary=b", "x"),
        ("multipart/form-data; boundary=b", "--b\r\nX: "),
        ("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n"),
        ("application/json", "{"),
    ] {
        let mut client = Raw::to(&server.url).await;
        let head = format!(
            "POST /api/v1/packages HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer token={token}\r\n\
             Content-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{start}\r\n",
            start.len()
        );
        client.send(head).await;
        let mut sent = 0;
        while client.try_send(&piece).await.is_ok() {
            sent += piece.len();
            assert!(sent < 64 * 1024 * 1024, "the server reads for ever");
        }
    }
    // A large file is no attack, and is not kept in memory either.
    server.operator(&token).package("v1", &[], &vec![7; 48 * 1024 * 1024]).await;
    let grown = server.peak_memory().saturating_sub(before);
    assert!(grown < 24 * 1024 * 1024, "{} MiB more", grown / 1024 / 1024);
}

#[tokio::test]
async fn devices_on_every_interface_get_an_address_that_they_reach() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tender(folder.path());
    command.args(["serve", "--data-dir", "data", "--listen", "[::]:0"]);
    let server = ServerProcess::launch(command).await;
    let port = server.url.rsplit_once(':').unwrap().1.to_owned();
    let token = create_token(folder.path());
    for (number, host) in ["127.0.0.1", "127.0.0.2", "[::1]", "localhost"].into_iter().enumerate() {
        let url = format!("http://{host}:{port}");
        let operator = Operator::new(&url, token.clone());
        let mut device = Device::new(&url, &format!("00:11:22:33:44:{number:02x}"));
        assert_eq!(device.authorize().await.status, 401);
        operator.accept(&device).await;
        device.authorize().await.ok();
        let package = operator.package("v1", &[], host.as_bytes()).await;
        operator.group(&[operator.device_id(&device).await], &[package], "exact_match,v1").await;
        let offer = device.check().await.ok();
        assert!(offer["uri"].as_str().unwrap().starts_with(&format!("{url}/local_storage/")), "{offer}");
        assert_eq!(device.download(&offer).await, host.as_bytes());
    }
}

#[tokio::test]
async fn the_machines_own_zone_counts_unless_another_is_named() {
    for (more, zone) in [(&[][..], "America/New_York"), (&["--time-zone", "Europe/Berlin"], "Europe/Berlin")] {
        let folder = tempfile::tempdir().unwrap();
        let server = ServerProcess::start_with(folder.path(), |command| {
            command.env("TZ", "America/New_York").args(["--scrub-hours", "22:00-06:00"]).args(more)
        });
        let server = server.await;
        assert!(server.log().contains(&format!("22:00-06:00 ({zone})")), "{}", server.log());
    }
}

#[tokio::test]
async fn what_devices_report_is_written_at_an_orderly_end() {
    let folder = tempfile::tempdir().unwrap();
    let token = create_token(folder.path());
    let mut server = ServerProcess::start(folder.path()).await;
    let mut device: Device = server.device("00:11:22:33:44:55");
    device.authorize().await.error(401);
    server.operator(&token).accept(&device).await;
    device.authorize().await.ok();
    device.report("rdfm.software.version", "v7");
    assert_eq!(device.check().await.status, 204);
    server.signal("TERM");
    assert_eq!(server.ended().await, Some(0));

    let server = ServerProcess::start(folder.path()).await;
    let devices = server.operator(&token).get("/api/v1/devices").await.ok();
    assert_eq!(devices[0]["metadata"]["rdfm.software.version"], "v7");
    assert!(devices[0]["last_access"].is_string(), "{devices}");
}
