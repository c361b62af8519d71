//! Sockets that the service manager opens and hands over (sd_listen_fds(3)).

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::harness::Anonymous;
use crate::harness::process::{ServerProcess, assert_refused, tender};
use crate::harness::raw::Raw;

/// A server that is started with descriptors from 3 on, which the shell makes of `stdin` and, if there are two, of `stdout`.
fn with_sockets(folder: &Path, names: &str, count: usize) -> Command {
    let redirect = if count == 2 { "3<&0 4<&1 >/dev/null" } else { "3<&0" };
    let script = format!("exec {redirect} </dev/null; LISTEN_PID=$$ LISTEN_FDS={count} exec \"$0\" \"$@\"");
    let program = tender(folder);
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(program.get_program()).current_dir(folder);
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    // The port of the options is one that nobody may have.
    command.args(["serve", "--data-dir", "data", "--listen", "127.0.0.1:1"]).env("LISTEN_FDNAMES", names);
    command
}

fn listener() -> (String, OwnedFd) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    (format!("http://{}", listener.local_addr().unwrap()), listener.into())
}

#[tokio::test]
async fn a_socket_that_is_handed_over_is_served_and_who_came_before_the_start_too() {
    let folder = tempfile::tempdir().unwrap();
    let (url, socket) = listener();
    let mut early = Raw::to(&url).await;
    early.send("GET /health/live HTTP/1.1\r\nHost: here\r\n\r\n").await;
    let mut command = with_sockets(folder.path(), "tender.socket", 1);
    command.stdin(Stdio::from(socket));
    let mut server = ServerProcess::launch(command).await;
    assert_eq!(server.url, url);
    assert_eq!(early.reply().await.unwrap().status, 200);
    server.anonymous().get("/health/ready").await.ok();
    server.signal("TERM");
    assert_eq!(server.ended().await, Some(0), "{}", server.log());
}

/// A child that is killed when the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn of_several_sockets_the_one_with_the_right_name_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let ((_, first), (url, second)) = (listener(), listener());
    let mut command = with_sockets(folder.path(), "other:http", 2);
    command.stdin(Stdio::from(first)).stdout(Stdio::from(second)).stderr(Stdio::piped());
    let mut server = Killed(command.spawn().unwrap());
    // Or this process keeps them open.
    drop(command);
    let mut log = BufReader::new(server.0.stderr.take().unwrap()).lines().map(Result::unwrap);
    log.find(|line| line.contains("WARN the service manager hands over more sockets than are needed sockets=1"))
        .unwrap();
    log.find(|line| line.contains(&format!("serving address={}", url.strip_prefix("http://").unwrap()))).unwrap();
    Anonymous::new(&url).get("/health/live").await.ok();
}

#[test]
fn what_is_no_socket_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = with_sockets(folder.path(), "http", 1);
    let line = assert_refused(&command.stdin(Stdio::null()).output().unwrap(), 1);
    assert!(line.contains("the socket http that the service manager hands over"), "{line}");
    assert!(!folder.path().join("data").exists());
}

#[tokio::test]
async fn sockets_of_another_process_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let server = ServerProcess::start_with(folder.path(), |command| {
        command.env("LISTEN_FDS", "1").env("LISTEN_PID", "1").env("LISTEN_FDNAMES", "http")
    });
    server.await.anonymous().get("/health/live").await.ok();
}
