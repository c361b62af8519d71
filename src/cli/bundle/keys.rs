//! `tender bundle key` and `tender bundle trust`: the key of this installation, and those of others.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, bail};

use crate::auth::bundle_signature::BundleSigner;
use crate::cli::deed::deed;
use crate::cli::installation::{Need, Place, with_installation};
use crate::domain::Action;
use crate::domain::bundle::{SignerKey, SignerName};
use crate::installation::Installation;
use crate::store::{DataFolder, audit, bundles};
use crate::usecase::bundle;

/// Makes the key of an installation that has none.
pub(super) fn generate(place: Place) -> anyhow::Result<ExitCode> {
    let folder = Installation::folder(&place.clone().storage_config()?)?;
    with_installation(place, Need::Made, async |installation: Installation| {
        let signer = folder.exclusively(|| {
            if folder.read_bundle_key()?.is_some() {
                return Ok::<_, anyhow::Error>(None);
            }
            let pem = BundleSigner::generate().context("the operating system has no random bytes for a key")?;
            folder.write_bundle_key(&pem)?;
            Ok(Some(BundleSigner::from_pem(&pem)?))
        })?;
        let Some(signer) = signer else {
            bail!("there is a key already: `tender bundle key show` prints what others know it by");
        };
        let entry = deed(Action::MakeBundleKey).done("bundle-key").with(signer.public().to_string());
        installation.store.write(move |tx| audit::append(tx, &entry)).await?;
        print(&signer)
    })
}

/// Prints what others know the key by.
pub(super) fn show(place: Place) -> anyhow::Result<ExitCode> {
    let folder = Installation::existing_folder(&place.storage_config()?)?;
    print(&signer(&folder)?)?;
    Ok(ExitCode::SUCCESS)
}

/// The key of an installation.
pub(super) fn signer(folder: &DataFolder) -> anyhow::Result<BundleSigner> {
    match folder.read_bundle_key()? {
        Some(pem) => Ok(BundleSigner::from_pem(&pem)?),
        None => bail!("there is no key to sign bundles with yet: make one by `tender bundle key generate`"),
    }
}

fn print(signer: &BundleSigner) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{}", signer.public())?;
    Ok(())
}

/// Takes the bundles of this signer from now on.
pub(super) async fn trust(installation: Installation, key: SignerKey, name: SignerName) -> anyhow::Result<()> {
    if !bundle::trust(&installation.store, key, name.clone(), deed(Action::TrustSigner)).await? {
        bail!("this key or a signer of this name is trusted already: see `tender bundle trust list`");
    }
    eprintln!("tender: bundles that are signed by \"{}\" are taken from now on", name.as_str());
    Ok(())
}

/// Lists whose bundles are taken.
pub(super) async fn list(installation: Installation) -> anyhow::Result<()> {
    let signers = installation.store.read(bundles::signers).await?;
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{:72}  {:20}  NAME", "KEY", "ADDED")?;
    for signer in signers {
        writeln!(stdout, "{:72}  {:20}  {}", signer.key.to_string(), signer.added.rfc3339(), signer.name)?;
    }
    Ok(())
}

/// Does not take the bundles of this signer any more.
pub(super) async fn distrust(installation: Installation, signer: String) -> anyhow::Result<()> {
    if !bundle::distrust(&installation.store, signer.clone(), deed(Action::DistrustSigner)).await? {
        bail!("no signer has the name or key \"{signer}\": see `tender bundle trust list`");
    }
    eprintln!("tender: bundles that are signed by \"{signer}\" are not taken any more");
    Ok(())
}
