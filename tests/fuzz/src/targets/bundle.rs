//! The reader of bundles.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tender::auth::bundle_signature::BundleSigner;
use tender::domain::bundle::{
    BundledPackage, END, MANIFEST, Manifest, SIGNATURE, SIGNATURE_BYTES, entry_header, package_entry, padding_bytes,
};
use tender::domain::{Metadata, PackageDescription, Sha256Digest, Timestamp};
use tender::usecase::bundle::{BundleError, BundleReader, SourceError};
use uuid::Uuid;

use super::pieces::Pieces;
use super::{assert_sentence, block_on};

/// RFC 8410, section 10.3.
pub(super) const SIGNER: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC
-----END PRIVATE KEY-----
";
/// What comes between two parts of an input.
const SEPARATOR: u8 = 0xff;
const MOST_PACKAGES: usize = 6;

/// A bundle as it comes from a medium or a client.
pub fn bundle(input: &[u8]) {
    let Some(pieces) = Pieces::of(input) else { return };
    let _ = read(pieces);
}

/// A bundle with a right signature: of a manifest that is in the input, or of one that is right with packages that are in the
/// input. One bit of the latter is another, if the input says so: then it must be refused, with the right place.
pub fn bundle_signed(input: &[u8]) {
    let Some((pieces, rest)) = Pieces::of(input).and_then(|pieces| Some((pieces, pieces.bytes.split_first_chunk()?)))
    else {
        return;
    };
    let (&[high, low, bit], parts) = rest;
    if bit == u8::MAX {
        let mut parts = parts.splitn(2, |byte| *byte == SEPARATOR);
        let mut bundle = signed(parts.next().unwrap_or_default());
        bundle.extend_from_slice(parts.next().unwrap_or_default());
        if let Err(BundleError::OtherSignature { .. }) = read(pieces.with(&bundle)) {
            panic!("the signature is right");
        }
        return;
    }
    let Some((manifest, contents)) = manifest_of(parts) else { return };
    let json = manifest.to_json().expect("it can be written");
    assert_eq!(Manifest::parse(&json).as_ref(), Ok(&manifest));
    let mut bundle = signed(&json);
    for (place, (package, contents)) in manifest.packages.iter().zip(contents).enumerate() {
        append(&mut bundle, &package_entry(place, package.sha256), contents);
    }
    bundle.extend_from_slice(&END);

    let at = usize::from(u16::from_be_bytes([high, low]));
    let is_changed = bit < 8 && at < bundle.len();
    if is_changed {
        bundle[at] ^= 1 << bit;
    }
    match read(pieces.with(&bundle)) {
        Ok(()) => assert!(!is_changed, "a change of byte {at} was not noticed"),
        Err(error) => {
            assert!(is_changed, "it is as it was signed: {error}");
            let (from, to) = place(&error).unwrap_or_else(|| panic!("byte {at} was changed: {error}"));
            assert!((from..=to).contains(&(at as u64)), "byte {at} was changed: {error}");
        }
    }
}

fn read(pieces: Pieces<'_>) -> Result<(), BundleError> {
    let pieces: Vec<Result<Bytes, SourceError>> =
        pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    let read = block_on(async {
        let reader = BundleReader::open(futures_util::stream::iter(pieces)).await?;
        let manifest = reader.manifest()?;
        reader.verify(&manifest).await
    });
    read.inspect_err(assert_sentence)
}

/// Where an error says that something is wrong: the first and the last byte.
fn place(error: &BundleError) -> Option<(u64, u64)> {
    match error {
        BundleError::NoBundle => Some((0, 511)),
        BundleError::Cut { at, .. } | BundleError::OtherByte { at, .. } | BundleError::Surplus(at) => Some((*at, *at)),
        BundleError::OtherSignature { manifest_at, signature_end, .. } => Some((*manifest_at, *signature_end)),
        BundleError::OtherContents { from, to, .. } => Some((*from, *to)),
        BundleError::Manifest(_) | BundleError::Source(_) | BundleError::Store(_) => None,
    }
}

fn signed(manifest: &[u8]) -> Vec<u8> {
    let signer = BundleSigner::from_pem(SIGNER).expect("it is a key");
    let mut bundle = Vec::new();
    append(&mut bundle, MANIFEST, manifest);
    let signature = [&signer.public().0[..], &signer.sign(manifest)].concat();
    assert_eq!(signature.len(), SIGNATURE_BYTES);
    append(&mut bundle, SIGNATURE, &signature);
    bundle
}

fn append(bundle: &mut Vec<u8>, name: &str, contents: &[u8]) {
    bundle.extend_from_slice(&entry_header(name, contents.len() as u64));
    bundle.extend_from_slice(contents);
    bundle.extend_from_slice(&END[..padding_bytes(contents.len() as u64)]);
}

/// A manifest of packages, and what they are.
fn manifest_of(parts: &[u8]) -> Option<(Manifest, Vec<&[u8]>)> {
    let mut parts = parts.split(|byte| *byte == SEPARATOR);
    let mut manifest = Manifest {
        id: Uuid::from_u128(1),
        created: Timestamp::from_unix_seconds(1_800_000_000),
        packages: Vec::new(),
        groups: Vec::new(),
    };
    let mut all = Vec::new();
    while let (Some(metadata), Some(contents)) = (parts.next(), parts.next()) {
        let metadata: Metadata = serde_json::from_slice(metadata).ok()?;
        if contents.is_empty() || all.len() == MOST_PACKAGES {
            return None;
        }
        manifest.packages.push(BundledPackage {
            sha256: Sha256Digest(Sha256::digest(contents).into()),
            length_bytes: contents.len() as u64,
            description: PackageDescription::from_stored(metadata, None).ok()?,
        });
        all.push(contents);
    }
    Some((manifest, all))
}
