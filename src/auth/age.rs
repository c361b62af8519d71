//! Streams that a passphrase closes and opens, in the format of age (<https://age-encryption.org/v1>): one recipient of the
//! type `scrypt`, so that `age --decrypt` opens what [`Sealer`] has written, and [`Opener`] what `age --passphrase` has.
//!
//! A stream is sealed in chunks, each with its number and whether it is the last: none can be changed, moved, left out or cut
//! off without being noticed before its bytes are handed out.

use std::io::{self, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use super::Secret;

/// The first line of every file of this format.
pub const FIRST_LINE: &[u8] = b"age-encryption.org/v1\n";

/// What trying one passphrase costs: 2 to this power kibibytes of memory, and a tenth of a second. More memory than 32 MiB a
/// gateway may not have to spare.
const WORK: u8 = 15;
/// What others may have chosen, at most: 1 GiB.
const MOST_WORK: u8 = 20;

const SALT_LABEL: &[u8] = b"age-encryption.org/v1/scrypt";
const SALT_BYTES: usize = 16;
const FILE_KEY_BYTES: usize = 16;
const NONCE_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const CHUNK_BYTES: usize = 64 * 1024;
const SEALED_CHUNK_BYTES: usize = CHUNK_BYTES + TAG_BYTES;
/// Files for one passphrase have some 200 bytes before what is sealed.
const LONGEST_HEADER_BYTES: usize = 4096;
const STANZA_END: &str = "---";

/// Why a stream cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgeError {
    /// Another passphrase has closed it.
    #[error("this is not the passphrase that it was encrypted with")]
    WrongPassphrase,
    /// It is for the holder of a key.
    #[error("it is encrypted for a key and not with a passphrase: decrypt it with age first")]
    NotForPassphrase,
    /// Whoever closed it wants more memory for each try than there should be.
    #[error("opening it would take more than 1 GiB of memory: decrypt it with age first")]
    TooMuchWork,
    /// It was changed or cut off.
    #[error("the encrypted file is damaged or cut off")]
    Damaged,
}

impl From<AgeError> for io::Error {
    fn from(error: AgeError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

/// Seals what is written to it. Without [`Sealer::finish`] it cannot be opened to its end.
pub struct Sealer<W> {
    output: W,
    chunks: Chunks,
    pending: Vec<u8>,
}

impl<W: Write> Sealer<W> {
    /// Writes the header. Takes a tenth of a second and 32 MiB of memory.
    pub fn new(mut output: W, passphrase: &Secret) -> io::Result<Self> {
        let mut salt = [0; SALT_BYTES];
        let mut file_key = Zeroizing::new([0; FILE_KEY_BYTES]);
        let mut nonce = [0; NONCE_BYTES];
        for random in [&mut salt[..], &mut file_key[..], &mut nonce[..]] {
            getrandom::fill(random).map_err(io::Error::other)?;
        }
        let mut wrapped = file_key.to_vec();
        let wrapping = wrapping_key(passphrase, &salt, WORK)?;
        seal(&wrapping, [0; NONCE_LEN], &mut wrapped)?;
        let mut header = FIRST_LINE.to_vec();
        let (salt, wrapped) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(wrapped));
        header.extend(format!("-> scrypt {salt} {WORK}\n{wrapped}\n{STANZA_END}").as_bytes());
        let tag = hmac::sign(&header_key(&file_key), &header);
        header.extend(format!(" {}\n", STANDARD_NO_PAD.encode(tag)).as_bytes());
        output.write_all(&header)?;
        output.write_all(&nonce)?;
        Ok(Self { output, chunks: Chunks::new(&file_key, &nonce), pending: Vec::with_capacity(SEALED_CHUNK_BYTES) })
    }

    /// Writes the last chunk, and gives back where everything was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.write_chunk(true)?;
        Ok(self.output)
    }

