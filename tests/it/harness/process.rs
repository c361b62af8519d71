//! The program itself, as a child process: its exit codes, its output, signals and sudden death.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::raw::{PATIENCE, eventually};
use super::{Anonymous, Device, Operator};

/// The program with nothing of ours in its environment; it runs in `folder`.
pub fn tender(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tender"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_ours = ["TENDER_", "RDFM_", "LISTEN_", "WATCHDOG_"].iter().any(|start| text.starts_with(start));
        if is_ours || ["STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"].contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn run<A: AsRef<OsStr>>(folder: &Path, arguments: impl IntoIterator<Item = A>) -> Output {
    let mut command = tender(folder);
    command.args(arguments);
    run_to_its_end(command)
}

/// Runs a command that was made with [`tender`] to its end.
pub fn run_to_its_end(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // A command that serves where it should refuse must not hold up the tests.
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a pause between two looks at a condition, on a thread of the test"
        )]
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().unwrap()
}

/// What a refusal looks like: its exit code, nothing on stdout, one line on stderr. Returns the line.
pub fn assert_refused(output: &Output, code: i32) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    assert_eq!(stdout, "");
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{stderr}");
    assert!(lines[0].starts_with("tender: "), "{stderr}");
    lines[0].to_owned()
}

/// A server in a process of its own. Killed when dropped.
pub struct ServerProcess {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    pub url: String,
}

impl ServerProcess {
    /// Starts with a data folder `data` below `folder`, and waits until it serves.
    pub async fn start(folder: &Path) -> Self {
        Self::start_with(folder, |command| command).await
    }

    /// The same, with more arguments or environment.
    pub async fn start_with(folder: &Path, more: impl FnOnce(&mut Command) -> &mut Command) -> Self {
        let mut command = tender(folder);
        command.args(["serve", "--data-dir", "data", "--listen", "127.0.0.1:0"]);
        more(&mut command);
        Self::launch(command).await
    }

    /// Starts a command that serves, and waits until it does.
    pub async fn launch(command: Command) -> Self {
        let (server, is_serving) = Self::launch_doubtful(command).await;
        assert!(is_serving, "the server did not start: {:?}", server.log());
        server
    }

    /// Starts a command that serves or ends, and waits until it does either; whether it serves.
    pub async fn launch_doubtful(mut command: Command) -> (Self, bool) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (stderr, lines) = (child.stderr.take().unwrap(), log.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let mut server = Self { child, log, url: String::new() };
        let log = server.log.clone();
        let address = move || {
            let log = log.lock().unwrap();
            let told = |line: &str| match serde_json::from_str::<serde_json::Value>(line) {
                Ok(line) if line["message"] == "serving" => {
                    Some([&line["scheme"], &line["address"]].map(|text| text.as_str().unwrap().to_owned()))
                }
                Ok(_) => None,
                Err(_) => {
                    let (_, told) = line.split_once("serving address=")?;
                    let scheme = if told.contains(" scheme=https") { "https" } else { "http" };
                    Some([scheme, told.split(' ').next()?].map(str::to_owned))
                }
            };
            log.iter().find_map(|line| told(line)).map(|[scheme, address]| format!("{scheme}://{address}"))
        };
        eventually("the server serves", || address().is_some() || server.child.try_wait().unwrap().is_some()).await;
        let url = address();
        let is_serving = url.is_some();
        server.url = url.unwrap_or_default();
        (server, is_serving)
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits until it has ended, in whatever way.
    pub async fn status(&mut self) -> ExitStatus {
        eventually("the server ends", || self.child.try_wait().unwrap().is_some()).await;
        self.child.wait().unwrap()
    }

    /// Waits until it has ended; its exit code. What it printed on stdout must be nothing.
    pub async fn ended(&mut self) -> Option<i32> {
        let status = self.status().await;
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        assert_eq!(stdout, "");
        status.code()
    }

    /// SIGKILL: no line of the server's own runs any more.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The most memory that it has used so far, in bytes.
    pub fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().trim().parse::<usize>().unwrap() * 1024
    }

    /// How many files and connections it has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Somebody without a token.
    pub fn anonymous(&self) -> Anonymous {
        Anonymous::new(&self.url)
    }

    /// A device that this server may know or not.
    pub fn device(&self, mac_address: &str) -> Device {
        Device::new(&self.url, mac_address)
    }

    /// Somebody with this token.
    pub fn operator(&self, token: &str) -> Operator {
        Operator::new(&self.url, token.to_owned())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a token that may do everything, as an administrator does on the machine.
pub fn create_token(folder: &Path) -> String {
    let output = run(folder, ["token", "create", "--data-dir", "data", "--name", "tests", "--scope", "rdfm_admin_rw"]);
    printed_token(&output)
}

/// The token that `tender token create` has printed.
pub fn printed_token(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stdout = str::from_utf8(&output.stdout).unwrap();
    stdout.strip_suffix('\n').expect("one line").to_owned()
}

/// All files below a package folder, without the one that says whose it is.
pub fn package_files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = files_below(folder);
    files.retain(|path| !path.ends_with(".tender"));
    files
}

/// All files below a folder.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return files };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}
