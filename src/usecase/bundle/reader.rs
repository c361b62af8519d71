//! A bundle, read as it comes. Whatever is not to the byte what the signed manifest says ends it, with the place.

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};

use super::intake::Intake;
use crate::auth::bundle_signature::is_signed_by;
use crate::domain::bundle::{
    BLOCK_BYTES, BundledPackage, END, MANIFEST, MANIFEST_LIMIT_BYTES, Manifest, SIGNATURE, SIGNATURE_BYTES, SignerKey,
    entry_header, entry_length, package_entry, padding_bytes,
};
use crate::domain::{Invalid, Sha256Digest};
use crate::store::{StagedFile, StoreError};

/// Why no more of a bundle could be had: a sentence.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// Why something is no bundle, or not a whole one.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It does not begin like one.
    #[error("this is no bundle: it does not begin with manifest.json")]
    NoBundle,
    /// It ends too early.
    #[error("the bundle is cut off: it ends after {at} bytes, in {entry}; copy it again")]
    Cut {
        /// How long it is.
        at: u64,
        /// In the middle of what.
        entry: String,
    },
    /// One byte is not what it must be.
    #[error("the bundle was damaged or changed after it was signed: byte {at}, in {entry}, is not what it must be")]
    OtherByte {
        /// Which one, counted from 0.
        at: u64,
        /// In what.
        entry: String,
    },
    /// The signature does not fit.
    #[error(
        "the bundle was damaged or changed after it was signed: the signature in bytes {signature_at} to {signature_end} does \
         not fit manifest.json in bytes {manifest_at} to {manifest_end}"
    )]
    OtherSignature {
        /// Where the signature begins.
        signature_at: u64,
        /// Its last byte.
        signature_end: u64,
        /// Where the manifest begins.
        manifest_at: u64,
        /// Its last byte.
        manifest_end: u64,
    },
    /// The bytes of a package are others.
    #[error(
        "the bundle was damaged or changed after it was signed: {entry}, bytes {from} to {to}, has the SHA-256 {found}"
    )]
    OtherContents {
        /// Which package.
        entry: String,
        /// Where it begins.
        from: u64,
        /// Its last byte.
        to: u64,
        /// What it has.
        found: Sha256Digest,
    },
    /// It goes on after its end.
    #[error("the bundle was damaged or changed after it was signed: it should end with byte {0}, and goes on")]
    Surplus(u64),
    /// The manifest is signed, and not understood.
    #[error(transparent)]
    Manifest(#[from] Invalid),
    /// It does not come.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// What was to be kept of it could not be.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A bundle whose manifest was read and whose signature fits.
pub struct BundleReader<S> {
    source: S,
    /// What has come and is not read.
    piece: Bytes,
    position: u64,
    /// Who has signed it. Whether they are trusted is not known here.
    pub signer: SignerKey,
    /// What is in it, as bytes: nobody should look into it before the signer is trusted.
    manifest: Vec<u8>,
}

impl<S: Stream<Item = Result<Bytes, SourceError>> + Unpin> BundleReader<S> {
    /// Reads the manifest and its signature.
    pub async fn open(source: S) -> Result<Self, BundleError> {
        let signer = SignerKey([0; 32]);
        let mut reader = Self { source, piece: Bytes::new(), position: 0, signer, manifest: Vec::new() };
        let mut header = [0; BLOCK_BYTES];
        let begun = reader.exactly(MANIFEST, BLOCK_BYTES).await;
        header.copy_from_slice(&begun.map_err(|error| match error {
            BundleError::Cut { .. } => BundleError::NoBundle,
            error => error,
        })?);
        let length = entry_length(&header).filter(|length| *length <= MANIFEST_LIMIT_BYTES);
        let length = length.filter(|length| header == entry_header(MANIFEST, *length)).ok_or(BundleError::NoBundle)?;
        let manifest_at = reader.position;
        let manifest = reader.exactly(MANIFEST, usize::try_from(length).unwrap_or(usize::MAX)).await?;
        reader.expect_padding(MANIFEST, length).await?;

        reader.expect(SIGNATURE, &entry_header(SIGNATURE, SIGNATURE_BYTES as u64)).await?;
        let signature_at = reader.position;
        let signed = reader.exactly(SIGNATURE, SIGNATURE_BYTES).await?;
        let (key, signature) = signed.split_at(32);
        reader.signer.0.copy_from_slice(key);
        if !is_signed_by(reader.signer, &manifest, signature) {
            return Err(BundleError::OtherSignature {
                signature_at,
                signature_end: signature_at + SIGNATURE_BYTES as u64 - 1,
                manifest_at,
                manifest_end: manifest_at + length.max(1) - 1,
            });
        }
        reader.expect_padding(SIGNATURE, SIGNATURE_BYTES as u64).await?;
        reader.manifest = manifest;
        Ok(reader)
    }

    /// How many bytes were read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// What is in it. To be called once it is known that the signer is trusted.
    pub fn manifest(&self) -> Result<Manifest, BundleError> {
        Ok(Manifest::parse(&self.manifest)?)
    }

    /// Reads the package that follows, which has this place in the manifest, and hands it on.
    pub(super) async fn read_package(
        &mut self,
        place: usize,
        package: &BundledPackage,
        mut intake: Intake,
    ) -> Result<Option<StagedFile>, BundleError> {
        let entry = package_entry(place, package.sha256);
        self.expect(&entry, &entry_header(&entry, package.length_bytes)).await?;
        let (from, mut missing) = (self.position, package.length_bytes);
        while missing > 0 {
            let piece = self.some(&entry, missing).await?;
            missing -= piece.len() as u64;
            if !intake.push(piece).await {
                break;
            }
        }
        let (found, staged) = intake.finish().await?;
        if found != package.sha256 {
            return Err(BundleError::OtherContents { entry, from, to: self.position - 1, found });
        }
        self.expect_padding(&entry, package.length_bytes).await?;
        Ok(staged)
    }

    /// Reads the end.
    pub(super) async fn finish(mut self) -> Result<(), BundleError> {
        self.expect("the end", &END).await?;
        match self.next().await? {
            None => Ok(()),
            Some(_) => Err(BundleError::Surplus(self.position - 1)),
        }
    }

    /// Reads everything that follows the manifest, and keeps nothing.
    pub async fn verify(mut self, manifest: &Manifest) -> Result<(), BundleError> {
        for (place, package) in manifest.packages.iter().enumerate() {
            self.read_package(place, package, Intake::hashing()).await?;
        }
        self.finish().await
    }

    async fn expect_padding(&mut self, entry: &str, length_bytes: u64) -> Result<(), BundleError> {
        self.expect(entry, &[0; BLOCK_BYTES][..padding_bytes(length_bytes)]).await
    }

    /// Reads what must be there.
    async fn expect(&mut self, entry: &str, expected: &[u8]) -> Result<(), BundleError> {
        let at = self.position;
        let found = self.exactly(entry, expected.len()).await?;
        match found.iter().zip(expected).position(|(found, expected)| found != expected) {
            None => Ok(()),
            Some(offset) => Err(BundleError::OtherByte { at: at + offset as u64, entry: entry.to_owned() }),
        }
    }

    async fn exactly(&mut self, entry: &str, length: usize) -> Result<Vec<u8>, BundleError> {
        let mut read = BytesMut::new();
        while read.len() < length {
            let piece = self.some(entry, (length - read.len()) as u64).await?;
            read.extend_from_slice(&piece);
        }
        Ok(read.into())
    }

    /// Something, and at most so much.
    async fn some(&mut self, entry: &str, most: u64) -> Result<Bytes, BundleError> {
        if self.piece.is_empty() {
            match self.next().await? {
                Some(piece) => self.piece = piece,
                None => return Err(BundleError::Cut { at: self.position, entry: entry.to_owned() }),
            }
        }
        let length = self.piece.len().min(usize::try_from(most).unwrap_or(usize::MAX));
        self.position += length as u64;
        Ok(self.piece.split_to(length))
    }

    /// What has come and is not read, or comes next; never empty.
    async fn next(&mut self) -> Result<Option<Bytes>, BundleError> {
        if !self.piece.is_empty() {
            return Ok(Some(std::mem::take(&mut self.piece)));
        }
        while let Some(piece) = self.source.next().await {
            let piece = piece?;
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }
}