    fn write_chunk(&mut self, is_last: bool) -> io::Result<()> {
        let nonce = self.chunks.nonce(is_last);
        seal(&self.chunks.key, nonce, &mut self.pending)?;
        self.output.write_all(&self.pending)?;
        self.pending.clear();
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits until there is more: it may be the last.
        if self.pending.len() == CHUNK_BYTES && !bytes.is_empty() {
            self.write_chunk(false)?;
        }
        let taken = bytes.len().min(CHUNK_BYTES - self.pending.len());
        self.pending.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Opens what was sealed. Its end is only reached if nothing is missing and nothing follows.
pub struct Opener<R> {
    input: R,
    chunks: Chunks,
    /// The next chunk, still sealed.
    sealed: Vec<u8>,
    opened: Vec<u8>,
    position: usize,
    is_at_end: bool,
}

impl<R: Read> Opener<R> {
    /// Reads the header. The inner error says why this passphrase does not open it.
    pub fn new(mut input: R, passphrase: &Secret) -> io::Result<Result<Self, AgeError>> {
        let Some(header) = read_header(&mut input)? else { return Ok(Err(AgeError::Damaged)) };
        let file_key = match open_header(&header, passphrase) {
            Ok(file_key) => file_key,
            Err(error) => return Ok(Err(error)),
        };
        let mut nonce = [0; NONCE_BYTES];
        if fill(&mut input, &mut nonce)? < NONCE_BYTES {
            return Ok(Err(AgeError::Damaged));
        }
        let chunks = Chunks::new(&file_key, &nonce);
        let mut opener = Self { input, chunks, sealed: Vec::new(), opened: Vec::new(), position: 0, is_at_end: false };
        opener.sealed = opener.read_chunk()?;
        Ok(Ok(opener))
    }

    fn read_chunk(&mut self) -> io::Result<Vec<u8>> {
        let mut chunk = vec![0; SEALED_CHUNK_BYTES];
        let length = fill(&mut self.input, &mut chunk)?;
        chunk.truncate(length);
        Ok(chunk)
    }

    fn open_chunk(&mut self) -> io::Result<()> {
        let mut chunk = std::mem::take(&mut self.sealed);
        // What follows tells whether this one is the last.
        if chunk.len() == SEALED_CHUNK_BYTES {
            self.sealed = self.read_chunk()?;
        }
        self.is_at_end = self.sealed.is_empty();
        let is_first = self.chunks.number == 0;
        let nonce = Nonce::assume_unique_for_key(self.chunks.nonce(self.is_at_end));
        let opened = self.chunks.key.open_in_place(nonce, Aad::empty(), &mut chunk).map_err(|_| AgeError::Damaged)?;
        let length = opened.len();
        // Only a stream of nothing ends with an empty chunk.
        if length == 0 && !is_first {
            return Err(AgeError::Damaged.into());
        }
        chunk.truncate(length);
        (self.opened, self.position) = (chunk, 0);
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.position == self.opened.len() && !self.is_at_end {
            self.open_chunk()?;
        }
        let rest = &self.opened[self.position..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.position += length;
        Ok(length)
    }
}

/// The key of a stream, and the number of its next chunk.
struct Chunks {
    key: LessSafeKey,
    number: u64,
}

impl Chunks {
    fn new(file_key: &[u8; FILE_KEY_BYTES], nonce: &[u8; NONCE_BYTES]) -> Self {
        Self { key: cipher(&derive(file_key, nonce, b"payload")), number: 0 }
    }

    /// The nonce of the next chunk: eleven bytes of its number, and one that says whether it is the last.
    fn nonce(&mut self, is_last: bool) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce[NONCE_LEN - 9..NONCE_LEN - 1].copy_from_slice(&self.number.to_be_bytes());
        nonce[NONCE_LEN - 1] = u8::from(is_last);
        self.number += 1;
        nonce
    }
}

/// The lines up to the one that begins with `---`; `None` if they do not come to an end.
fn read_header(input: &mut impl Read) -> io::Result<Option<String>> {
    let (mut header, mut byte) = (Vec::new(), [0]);
    let mut line_start = 0;
    while header.len() < LONGEST_HEADER_BYTES && fill(input, &mut byte)? == 1 {
        header.push(byte[0]);
        if byte[0] == b'\n' {
            if header[line_start..].starts_with(STANZA_END.as_bytes()) {
                return Ok(String::from_utf8(header).ok());
            }
            line_start = header.len();
        }
    }
    Ok(None)
}

fn open_header(header: &str, passphrase: &Secret) -> Result<Zeroizing<[u8; FILE_KEY_BYTES]>, AgeError> {
    let lines: Vec<&str> = header.lines().collect();
    let [_, stanza, wrapped, end] = lines[..] else { return Err(AgeError::NotForPassphrase) };
    let words: Vec<&str> = stanza.split(' ').collect();
    let ["->", "scrypt", salt, work] = words[..] else { return Err(AgeError::NotForPassphrase) };
    let decode = |text: &str| STANDARD_NO_PAD.decode(text).map_err(|_| AgeError::Damaged);
    let salt = decode(salt)?;
    let work: u8 = work.parse().map_err(|_| AgeError::Damaged)?;
    if salt.len() != SALT_BYTES || work == 0 || !stanza.ends_with(&format!(" {work}")) {
        return Err(AgeError::Damaged);
    }
    if work > MOST_WORK {
        return Err(AgeError::TooMuchWork);
    }
    let mut wrapped = decode(wrapped)?;
    if wrapped.len() != FILE_KEY_BYTES + TAG_BYTES {
        return Err(AgeError::Damaged);
    }
    let wrapping = wrapping_key(passphrase, &salt, work).map_err(|_| AgeError::Damaged)?;
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    let opened = wrapping.open_in_place(nonce, Aad::empty(), &mut wrapped).map_err(|_| AgeError::WrongPassphrase)?;
    let mut file_key = Zeroizing::new([0; FILE_KEY_BYTES]);
    file_key.copy_from_slice(opened);
    let tag = decode(end.strip_prefix("--- ").ok_or(AgeError::Damaged)?)?;
    let signed = header.rfind(STANZA_END).map_or(header, |end| &header[..end + STANZA_END.len()]);
    // The tag may hold no dashes: base64 has none.
    hmac::verify(&header_key(&file_key), signed.as_bytes(), &tag).map_err(|_| AgeError::Damaged)?;
    Ok(file_key)
}

fn wrapping_key(passphrase: &Secret, salt: &[u8], work: u8) -> io::Result<LessSafeKey> {
    let salt = [SALT_LABEL, salt].concat();
    let parameters = scrypt::Params::new(work, 8, 1, 32).map_err(io::Error::other)?;
    let mut key = Zeroizing::new([0; 32]);
    scrypt::scrypt(passphrase.reveal().as_bytes(), &salt, &parameters, &mut *key).map_err(io::Error::other)?;
    Ok(cipher(&key))
}

fn header_key(file_key: &[u8; FILE_KEY_BYTES]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, &*derive(file_key, &[], b"header"))
}

/// HKDF-SHA-256 (RFC 5869).
fn derive(file_key: &[u8; FILE_KEY_BYTES], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(file_key);
    let info = [info];
    extracted
        .expand(&info, hkdf::HKDF_SHA256)
        .and_then(|expanded| expanded.fill(&mut *key))
        .expect("HKDF-SHA-256 gives up to 8160 bytes");
    key
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("ChaCha20 takes keys of 32 bytes"))
}

