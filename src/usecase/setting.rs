//! Settings that may change while the server runs: whoever works with one asks for it each time.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// A setting. Clones are the same one.
pub struct Setting<T>(Arc<RwLock<T>>);

impl<T: Clone> Setting<T> {
    /// With this value at first.
    pub fn new(value: T) -> Self {
        Self(Arc::new(RwLock::new(value)))
    }

    /// What holds at this moment.
    pub fn get(&self) -> T {
        // Values are only put in and copied out: no panic leaves half of one.
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Holds from now on, for everybody who asks.
    pub fn set(&self, value: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = value;
    }
}

impl<T> Clone for Setting<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: fmt::Debug> fmt::Debug for Setting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
