//! What libFuzzer runs: [`targets`], and a limit on the memory that they take.

pub mod targets;

use std::alloc::System;

use cap::Cap;

/// How much memory a reader may take, whatever it reads; what it keeps between two inputs counts as well.
const MEMORY_LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Only Rust's memory is counted: libFuzzer keeps its inputs in C++'s.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// From now on, whoever asks for more than the limit ends the process, and so is found.
pub fn limit_memory() {
    MEMORY.set_limit(MEMORY_LIMIT_BYTES).expect("nothing was read yet");
    extern "C" fn report() {
        eprintln!("most memory at once: {} KiB", MEMORY.max_allocated() / 1024);
    }
    // SAFETY: `report` is a function that may be called at the end.
    unsafe { libc::atexit(report) };
}

/// Makes a program of a target.
#[macro_export]
macro_rules! fuzz {
    ($target:path) => {
        libfuzzer_sys::fuzz_target!(init: $crate::limit_memory(), |input: &[u8]| $target(input));
    };
}