fn seal(key: &LessSafeKey, nonce: [u8; NONCE_LEN], bytes: &mut Vec<u8>) -> io::Result<()> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::empty(), bytes).map_err(|_| io::Error::other("could not encrypt"))
}

/// Reads until the buffer is full or the input at its end; how much was read.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match input.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::parse(text).unwrap()
    }

    fn sealed(contents: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::new(Vec::new(), &secret("a passphrase")).unwrap();
        sealer.write_all(contents).unwrap();
        sealer.finish().unwrap()
    }

    fn opened(sealed: &[u8], passphrase: &str) -> Option<Vec<u8>> {
        let mut contents = Vec::new();
        let mut opener = Opener::new(sealed, &secret(passphrase)).unwrap().ok()?;
        opener.read_to_end(&mut contents).ok()?;
        Some(contents)
    }

    #[test]
    fn what_was_sealed_is_opened_with_the_passphrase_alone() {
        for length in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES] {
            let contents: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            assert_eq!(opened(&sealed(&contents), "a passphrase"), Some(contents), "{length}");
        }
        let closed = sealed(b"contents");
        let error = Opener::new(&closed[..], &secret("another")).unwrap().err();
        assert_eq!(error, Some(AgeError::WrongPassphrase));
    }

    #[test]
    fn what_the_program_age_has_encrypted_is_opened() {
        let closed = include_bytes!("age/by_age.age");
        assert_eq!(opened(closed, "correct horse battery").as_deref(), Some(&b"written by age\n"[..]));
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let closed = sealed(&[7; 100]);
        // Each try of a header costs a tenth of a second: of its bytes only some.
        let header = closed.len() - 100 - TAG_BYTES - NONCE_BYTES;
        for index in (0..header).step_by(17).chain((header..closed.len()).step_by(9)) {
            let mut changed = closed.clone();
            changed[index] ^= 1;
            assert_eq!(opened(&changed, "a passphrase"), None, "byte {index}");
        }
        for end in [0, 10, header, header + NONCE_BYTES, closed.len() - 1] {
            assert_eq!(opened(&closed[..end], "a passphrase"), None, "cut at {end}");
        }
        assert_eq!(opened(&[&closed[..], b"x"].concat(), "a passphrase"), None, "something follows");
        // Without its last chunk, and with two chunks swapped.
        let closed = sealed(&vec![7; 3 * CHUNK_BYTES]);
        let start = closed.len() - 3 * SEALED_CHUNK_BYTES;
        assert_eq!(opened(&closed[..start + 2 * SEALED_CHUNK_BYTES], "a passphrase"), None);
        let (first, second) = closed[start..].split_at(SEALED_CHUNK_BYTES);
        let swapped = [&closed[..start], &second[..SEALED_CHUNK_BYTES], first, &second[SEALED_CHUNK_BYTES..]].concat();
        assert_eq!(opened(&swapped, "a passphrase"), None);
    }

    #[test]
    fn files_for_keys_and_for_giants_are_refused_with_a_reason() {
        let refusal = |header: &str| Opener::new(header.as_bytes(), &secret("x")).unwrap().err().unwrap();
        let body = "A".repeat(43);
        let for_key = format!("age-encryption.org/v1\n-> X25519 {body}\n{body}\n--- {body}\n");
        assert_eq!(refusal(&for_key), AgeError::NotForPassphrase);
        let huge = format!("age-encryption.org/v1\n-> scrypt {} 30\n{body}\n--- {body}\n", "A".repeat(22));
        assert_eq!(refusal(&huge), AgeError::TooMuchWork);
        assert_eq!(refusal(&"x".repeat(5000)), AgeError::Damaged);
    }
}
