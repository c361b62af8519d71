//! Backups that a passphrase has closed.

use std::io::Read;

use tender::auth::Secret;
use tender::usecase::restore::{RestoreError, open_backup};

use super::assert_sentence;
use super::pieces::Pieces;

/// Files that say that trying a passphrase takes more than a moment are left out: that is so by design.
const MOST_WORK: u32 = 6;

/// A file in the format of age. The passphrase of those that are kept is `fuzz`.
pub fn sealed(input: &[u8]) {
    let Some(pieces) = Pieces::of(input) else { return };
    let stanza = pieces.bytes.split(|byte| *byte == b'\n').nth(1).unwrap_or_default();
    let work = stanza.rsplit(|byte| *byte == b' ').next().and_then(|work| str::from_utf8(work).ok());
    if work.and_then(|work| work.parse::<u32>().ok()).is_some_and(|work| (MOST_WORK + 1..=20).contains(&work)) {
        return;
    }
    let open = |input: &mut dyn Read| -> Result<Vec<u8>, String> {
        let passphrase = || Ok::<_, RestoreError>(Secret::parse("fuzz").expect("it is not empty"));
        let mut opened = open_backup(input, passphrase).map_err(|error| {
            assert_sentence(&error);
            error.to_string()
        })?;
        let mut contents = Vec::new();
        opened.read_to_end(&mut contents).map(|_| contents).map_err(|error| error.to_string())
    };
    assert_eq!(open(&mut pieces.file()), open(&mut &*pieces.bytes), "it depends on how the file is read");
}
