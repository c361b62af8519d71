#![doc = "placeholder"]
pub mod domain;
