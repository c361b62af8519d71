//! What the operating system says about this process, and what it lets it have. Linux says most of it in files of its own making,
//! which never wait for a disk; elsewhere these things are not known.

use std::fs;
use std::io::Read;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Memory of this process that is not swapped out, its program's own pages included.
pub fn resident_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    field(&status, "VmRSS:")?.strip_suffix(" kB")?.parse::<u64>().ok().map(|kibibytes| kibibytes * 1024)
}

/// What this process has caused to be written to disks since its start.
pub fn written_bytes() -> Option<u64> {
    let counts = fs::read_to_string("/proc/self/io").ok()?;
    field(&counts, "write_bytes:")?.parse().ok()
}

/// Has this process have as many files and connections open as the machine allows at most: the usual limit is one for programs of
/// the last century. How many that are; `None` if it is not limited.
pub fn allow_open_files() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    let before = limit.current;
    limit.current = limit.maximum;
    if setrlimit(Resource::Nofile, limit).is_ok() { limit.maximum } else { before }
}

/// What is told of each of these files at most.
const REPORTED_BYTES: u64 = 64 * 1024;
/// What the operating system says about the machine and its processes.
const REPORTED: [&str; 13] = [
    "/proc/version",
    "/etc/os-release",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/loadavg",
    "/proc/uptime",
    "/proc/pressure/io",
    "/proc/mounts",
    "/proc/diskstats",
    "/proc/self/limits",
    "/sys/fs/cgroup/memory.max",
    "/sys/class/rtc/rtc0/since_epoch",
    "/etc/timezone",
];

/// The kernel, processors, memory, disks, clock and limits of this machine, as the operating system tells them; what it does not
/// tell is left out. For people.
pub fn report() -> String {
    let mut report = String::new();
    for path in REPORTED {
        let mut text = Vec::new();
        let reading = fs::File::open(path).and_then(|file| file.take(REPORTED_BYTES).read_to_end(&mut text));
        if reading.is_ok() {
            report.push_str(&format!("\n== {path}\n{}", String::from_utf8_lossy(&text)));
        }
    }
    report
}

/// What stands behind a name at the beginning of a line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_names() {
        let counts = "rchar: 1\nwrite_bytes: 4096\ncancelled_write_bytes: 7\n";
        assert_eq!(field(counts, "write_bytes:"), Some("4096"));
        assert_eq!(field(counts, "bytes:"), None);
        assert_eq!(field("VmRSS:\t   5120 kB\n", "VmRSS:"), Some("5120 kB"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_has_memory() {
        assert!(resident_memory_bytes().is_some_and(|bytes| bytes > 100_000));
    }
}
