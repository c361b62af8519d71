//! `tender health`: what a container without a shell runs to say how its server is.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use serde_json::json;

use crate::harness::certificate::Certificate;
use crate::harness::process::{ServerProcess, assert_refused, run, tender};
use crate::harness::provider::{Conduct, Provider};

fn assert_word(output: &Output, word: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!((String::from_utf8_lossy(&output.stdout).as_ref(), stderr.as_ref()), (word, ""));
}

#[tokio::test]
async fn it_finds_the_server_as_the_server_found_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tender(folder.path());
    command.args(["serve", "--data-dir", "data", "--listen", "[::]:0"]);
    let server = ServerProcess::launch(command).await;
    let port = &server.url.rsplit_once(':').unwrap().1.to_owned();
    for host in ["0.0.0.0", "[::]", "127.0.0.1", "localhost"] {
        assert_word(&run(folder.path(), ["health", "--listen", &format!("{host}:{port}")]), "ready\n");
    }
    let mut by_variables = tender(folder.path());
    by_variables.arg("health").env("RDFM_HOSTNAME", "0.0.0.0").env("RDFM_API_PORT", port);
    assert_word(&by_variables.output().unwrap(), "ready\n");
    fs::write(folder.path().join("tender.toml"), format!("listen = \"0.0.0.0:{port}\"\nmax_connections = 7")).unwrap();
    assert_word(&run(folder.path(), ["health", "--config", "tender.toml"]), "ready\n");
    assert_word(&run(folder.path(), ["health", "--url", &format!("http://127.0.0.1:{port}")]), "ready\n");

    // A flag wins over a variable also where these are two forms.
    let mut by_flag = tender(folder.path());
    by_flag.args(["health", "--listen", &format!("127.0.0.1:{port}")]).env("RDFM_API_PORT", "1");
    assert_word(&by_flag.output().unwrap(), "ready\n");
    drop(server);
    let line = assert_refused(&run(folder.path(), ["health", "--listen", &format!("127.0.0.1:{port}")]), 1);
    assert!(line.contains("no server answers at http://127.0.0.1:"), "{line}");
}

#[tokio::test]
async fn what_is_not_ready_or_no_server_of_ours_is_told_in_one_line() {
    let health = |url: &str| run(Path::new("/"), ["health", "--timeout", "1s", "--url", url]);
    // It accepts, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let line = assert_refused(&health(&format!("http://{}", silent.local_addr().unwrap())), 1);
    assert!(line.contains("has not answered within 1s"), "{line}");

    let other = Provider::answering(&json!({ "hello": "world" })).await;
    let url = format!("http://{}", other.host());
    let line = assert_refused(&blocking(move || health(&url)).await, 1);
    assert!(line.contains("no tender server"), "{line}");
    let body = "{\"status\": \"stopping\"}";
    let unavailable = format!("HTTP/1.1 503 Service Unavailable\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    other.will(Conduct::Respond(unavailable.into_bytes()));
    let url = format!("http://{}", other.host());
    let line = assert_refused(&blocking(move || health(&url)).await, 1);
    assert!(line.contains("the server is not ready: stopping"), "{line}");

    assert_refused(&run(Path::new("/"), ["health", "--listen", "127.0.0.1:0"]), 1);
    assert_refused(&run(Path::new("/"), ["health", "--listen", "nowhere"]), 2);
    assert_refused(&run(Path::new("/"), ["health", "--url", "nowhere"]), 2);
}

#[tokio::test]
async fn a_server_that_made_its_certificate_itself_is_believed_on_this_machine() {
    let Some(certificate) = Certificate::make() else { return };
    let server = Provider::answering_over_tls(&json!({ "status": "ready" }), certificate.acceptor()).await;
    let (listen, url) = (server.host(), format!("https://{}", server.host()));
    let output = blocking(move || run(Path::new("/"), ["health", "--listen", &listen])).await;
    assert_word(&output, "ready\n");
    let output = blocking(move || run(Path::new("/"), ["health", "--url", &url])).await;
    assert_word(&output, "ready\n");
}

/// Runs a command while servers of this process go on.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}
