//! Exit codes, tokens, and everything else that ends by itself.

use std::fs;
use std::path::Path;

use crate::harness::process::{ServerProcess, assert_refused, create_token, run, tender};

const CREATE: [&str; 8] = ["token", "create", "--data-dir", "data", "--name", "x", "--scope", "rdfm_admin_rw"];

#[test]
fn what_cannot_work_is_refused_with_exit_code_2_and_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| fs::write(folder.path().join(name), text).unwrap();
    write("unknown.toml", b"colour = \"red\"");
    write("broken.toml", b"listen = \n\n[[[");
    write("wrong-type.toml", b"max_connections = \"many\"");
    write("binary.toml", b"\xff\xfe\0");
    write("both.toml", b"listen = \"127.0.0.1:0\"\napi_port = 1");
    write("empty-secret", b"\n");
    fs::create_dir(folder.path().join("folder.toml")).unwrap();
    let refused: &[&[&str]] = &[
        &["serve", "--colour"],
        &["serve", "surplus"],
        &["serve", "--listen"],
        &["unknown"],
        &["--unknown"],
        &["token", "create"],
        &["token", "create", "--name", "x"],
        &["token", "create", "--name", "x", "--scope", "everything"],
        &["token", "create", "--name", "x", "--scope", "rdfm_admin_ro", "--expires", "soon"],
        &["token", "revoke"],
        &["serve", "--config", "missing.toml"],
        &["serve", "--config", "folder.toml"],
        &["serve", "--config", "unknown.toml"],
        &["serve", "--config", "broken.toml"],
        &["serve", "--config", "wrong-type.toml"],
        &["serve", "--config", "binary.toml"],
        &["serve", "--config", "both.toml"],
        &["token", "list", "--config", "unknown.toml"],
        &["serve", "--listen", "127.0.0.1:0", "--api-port", "1"],
        &["serve", "--listen", "127.0.0.1:0", "--hostname", "here"],
        &["serve", "--listen", "80"],
        &["serve", "--listen", ":80"],
        &["serve", "--listen", "here:99999"],
        &["serve", "--listen", "here:"],
        &["serve", "--listen", ""],
        &["serve", "--api-port", "99999"],
        &["serve", "--api-port", "-1"],
        &["serve", "--public-url", "updates.example"],
        &["serve", "--public-url", "ftp://updates.example"],
        &["serve", "--trusted-proxies", "everybody"],
        &["serve", "--max-connections", "0"],
        &["serve", "--max-connections", "many"],
        &["serve", "--drain-timeout", "soon"],
        &["serve", "--log", "loud=very"],
        &["serve", "--db-connstring", "postgresql://user:password@host/db"],
        &["serve", "--db-connstring", "sqlite://"],
        &["serve", "--no-api-auth=perhaps"],
        &["serve", "--jwt-secret-file", "missing"],
        &["serve", "--jwt-secret-file", "empty-secret"],
    ];
    for arguments in refused {
        let line = assert_refused(&run(folder.path(), *arguments), 2);
        assert!(!line.contains("password"), "{line}");
    }
    assert!(!folder.path().join("tender-data").exists(), "a refusal makes nothing");
}

#[test]
fn help_and_version_are_no_failures() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&["--help"][..], &["--version"], &["-V"], &["serve", "--help"], &["token", "create", "--help"]] {
        let output = run(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{arguments:?}");
    }
    let version = run(folder.path(), ["--version"]).stdout;
    assert_eq!(String::from_utf8(version).unwrap(), format!("tender {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(run(folder.path(), [""; 0]).status.code(), Some(2), "no command is a mistake");
}

#[tokio::test]
async fn a_token_is_all_that_token_create_prints() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), CREATE);
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(0), 1), "{stderr}");
    assert!(stderr.contains("data folder data yet"), "whoever meant another folder sees it: {stderr}");
    let token = stdout.strip_suffix('\n').unwrap();
    assert_eq!(token.split('.').count(), 3, "{token}");
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{token}");

    // Made on a fresh folder, it is good for the server that comes later.
    let server = ServerProcess::start(folder.path()).await;
    server.operator(token).get("/api/v1/devices").await.ok();
    // So is one that is made beside the running server, and then there is nothing to tell.
    assert_eq!(String::from_utf8_lossy(&run(folder.path(), CREATE).stderr), "");
    server.operator(&create_token(folder.path())).get("/api/v1/devices").await.ok();
}

#[tokio::test]
async fn a_revoked_token_ends_at_once_on_the_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(folder.path()).await;
    let token = create_token(folder.path());
    let operator = server.operator(&token);
    operator.get("/api/v1/devices").await.ok();

    let listed = || String::from_utf8(run(folder.path(), ["token", "list", "--data-dir", "data"]).stdout).unwrap();
    let line = listed().lines().find(|line| line.ends_with("tests")).unwrap().to_owned();
    assert!(line.contains(" valid ") && line.contains("rdfm_admin_rw") && !listed().contains(&token), "{line}");
    let id = line.split(' ').next().unwrap();
    assert_eq!(run(folder.path(), ["token", "revoke", "--data-dir", "data", id]).status.code(), Some(0));
    operator.get("/api/v1/devices").await.error(401);
    assert!(listed().contains(" revoked "), "{}", listed());
    // Once is enough, and what is not there cannot be revoked.
    for unknown in [id, "tests", "nobody"] {
        let line = assert_refused(&run(folder.path(), ["token", "revoke", "--data-dir", "data", unknown]), 1);
        assert!(line.contains(unknown), "{line}");
    }
}

#[tokio::test]
async fn a_token_of_another_secret_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let create = |secret: Option<&str>| {
        let mut command = tender(folder.path());
        command.args(CREATE);
        if let Some(secret) = secret {
            command.env("RDFM_JWT_SECRET", secret);
        }
        command.output().unwrap()
    };
    let server =
        ServerProcess::start_with(folder.path(), |command| command.env("RDFM_JWT_SECRET", "the server's")).await;
    for other in [Some("another"), None] {
        let line = assert_refused(&create(other), 1);
        assert!(line.contains("another secret") && line.contains("RDFM_JWT_SECRET"), "{line}");
    }
    let output = create(Some("the server's"));
    assert!(output.status.success());
    server.operator(String::from_utf8(output.stdout).unwrap().trim()).get("/api/v1/devices").await.ok();
}

#[test]
fn names_that_would_garble_the_list_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["", " ", "a\nb", "a\u{1b}[2J"] {
        let arguments = CREATE.map(|argument| if argument == "x" { name } else { argument });
        assert_refused(&run(folder.path(), arguments), 1);
    }
}

#[cfg(unix)]
#[test]
fn a_data_folder_that_cannot_be_made_is_refused_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "in the way").unwrap();
    for data in ["file", "file/below", "/proc/nowhere"] {
        let line = assert_refused(&run(folder.path(), ["serve", "--listen", "127.0.0.1:0", "--data-dir", data]), 1);
        assert!(line.contains(data), "{line}");
    }
    assert_eq!(fs::read_to_string(Path::new(folder.path()).join("file")).unwrap(), "in the way");
}
