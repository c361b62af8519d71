//! A disk as a power cut finds it: what was synced is on it, and of the rest anything may be.
//!
//! Stricter than any file system: a file's sync puts its bytes on disk and not its name, which only the sync of its directory does;
//! and without these, names, lengths and sectors reach the disk in any order or never.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::log::{Call, Record};
use super::random::Random;

/// What the disk writes as a whole.
const SECTOR_BYTES: usize = 512;

/// Files by their path, and directories, which have no bytes.
pub type Tree = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// What a power cut leaves of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Luck {
    /// Nothing.
    None,
    /// All: as when the process is killed.
    All,
    /// Names up to some moment, as a journal keeps them, and of the bytes anything.
    Journal,
    /// Anything.
    Any,
}

/// A disk, and what was written to it and not synced yet.
#[derive(Debug, Default, Clone)]
pub struct Disk {
    root: PathBuf,
    files: Vec<FileState>,
    directories: Vec<DirectoryState>,
    by_inode: HashMap<u64, usize>,
    changes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(usize),
    Directory(usize),
}

#[derive(Debug, Default, Clone)]
struct FileState {
    durable: Vec<u8>,
    /// What the program reads.
    cached: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Debug, Clone)]
struct Change {
    what: Bytes,
    /// A sync that was to put it on disk has failed: the next one passes it over.
    is_lost: bool,
}

#[derive(Debug, Clone)]
enum Bytes {
    At(usize, Vec<u8>),
    Length(usize),
    AtLeast(usize),
}

#[derive(Debug, Default, Clone)]
struct DirectoryState {
    durable: BTreeMap<String, Node>,
    pending: Vec<Entry>,
}

/// A change of names within one directory, which happens as a whole.
#[derive(Debug, Clone)]
struct Entry {
    number: u64,
    removed: Option<String>,
    added: Option<(String, Node)>,
}

impl Bytes {
    fn apply(&self, contents: &mut Vec<u8>) {
        match self {
            Self::At(offset, bytes) => {
                let end = offset + bytes.len();
                if contents.len() < end {
                    contents.resize(end, 0);
                }
                contents[*offset..end].copy_from_slice(bytes);
            }
            Self::Length(length) => contents.resize(*length, 0),
            Self::AtLeast(length) if contents.len() < *length => contents.resize(*length, 0),
            Self::AtLeast(_) => {}
        }
    }

    /// What of it may have reached the disk: some sectors, and the length or not.
    fn apply_partly(&self, contents: &mut Vec<u8>, random: &mut Random) {
        let Self::At(offset, bytes) = self else {
            if random.bool() {
                self.apply(contents);
            }
            return;
        };
        let is_longer = random.bool();
        let mut at = 0;
        while at < bytes.len() {
            let end = bytes.len().min(at + SECTOR_BYTES - (offset + at) % SECTOR_BYTES);
            let (first, last) = (offset + at, offset + end);
            if random.bool() && (is_longer || last <= contents.len()) {
                Self::At(first, bytes[at..end].to_vec()).apply(contents);
            }
            at = end;
        }
        if is_longer {
            Self::AtLeast(offset + bytes.len()).apply(contents);
        }
    }
}

impl FileState {
    fn change(&mut self, what: Bytes) {
        what.apply(&mut self.cached);
        self.pending.push(Change { what, is_lost: false });
    }

    fn sync(&mut self) {
        for change in self.pending.drain(..).filter(|change| !change.is_lost) {
            change.what.apply(&mut self.durable);
        }
    }

    fn after(&self, luck: Luck, random: &mut Random) -> Vec<u8> {
        match luck {
            Luck::None => self.durable.clone(),
            Luck::All => self.cached.clone(),
            Luck::Journal | Luck::Any => {
                let mut contents = self.durable.clone();
                self.pending.iter().for_each(|change| change.what.apply_partly(&mut contents, random));
                contents
            }
        }
    }
}

fn apply_entry(entries: &mut BTreeMap<String, Node>, entry: &Entry) {
    if let Some(name) = &entry.removed {
        entries.remove(name);
    }
    if let Some((name, node)) = &entry.added {
        entries.insert(name.clone(), *node);
    }
}

impl DirectoryState {
    fn now(&self) -> BTreeMap<String, Node> {
        let mut entries = self.durable.clone();
        self.pending.iter().for_each(|entry| apply_entry(&mut entries, entry));
        entries
    }

    fn after(&self, keeps: &mut impl FnMut(&Entry) -> bool) -> BTreeMap<String, Node> {
        let mut entries = self.durable.clone();
        self.pending.iter().filter(|entry| keeps(entry)).for_each(|entry| apply_entry(&mut entries, entry));
        entries
    }
}

