//! The browser: found, started with a profile of its own, and stopped.

use std::time::Duration;

use chromiumoxide::cdp::browser_protocol::target::{CreateBrowserContextParams, CreateTargetParams};
use chromiumoxide::{Browser as Chromium, BrowserConfig};
use futures_util::StreamExt;
use tempfile::TempDir;

use crate::tab::Tab;

/// The name of an address that browsers trust as little as any in a plant's network: it is not encrypted, nor this machine.
pub const PLAIN_HOST: &str = "gateway.test";

pub struct Browser {
    chromium: Chromium,
    _profile: TempDir,
}

impl Browser {
    /// `None` if there is none on this machine.
    pub async fn start() -> Option<Self> {
        let profile = tempfile::tempdir().unwrap();
        let config = BrowserConfig::builder()
            .new_headless_mode()
            .viewport(None)
            .user_data_dir(profile.path())
            .request_timeout(Duration::from_secs(30))
            .arg(("host-resolver-rules", format!("MAP {PLAIN_HOST} 127.0.0.1").as_str()))
            // As root, and in most containers, there is no sandbox to be had.
            .no_sandbox()
            .build();
        let config = match config {
            Ok(config) => config,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "CI must have a browser: {error}");
                eprintln!("skipped: this test needs Chromium (Debian: apt install chromium): {error}");
                return None;
            }
        };
        let (chromium, mut handler) = Chromium::launch(config).await.unwrap();
        tokio::spawn(async move { while handler.next().await.is_some() {} });
        Some(Self { chromium, _profile: profile })
    }

    /// A tab of somebody whom no server knows: with cookies of their own.
    pub async fn somebody(&self) -> Tab {
        let context = CreateBrowserContextParams::builder().build();
        let context = self.chromium.create_browser_context(context).await.unwrap();
        let target = CreateTargetParams::builder().url("about:blank").browser_context_id(context).build().unwrap();
        Tab::new(self.chromium.new_page(target).await.unwrap()).await
    }

    /// Ends it in order. Where a test fails, it is killed when dropped.
    pub async fn stop(mut self) {
        self.chromium.close().await.unwrap();
        self.chromium.wait().await.unwrap();
    }
}
