//! `tender status`: from the data folder, and from the server that runs.

use serde_json::Value;

use crate::harness::process::{ServerProcess, assert_refused, create_token, run, tender};

#[tokio::test]
async fn how_a_server_is_is_read_from_the_data_folder_or_asked_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path()).await;
    let token = create_token(folder.path());
    let admin = server.operator(&token);
    let mut device = server.device("00:11:22:33:44:55");
    device.authorize().await;
    admin.accept(&device).await;
    server.device("00:11:22:33:44:66").authorize().await;
    admin.package("v1", &[], b"contents").await;

    let read = |more: &[&str]| run(folder.path(), [&["status", "--data-dir", "data"], more].concat());
    let ask = |more: &[&str]| {
        let arguments = [&["status", "--server", &server.url], more].concat();
        tender(folder.path()).args(arguments).env("TENDER_TOKEN", &token).output().unwrap()
    };
    let lines = |output: &std::process::Output| String::from_utf8(output.stdout.clone()).unwrap();
    let (from_data, from_server) = (read(&[]), ask(&[]));
    for output in [&from_data, &from_server] {
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        for line in [
            "devices        1: 1 ",
            "registrations  1 waiting\n",
            "packages       1 whole, 0 corrupt, 0 missing; 8 bytes\n",
            "uploads        0 unfinished\n",
        ] {
            assert!(lines(output).contains(line), "{line}: {}", lines(output));
        }
    }
    assert!(lines(&from_data).contains(", not asked\n") && lines(&from_data).contains("\ndatabase       "));
    assert!(String::from_utf8(from_data.stderr).unwrap().contains("only a running server knows"));
    assert!(lines(&from_server).contains(", up "));
    assert_eq!(from_server.stderr, b"");

    let [read_object, asked]: [Value; 2] =
        [read(&["--json"]), ask(&["--json"])].map(|output| serde_json::from_slice(&output.stdout).unwrap());
    for name in ["packages", "pending_registrations", "concerns", "version"] {
        assert_eq!(read_object["status"][name], asked["status"][name]);
    }
    assert_eq!(read_object["devices"].as_object().unwrap().len(), asked["devices"].as_object().unwrap().len());
    assert!(read_object["status"]["uptime_seconds"].is_null() && asked["status"]["uptime_seconds"].is_u64());

    // What a person has to know is said, and is an exit code for scripts.
    let database = rusqlite::Connection::open(folder.path().join("data/tender.sqlite")).unwrap();
    let damage = "INSERT INTO package_integrity VALUES (1, NULL, 'missing', 1800000000, 'the file is not there')";
    database.execute_batch(damage).unwrap();
    for output in [read(&[]), ask(&[])] {
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(lines(&output).contains("\nconcern        "), "{}", lines(&output));
    }
    assert_eq!(read(&["--json"]).status.code(), Some(1));
}

#[test]
fn what_is_not_there_has_no_status() {
    let folder = tempfile::tempdir().unwrap();
    assert!(assert_refused(&run(folder.path(), ["status", "--data-dir", "data"]), 1).contains("data"));
    assert_refused(&run(folder.path(), ["status", "--server", "http://127.0.0.1:1"]), 1);
    assert_refused(&run(folder.path(), ["status", "--server", "nowhere"]), 2);
}