impl Disk {
    /// An empty disk, which is at this path.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), directories: vec![DirectoryState::default()], ..Self::default() }
    }

    /// A disk with all that is in a folder, and nothing that is not synced.
    pub fn of(root: &Path) -> Self {
        let mut disk = Self::new(root);
        for (path, contents) in read_tree(root) {
            let path = root.join(path);
            match contents {
                None => {
                    disk.directories.push(DirectoryState::default());
                    disk.add(&path, Node::Directory(disk.directories.len() - 1));
                }
                Some(durable) => {
                    let inode = std::os::unix::fs::MetadataExt::ino(&path.metadata().unwrap());
                    disk.files.push(FileState { cached: durable.clone(), durable, pending: Vec::new() });
                    let file = disk.files.len() - 1;
                    disk.by_inode.insert(inode, file);
                    disk.add(&path, Node::File(file));
                }
            }
        }
        for directory in &mut disk.directories {
            directory.durable = directory.now();
            directory.pending.clear();
        }
        disk
    }

    /// Does what a call has done.
    pub fn apply(&mut self, record: &Record) {
        self.changes += 1;
        let offset = usize::try_from(record.offset).unwrap();
        match record.call {
            Call::Create => {
                self.files.push(FileState::default());
                let file = self.files.len() - 1;
                self.by_inode.insert(record.inode, file);
                self.add(&record.path, Node::File(file));
            }
            Call::Truncate => self.change(record, Bytes::Length(offset)),
            Call::Write => self.change(record, Bytes::At(offset, record.data.clone())),
            Call::Allocate => self.change(record, Bytes::AtLeast(offset)),
            Call::Sync => self.file(record).sync(),
            Call::LostSync => self.file(record).pending.iter_mut().for_each(|change| change.is_lost = true),
            Call::SyncDirectory => {
                if let Some(Node::Directory(directory)) = self.find(&record.path) {
                    let directory = &mut self.directories[directory];
                    directory.durable = directory.now();
                    directory.pending.clear();
                }
            }
            Call::MakeDirectory => {
                self.directories.push(DirectoryState::default());
                self.add(&record.path, Node::Directory(self.directories.len() - 1));
            }
            Call::Unlink | Call::RemoveDirectory => self.enter(&record.path, true, None),
            Call::Link => {
                let node = self.find(&record.path).expect("what is linked is there");
                self.add(&record.target, node);
            }
            Call::Rename => self.rename(&record.path, &record.target),
            Call::Socket | Call::Mark | Call::Open | Call::Map => {}
        }
    }

    /// What is there after a power cut at this moment.
    pub fn after(&self, luck: Luck, random: &mut Random) -> Tree {
        // How far the journal got.
        let first = self.directories.iter().flat_map(|directory| &directory.pending).map(|entry| entry.number).min();
        let last = first.map_or(0, |first| first + random.below(self.changes + 2 - first));
        let mut coin = random.fork();
        let mut keeps = |entry: &Entry| match luck {
            Luck::None => false,
            Luck::All => true,
            Luck::Journal => entry.number < last,
            Luck::Any => coin.bool(),
        };
        let mut tree = Tree::new();
        self.collect(0, Path::new(""), &mut keeps, luck, random, &mut tree);
        tree
    }

    fn collect(
        &self,
        directory: usize,
        path: &Path,
        keeps: &mut impl FnMut(&Entry) -> bool,
        luck: Luck,
        random: &mut Random,
        tree: &mut Tree,
    ) {
        for (name, node) in self.directories[directory].after(keeps) {
            let path = path.join(name);
            match node {
                Node::File(file) => {
                    tree.insert(path, Some(self.files[file].after(luck, random)));
                }
                Node::Directory(below) => {
                    tree.insert(path.clone(), None);
                    self.collect(below, &path, keeps, luck, random, tree);
                }
            }
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) {
        let node = self.find(from).unwrap_or_else(|| panic!("{} is to be renamed", from.display()));
        if from.parent() == to.parent() {
            let (number, removed) = (self.changes, Some(name_of(from)));
            let directory = self.parent(from);
            self.directories[directory].pending.push(Entry { number, removed, added: Some((name_of(to), node)) });
        } else {
            self.enter(from, true, None);
            self.add(to, node);
        }
    }

    fn add(&mut self, path: &Path, node: Node) {
        self.enter(path, false, Some(node));
    }

    fn enter(&mut self, path: &Path, is_removed: bool, added: Option<Node>) {
        let name = name_of(path);
        let entry = Entry {
            number: self.changes,
            removed: is_removed.then(|| name.clone()),
            added: added.map(|node| (name, node)),
        };
        let directory = self.parent(path);
        self.directories[directory].pending.push(entry);
    }

    fn change(&mut self, record: &Record, what: Bytes) {
        self.file(record).change(what);
    }

    fn file(&mut self, record: &Record) -> &mut FileState {
        let file = self.by_inode.get(&record.inode);
        &mut self.files[*file.unwrap_or_else(|| panic!("nobody has made {}", record.path.display()))]
    }

    fn parent(&self, path: &Path) -> usize {
        match self.find(path.parent().unwrap()) {
            Some(Node::Directory(directory)) => directory,
            other => panic!("{} is in {other:?}", path.display()),
        }
    }

    fn find(&self, path: &Path) -> Option<Node> {
        let below = path.strip_prefix(&self.root).unwrap();
        below.components().try_fold(Node::Directory(0), |node, component| match (node, component) {
            (Node::Directory(directory), Component::Normal(name)) => {
                self.directories[directory].now().get(name.to_str().unwrap()).copied()
            }
            _ => None,
        })
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// All that is in a folder.
pub fn read_tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let is_directory = path.is_dir();
            let contents = (!is_directory).then(|| fs::read(&path).unwrap());
            tree.insert(path.strip_prefix(root).unwrap().to_owned(), contents);
            if is_directory {
                directories.push(path);
            }
        }
    }
    tree
}

/// Makes files and directories in a folder.
pub fn write_tree(tree: &Tree, root: &Path) {
    for (path, contents) in tree {
        let path = root.join(path);
        match contents {
            None => fs::create_dir_all(&path).unwrap(),
            Some(bytes) => fs::write(&path, bytes).unwrap(),
        }
    }
}
