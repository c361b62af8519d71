//! Tests from outside of the crate, in one program.

mod resolver;
