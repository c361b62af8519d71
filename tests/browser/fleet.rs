//! Simulated devices: those of `tender simulate`, which do with a server what real ones do.

use std::thread;

use crate::server::Server;

/// Has devices begin to ask the server to be let in. They go on until all tests are over, or with `--once` until they are up to date.
pub async fn simulate(server: &Server, arguments: &[&str]) {
    let (url, token) = (server.url(), server.token().await);
    let common = ["tender", "simulate", "--interval", "200ms", "--authorize-interval", "200ms", "--key-bits", "1024"];
    let words = common.into_iter().chain(["--server", &url, "--token", &token]).chain(arguments.iter().copied());
    let words: Vec<String> = words.map(str::to_owned).collect();
    thread::spawn(move || tender::cli::run_command_line(words));
}
