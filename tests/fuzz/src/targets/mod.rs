//! The readers of what comes from outside, each as a function of arbitrary bytes. They call what the server calls, and know
//! something that must be true of whatever comes out of it: breaking that is a panic.
//!
//! libFuzzer looks for such bytes (`tests/fuzz/run`); the integration tests try those that are kept in `seeds/`.

mod artifact;
mod backup;
mod bundle;
mod configuration;
mod forms;
mod headers;
mod keys;
mod packages;
mod pieces;
mod sealed;
mod values;

use tokio::runtime::{Builder, Runtime};

pub use artifact::{artifact, artifact_parts};
pub use backup::{backup, backup_parts};
pub use bundle::{bundle, bundle_signed};
pub use configuration::configuration;
pub use forms::multipart;
pub use headers::{range, tus};
pub use keys::{public_key, signature, token};
pub use packages::{metadata, requires, storage_path};
pub use sealed::sealed;
pub use values::{policy, values};

/// A target and its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 19] = [
    ("artifact", artifact),
    ("artifact_parts", artifact_parts),
    ("backup", backup),
    ("backup_parts", backup_parts),
    ("bundle", bundle),
    ("bundle_signed", bundle_signed),
    ("configuration", configuration),
    ("metadata", metadata),
    ("multipart", multipart),
    ("policy", policy),
    ("public_key", public_key),
    ("range", range),
    ("requires", requires),
    ("sealed", sealed),
    ("signature", signature),
    ("storage_path", storage_path),
    ("token", token),
    ("tus", tus),
    ("values", values),
];

/// A refusal is one sentence that a person can read: not empty, and on one line.
fn assert_sentence(refusal: &impl std::fmt::Display) {
    let sentence = refusal.to_string();
    assert!(!sentence.trim().is_empty() && !sentence.contains(['\n', '\r']), "{sentence:?}");
}

thread_local! {
    /// For what is asynchronous: time passes in it, and what blocks does so beside it.
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("there is a thread to run on");
}

fn block_on<F: Future>(future: F) -> F::Output {
    RUNTIME.with(|runtime| runtime.block_on(future))
}
