//! What of the configuration can be changed while the server runs, and how.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use crate::certificates::Certificates;
use crate::config::Config;
use crate::domain::{AuditRetention, ScrubPlan};
use crate::http::Api;
use crate::usecase::setting::Setting;

/// The settings of a running server that can be changed. Clones are the same ones.
#[derive(Clone)]
pub struct Settings {
    pub(super) api: Arc<Api>,
    pub(super) scrub: Setting<ScrubPlan>,
    pub(super) audit_retention: Setting<AuditRetention>,
    pub(super) certificates: Option<Arc<Certificates>>,
}

impl Settings {
    /// Takes over what `config` says about them. What is logged is not among them: that is the process' own.
    pub async fn apply(&self, config: &Config) {
        self.api.downloads.set_limits(config.downloads.clone());
        self.api.room.set_limits(config.storage_limits);
        self.api.uploads.set_lifetime(config.upload_lifetime);
        self.api.survey.set_silent_after(config.silent_after).await;
        self.scrub.set(config.scrub.clone());
        self.audit_retention.set(config.audit_retention);
        self.reload_certificates().await;
    }

    /// Takes up a certificate that has changed on disk, at once.
    pub async fn reload_certificates(&self) {
        let Some(certificates) = self.certificates.clone() else { return };
        if let Err(error) = spawn_blocking(move || certificates.reload()).await {
            tracing::error!(%error, "reading the certificate ended badly");
        }
    }
}
