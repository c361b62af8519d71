//! Bundles are made and taken in. See [`crate::domain::bundle`] for what they are.

mod export;
mod import;
mod intake;
mod reader;
mod trust;

pub use export::{ExportError, Exported, export};
pub use import::{GroupReport, ImportError, Importer, PackageReport, Report};
pub use reader::{BundleError, BundleReader, SourceError};
pub use trust::{distrust, trust};
