//! Fail points: named steps at which tests have the process die, so that they see what the next start finds.
//!
//! `fail_point!("publish.moved")` is nothing at all, but in the builds of `cargo test`: these have the feature `fail-points`. There
//! the environment says what happens: with `TENDER_FAIL_POINT=publish.row>write.committed=kill` the process dies at the first
//! `write.committed` after a `publish.row`. A name may be repeated, and the death is one of `kill` (SIGKILL), `abort` and `exit`.
//!
//! Each name is written at one place only. The matrix in `tests/it/crash/` has them all, and what is to be true after each.

/// Dies here, if that is what a test wants.
// Benches are built with the features of tests, and measure what is released.
#[cfg(all(feature = "fail-points", debug_assertions))]
macro_rules! fail_point {
    ($name:literal) => {
        $crate::fail_point::reach($name)
    };
}

/// Nothing.
#[cfg(not(all(feature = "fail-points", debug_assertions)))]
macro_rules! fail_point {
    ($name:literal) => {};
}

#[cfg(all(feature = "fail-points", debug_assertions))]
pub(crate) use armed::reach;

#[cfg(all(feature = "fail-points", debug_assertions))]
mod armed {
    use std::process;
    use std::sync::{LazyLock, Mutex, PoisonError};

    use rustix::process::{Signal, getpid, kill_process};

    /// What of the way to the death is still to come, the next point last.
    static WAY: LazyLock<Mutex<Vec<String>>> = LazyLock::new(|| Mutex::new(read().map_or(Vec::new(), |(way, _)| way)));
    static DEATH: LazyLock<String> = LazyLock::new(|| read().map_or(String::new(), |(_, death)| death));

    /// The way, the next point last, and the death at its end.
    fn read() -> Option<(Vec<String>, String)> {
        let text = std::env::var("TENDER_FAIL_POINT").ok()?;
        let (way, death) = text.split_once('=').expect("TENDER_FAIL_POINT is points, separated by >, then = and a death");
        Some((way.split('>').rev().map(str::to_owned).collect(), death.to_owned()))
    }

    /// A point is reached.
    pub(crate) fn reach(name: &str) {
        let mut way = WAY.lock().unwrap_or_else(PoisonError::into_inner);
        if way.pop_if(|next| next == name).is_some() && way.is_empty() {
            // Under the lock, so that whoever reaches another point meanwhile gets no further.
            die();
        }
    }

    fn die() -> ! {
        match DEATH.as_str() {
            "exit" => process::exit(86),
            "kill" => {
                // If it comes back, what follows is the end all the same.
                let _ = kill_process(getpid(), Signal::KILL);
                process::abort()
            }
            _ => process::abort(),
        }
    }
}
