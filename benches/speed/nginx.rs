//! The yardstick of downloads: nginx, as it serves files best.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// Where Debian has it, which is not on everybody's path.
const PROGRAMS: [&str; 2] = ["nginx", "/usr/sbin/nginx"];

/// The command that serves `packages` under `/local_storage/`, and the folder of its own that must outlive it; `None` if nginx
/// is not installed.
///
/// It has as many workers as tender has threads. They are root's where the benchmark is, since the packages are private; who
/// is not root cannot change users, and nginx says so and goes on.
pub fn command(packages: &Path, address: SocketAddr, workers: usize) -> Option<(Command, TempDir)> {
    let program = PROGRAMS.into_iter().find(|program| Command::new(program).arg("-v").output().is_ok())?;
    let folder = tempfile::tempdir().unwrap();
    let own = |name: &str| folder.path().join(name).display().to_string();
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = temporary.iter().map(|kind| format!("{kind}_temp_path {};\n", own(kind))).collect();
    let configuration = format!(
        "daemon off; user root root; worker_processes {workers}; pid {}; error_log stderr crit;
        events {{ worker_connections 512; }}
        http {{
            access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000000;
            {temporary}
            server {{ listen {address}; location /local_storage/ {{ alias {}/; }} }}
        }}",
        own("pid"),
        packages.display(),
    );
    let file = folder.path().join("nginx.conf");
    fs::write(&file, configuration).unwrap();
    let mut command = Command::new(program);
    command.arg("-e").arg("stderr").arg("-c").arg(file);
    Some((command, folder))
}
