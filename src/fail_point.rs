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

    /// What the environment says.
    static DOOM: LazyLock<Option<Mutex<Doom>>> = LazyLock::new(|| {
        let text = std::env::var("TENDER_FAIL_POINT").ok()?;
        let (way, death) =
            text.split_once('=').expect("TENDER_FAIL_POINT is points, separated by >, then = and a death");
        let way = way.split('>').rev().map(str::to_owned).collect();
        Some(Mutex::new(Doom { way, death: death.to_owned() }))
    });

    /// How this process will die.
    struct Doom {
        /// The points that are still to be reached, the next one last.
        way: Vec<String>,
        death: String,
    }

    /// A point is reached.
    pub(crate) fn reach(name: &str) {
        let Some(doom) = &*DOOM else { return };
        let mut doom = doom.lock().unwrap_or_else(PoisonError::into_inner);
        if doom.way.pop_if(|next| next == name).is_some() && doom.way.is_empty() {
            // Under the lock, so that whoever reaches another point meanwhile gets no further.
            die(&doom.death);
        }
    }

    #[expect(clippy::disallowed_methods, reason = "nothing is to be closed")]
    fn die(death: &str) -> ! {
        match death {
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
