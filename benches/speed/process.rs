//! The processes that are measured, and what the kernel says about them.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::nginx;

/// The unit of processor times in /proc, which is the same on every Linux that programs get to see.
const TICK: Duration = Duration::from_millis(10);
/// As many threads as the real server has at most.
const MAX_WORKERS: usize = 4;
const START_LIMIT: Duration = Duration::from_secs(20);

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// Has this program be measured in place of the one that was built for it.
pub fn measure_program(program: PathBuf) {
    // It is said once, before anything is measured.
    PROGRAM.set(program).unwrap();
}

fn program() -> &'static Path {
    PROGRAM.get().map_or(Path::new(env!("CARGO_BIN_EXE_tender")), PathBuf::as_path)
}

/// A server in a process of its own; ends when dropped.
pub struct Server {
    child: Child,
    /// What is deleted after it.
    folder: Option<TempDir>,
    pub address: SocketAddr,
    /// From before the process was made until it answered a request.
    pub started_in: Duration,
}

impl Server {
    /// The real program on this data folder, with nothing configured but its address.
    pub fn tender(data: &Path) -> Self {
        let mut command = Command::new(program());
        let address = free_address();
        command.args(["serve", "--log", "warn", "--listen", &address.to_string(), "--data-dir"]).arg(data);
        Self::start(command, address)
    }

    /// The same over TLS, with an authority of its own.
    pub fn tender_over_tls(data: &Path) -> Self {
        let mut command = Command::new(program());
        let address = free_address();
        command
            .args(["serve", "--log", "warn", "--tls", "auto", "--listen", &address.to_string(), "--data-dir"])
            .arg(data);
        Self::start(command, address)
    }

    /// The bare TLS acceptor, with the certificate of the server on this data folder.
    pub fn bare_tls(data: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let address = free_address();
        command.args([crate::bare_tls::ARGUMENT, &address.to_string()]).arg(data);
        Self::start(command, address)
    }

    /// The bare route: this program again, with other arguments.
    pub fn bare_route(reply: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let address = free_address();
        command.args([crate::bare_route::ARGUMENT, &address.to_string(), reply]);
        Self::start(command, address)
    }

    /// The bare sink: likewise. It writes to this folder.
    pub fn bare_sink(folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let address = free_address();
        command.args([crate::bare_sink::ARGUMENT, &address.to_string()]).arg(folder);
        Self::start(command, address)
    }

    /// nginx, serving package files; `None` if it is not installed.
    pub fn nginx(packages: &Path) -> Option<Self> {
        let address = free_address();
        let workers = available_parallelism().map_or(1, usize::from).min(MAX_WORKERS);
        let (command, folder) = nginx::command(packages, address, workers)?;
        let mut server = Self::start(command, address);
        server.folder = Some(folder);
        Some(server)
    }

    fn start(mut command: Command, address: SocketAddr) -> Self {
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if ["TENDER_", "RDFM_", "STATE_DIRECTORY"].iter().any(|prefix| name_text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        let begin = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let mut server = Self { child, folder: None, address, started_in: Duration::ZERO };
        while !answers(address) {
            assert!(begin.elapsed() < START_LIMIT, "a server did not start");
            sleep(Duration::from_micros(500));
        }
        server.started_in = begin.elapsed();
        server
    }

    /// Processor time that it used so far, workers that are processes of their own included.
    pub fn processor_time(&self) -> Duration {
        let id = self.child.id().to_string();
        let workers = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        workers.split_whitespace().chain([id.as_str()]).map(processor_time).sum()
    }

    /// Resident memory in bytes.
    pub fn resident(&self) -> u64 {
        self.status("VmRSS:")
    }

    /// The most resident memory since the start, or since [`Server::forget_peak`].
    pub fn peak(&self) -> u64 {
        self.status("VmHWM:")
    }

    /// What it has caused to be written to disk so far, in bytes.
    pub fn written(&self) -> u64 {
        written(&self.child.id().to_string())
    }

    /// Has the peak begin at what is resident now.
    pub fn forget_peak(&self) {
        fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    fn status(&self, name: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx's workers would outlive a master that is killed. It may have ended by itself, and the reason is told elsewhere.
        if self.folder.is_some() {
            let _ = Command::new("kill").arg(self.child.id().to_string()).status();
            let _ = self.child.wait();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What this process has caused to be written to disk so far, in bytes.
pub fn own_written() -> u64 {
    written("self")
}

/// As the kernel counts it.
fn written(process: &str) -> u64 {
    let io = fs::read_to_string(format!("/proc/{process}/io")).unwrap();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap()
}

/// Processor time that this process used so far.
pub fn own_processor_time() -> Duration {
    processor_time("self")
}

/// In user space and in the kernel, all threads together.
fn processor_time(process: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The second field is the name, in parentheses, and may hold spaces.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks: u32 = fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u32>().unwrap()).sum();
    TICK * ticks
}

/// An address that nobody listens on.
fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// Whether something that speaks HTTP answers; what it says does not matter.
fn answers(address: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /unknown HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut reply = [0; 5];
        stream.read_exact(&mut reply)?;
        Ok::<_, std::io::Error>(reply == *b"HTTP/")
    };
    ask().unwrap_or(false)
}
