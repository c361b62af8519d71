//! What a configuration that was read again has that the running server has not.

use super::Config;

/// Options that differ, by their keys in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// Those that a running server can take over.
    pub changeable: Vec<&'static str>,
    /// Those that only a new start can.
    pub fixed: Vec<&'static str>,
}

impl Config {
    /// What `new` has that this one has not.
    pub fn difference(&self, new: &Self) -> Difference {
        // Taken apart, so that nobody can add an option without saying here what becomes of it.
        let Self {
            storage,
            host,
            port,
            plain_address,
            tls,
            certificate_look: _,
            public_url,
            download_urls,
            trusted_proxies,
            authentication_is_off,
            identity_provider,
            webhooks,
            webhook_limits: _,
            max_connections,
            downloads,
            drain_timeout,
            heartbeat: _,
            silent_after,
            storage_limits,
            upload_lifetime,
            audit_retention,
            backups,
            scrub,
            log,
            log_format,
            metrics_listen,
        } = self;
        let secret = |config: &Self| config.storage.secret.clone();
        let named = |options: &[(&'static str, bool)]| {
            options.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect()
        };
        Difference {
            changeable: named(&[
                ("download_rate", downloads.rates.usual.total != new.downloads.rates.usual.total),
                ("download_rate_device", downloads.rates.usual.device != new.downloads.rates.usual.device),
                ("download_hours", downloads.rates.hours != new.downloads.rates.hours),
                ("max_downloads", downloads.cap != new.downloads.cap),
                ("silent_after", *silent_after != new.silent_after),
                ("storage_reserve", storage_limits.reserve != new.storage_limits.reserve),
                ("max_package_size", storage_limits.package != new.storage_limits.package),
                ("max_store_size", storage_limits.store != new.storage_limits.store),
                ("upload_lifetime", *upload_lifetime != new.upload_lifetime),
                ("audit_age", audit_retention.age != new.audit_retention.age),
                ("audit_entries", audit_retention.entries != new.audit_retention.entries),
                ("scrub_rate", scrub.rate != new.scrub.rate),
                ("scrub_every", scrub.every != new.scrub.every),
                ("scrub_hours", scrub.hours != new.scrub.hours),
                ("log", *log != new.log),
            ]),
            fixed: named(&[
                ("data_dir", storage.data_folder != new.storage.data_folder),
                ("db_connstring", storage.database != new.storage.database),
                ("local_package_dir", storage.packages != new.storage.packages),
                ("the secret of tokens", secret(self) != secret(new)),
                ("listen", (host, port) != (&new.host, &new.port)),
                ("plain_listen", *plain_address != new.plain_address),
                ("tls, server_cert, server_key, tls_names", *tls != new.tls),
                ("public_url", *public_url != new.public_url),
                ("download_urls", *download_urls != new.download_urls),
                ("trusted_proxies", *trusted_proxies != new.trusted_proxies),
                ("no_api_auth", *authentication_is_off != new.authentication_is_off),
                ("the identity provider", *identity_provider != new.identity_provider),
                ("webhooks", *webhooks != new.webhooks),
                ("the backups", *backups != new.backups),
                ("max_connections", *max_connections != new.max_connections),
                ("drain_timeout", *drain_timeout != new.drain_timeout),
                ("log_format", *log_format != new.log_format),
                ("metrics_listen", *metrics_listen != new.metrics_listen),
            ]),
        }
    }
}
