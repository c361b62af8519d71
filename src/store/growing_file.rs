//! A file that an upload fills.

use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// After so much more has been written, it begins to be put on disk. At most three times as much is written and not yet on disk:
/// more is too long a wait at the end, for the upload and for whatever else wants to be on disk meanwhile.
const STEP_BYTES: u64 = 16 << 20;

/// A file that is written from here on to its end, and is put on disk while it grows.
#[derive(Debug)]
pub(super) struct GrowingFile {
    file: File,
    end: u64,
    /// Up to where it was said that it is to be put on disk.
    ordered: u64,
    /// `None` as long as the file has not grown much.
    syncing: Option<Syncing>,
}

impl GrowingFile {
    /// Goes on behind the first `end` bytes, which is where the file stands.
    pub(super) fn new(file: File, end: u64) -> Self {
        Self { file, end, ordered: end, syncing: None }
    }

    /// Appends a piece. Blocks, also while the disk is far behind.
    pub(super) fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write_all(piece)?;
        self.end += piece.len() as u64;
        if self.end - self.ordered >= STEP_BYTES {
            self.ordered = self.end;
            match &mut self.syncing {
                Some(syncing) => syncing.order(None)?,
                None => self.syncing.insert(Syncing::begin(&self.file)?).order(None)?,
            }
        }
        Ok(())
    }

    /// How many bytes it has.
    pub(super) fn length_bytes(&self) -> u64 {
        self.end
    }

    /// Puts all of it on disk. Blocks.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.ordered = self.end;
        match &mut self.syncing {
            Some(syncing) => syncing.sync(),
            None => self.file.sync_data(),
        }
    }
}

/// Puts a file on disk, on a thread of its own, so that writing goes on meanwhile. Writing to disk can be begun without waiting
/// for it, but then all of it is still in the disk's cache at the end: only what is waited for leaves that.
///
/// It is the only one that syncs the file: the kernel tells each failure once, and whoever asks next would believe that all is well.
#[derive(Debug)]
struct Syncing {
    /// Whom to tell when it is done.
    orders: SyncSender<Option<SyncSender<()>>>,
    /// `None` after it was told why it ended.
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Syncing {
    fn begin(file: &File) -> io::Result<Self> {
        let file = file.try_clone()?;
        let (orders, arriving) = sync_channel::<Option<SyncSender<()>>>(1);
        let thread = thread::Builder::new().name("upload-sync".into()).spawn(move || {
            while let Ok(first) = arriving.recv() {
                // One does for all that wait.
                let waiting: Vec<_> = [first].into_iter().chain(arriving.try_iter()).flatten().collect();
                file.sync_data()?;
                for done in waiting {
                    // Who is gone does not want to know.
                    let _ = done.send(());
                }
            }
            Ok(())
        })?;
        Ok(Self { orders, thread: Some(thread) })
    }

    /// Has all that was written so far put on disk. Blocks while the order before has not been begun.
    fn order(&mut self, done: Option<SyncSender<()>>) -> io::Result<()> {
        self.orders.send(done).map_err(|_| self.failure())
    }

    /// Puts all that was written so far on disk. Blocks.
    fn sync(&mut self) -> io::Result<()> {
        let (done, finished) = sync_channel(1);
        self.order(Some(done))?;
        finished.recv().map_err(|_| self.failure())
    }

    /// Why the thread has ended.
    fn failure(&mut self) -> io::Error {
        let ended = self.thread.take().and_then(|thread| thread.join().ok());
        ended.and_then(Result::err).unwrap_or_else(|| io::Error::other("this file could not be put on disk before"))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn what_could_not_be_put_on_disk_is_never_taken_for_written() {
        // Takes all, and cannot be put on disk.
        let nowhere = OpenOptions::new().write(true).open("/dev/null").unwrap();
        let mut file = GrowingFile::new(nowhere, 0);
        file.write(b"little").unwrap();
        assert!(file.sync().is_err());
        let much = vec![0; usize::try_from(STEP_BYTES).unwrap()];
        // Whether it is told while writing goes on is a matter of time.
        let _ = (0..4).try_for_each(|_| file.write(&much));
        assert!(file.sync().is_err());
        assert!(file.sync().is_err(), "it is not told once only");
        assert!(file.write(&much).is_err());
    }

    #[test]
    fn what_was_written_is_there() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        std::fs::write(&path, "begun, ").unwrap();
        let mut file = GrowingFile::new(OpenOptions::new().append(true).open(&path).unwrap(), 7);
        let much: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect();
        for _ in 0..3 {
            file.write(&much).unwrap();
            file.sync().unwrap();
        }
        file.write(b"done").unwrap();
        file.sync().unwrap();
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(whole.len() as u64, file.length_bytes());
        assert!(whole == [b"begun, ".as_slice(), &much, &much, &much, b"done"].concat());
    }
}
