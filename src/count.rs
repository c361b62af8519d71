//! Numbers for the metrics: each is one relaxed atomic, and says nothing about any other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// How many there were so far.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// How many there were since this was called last.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Relaxed)
    }
}

/// How many of something there are at the moment.
#[derive(Debug, Clone, Default)]
pub struct Level(Arc<AtomicU64>);

impl Level {
    /// One more, until the returned value goes.
    pub fn enter(&self) -> Present {
        self.0.fetch_add(1, Relaxed);
        Present(self.0.clone())
    }

    /// How many there are.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One of those that a [`Level`] counts.
#[derive(Debug)]
pub struct Present(Arc<AtomicU64>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_falls_when_what_it_counts_goes() {
        let level = Level::default();
        let present = [level.enter(), level.enter()];
        assert_eq!(level.get(), 2);
        drop(present);
        assert_eq!(level.get(), 0);
    }
}
