//! Which calls of a running program fail: the shim looks at this before each of them.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::io::Errno;

use super::log::Call;

const PATH_AT: u64 = 32;
const PATH_BYTES: usize = 64;

/// The calls that fail: a struct in a file that the shim has mapped.
pub struct Faults(File);

/// A fault.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    pub calls: &'static [Call],
    /// The first one that fails, counted from 1 on from when this is set.
    pub first: u32,
    /// Whether those after it fail, too.
    pub goes_on: bool,
    pub error: Errno,
    /// Whether a write takes half of its bytes before it fails.
    pub is_partial: bool,
    /// What the path must hold.
    pub path: &'static str,
}

impl Faults {
    /// Nothing fails.
    pub fn create(path: &Path) {
        std::fs::write(path, vec![0; usize::try_from(PATH_AT).unwrap() + PATH_BYTES]).unwrap();
    }

    pub fn of(path: &Path) -> Self {
        Self(OpenOptions::new().read(true).write(true).open(path).unwrap())
    }

    /// From now on this fails, and nothing else.
    pub fn set(&self, fault: &Fault) {
        self.clear();
        let mut path = fault.path.as_bytes().to_vec();
        path.resize(PATH_BYTES, 0);
        self.0.write_all_at(&path, PATH_AT).unwrap();
        let error = u32::try_from(fault.error.raw_os_error()).unwrap();
        let words = [fault.first, fault.goes_on.into(), error, fault.is_partial.into(), 0, 0];
        let words: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
        self.0.write_all_at(&words, 4).unwrap();
        let bit = |call: &Call| 1 << Call::ALL.iter().position(|other| other == call).unwrap();
        let kinds: u32 = fault.calls.iter().map(bit).sum();
        // Last, as it is what the shim looks at first.
        self.0.write_all_at(&kinds.to_ne_bytes(), 0).unwrap();
    }

    /// Nothing fails any more.
    pub fn clear(&self) {
        self.0.write_all_at(&[0; 4], 0).unwrap();
    }

    /// Calls of these kinds that there were since it was set.
    pub fn seen(&self) -> u32 {
        self.word(20)
    }

    /// How many of them failed.
    pub fn failed(&self) -> u32 {
        self.word(24)
    }

    fn word(&self, at: u64) -> u32 {
        let mut bytes = [0; 4];
        self.0.read_exact_at(&mut bytes, at).unwrap();
        u32::from_ne_bytes(bytes)
    }
}
