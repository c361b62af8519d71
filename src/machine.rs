//! What the operating system says about this process. Linux says it in files of its own making, which never wait for a disk;
//! elsewhere nothing is known.

use std::fs;

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
