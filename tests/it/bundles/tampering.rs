//! Bundles that are not what was signed.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tender::usecase::bundle::{BundleError, BundleReader, SourceError};

use super::depot_and_plant;

/// Reads a bundle to its end, in pieces of this length.
fn read(bundle: &[u8], piece_bytes: usize) -> Result<(), BundleError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let pieces: Vec<_> = bundle.chunks(piece_bytes).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    runtime.block_on(async {
        let pieces: Vec<Result<Bytes, SourceError>> = pieces;
        let reader = BundleReader::open(futures_util::stream::iter(pieces)).await?;
        let manifest = reader.manifest()?;
        reader.verify(&manifest).await
    })
}

/// Where an error says that something is wrong: the first and the last byte.
fn place(error: &BundleError) -> (u64, u64) {
    match error {
        BundleError::NoBundle => (0, 511),
        BundleError::Cut { at, .. } | BundleError::OtherByte { at, .. } | BundleError::Surplus(at) => (*at, *at),
        BundleError::OtherSignature { manifest_at, signature_end, .. } => (*manifest_at, *signature_end),
        BundleError::OtherContents { from, to, .. } => (*from, *to),
        other => panic!("not what it is about: {other}"),
    }
}

#[tokio::test]
async fn every_byte_counts() {
    let (_depot, plant, bundle) = depot_and_plant().await;
    let whole = fs::read(&bundle).unwrap();
    let checked = tokio::task::spawn_blocking(move || {
        read(&whole, 1000).unwrap();
        let mut runner = TestRunner::new(Config { cases: 400, failure_persistence: None, ..Config::default() });
        let strategy = (0..whole.len(), 0..8_u32, 1..2000_usize);
        let result = runner.run(&strategy, |(at, bit, piece_bytes)| {
            let mut changed = whole.clone();
            changed[at] ^= 1 << bit;
            let error = read(&changed, piece_bytes).unwrap_err();
            let (from, to) = place(&error);
            prop_assert!((from..=to).contains(&(at as u64)), "byte {at}: {error}");
            let error = read(&whole[..at], piece_bytes).unwrap_err();
            prop_assert!(matches!(error, BundleError::Cut { .. } | BundleError::NoBundle), "cut at {at}: {error}");
            Ok(())
        });
        result.unwrap();
        let surplus = [whole.as_slice(), b"more"].concat();
        assert!(matches!(read(&surplus, 700), Err(BundleError::Surplus(at)) if at == whole.len() as u64 - 1));
        whole
    });
    let whole = checked.await.unwrap();

    // The server judges by itself: whoever sends it something does not have to be the program.
    let admin = plant.admin();
    for at in [600, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        let request = admin.request(reqwest::Method::POST, "/api/tender/v1/bundles").body(changed.clone());
        let sentence = admin.send(request).await.error(422);
        assert!(sentence.contains("damaged or changed after it was signed"), "{sentence}");
        let file = plant.path().join("changed");
        fs::write(&file, changed).unwrap();
        let sentence = plant.refused(Path::new(&file), &[]);
        assert!(sentence.contains("damaged or changed after it was signed"), "{sentence}");
    }
    let cut = whole[..whole.len() - 700].to_vec();
    let request = admin.request(reqwest::Method::POST, "/api/tender/v1/bundles").body(cut);
    let sentence = admin.send(request).await.error(400);
    assert!(sentence.contains("cut off"), "{sentence}");
    plant.assert_is_empty().await;
}
