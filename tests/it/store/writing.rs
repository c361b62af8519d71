//! The one writer: what it promises to each write, and to all of them together.

use std::sync::mpsc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use serde_json::json;
use tender::domain::{Group, GroupId, GroupMetadata, PackageDescription, PackageId};
use tender::store::{Change, PackageFolder, PublishedFile, Store, StoreError, groups, packages};

use super::{Place, count};
use crate::harness::raw::{PATIENCE, eventually};

fn metadata(number: usize) -> GroupMetadata {
    GroupMetadata::parse(&json!({ "number": number }).to_string()).unwrap()
}

async fn create_group(store: &Store, number: usize) -> Result<Group, StoreError> {
    store.write(move |tx| groups::create(tx, metadata(number))).await
}

async fn list(store: &Store) -> Vec<Group> {
    store.read(groups::list).await.unwrap()
}

/// Holds the writer up until the sender is used or dropped. Returns once the writer is inside a transaction.
async fn hold_up(store: &Store) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel::<()>();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let store = store.clone();
    tokio::spawn(async move {
        let wait = move |_: &tender::store::WriteTx<'_>| {
            begun.send(()).unwrap();
            // An error means that the sender was dropped.
            let _ = released.recv_timeout(PATIENCE);
            Ok::<_, StoreError>(())
        };
        store.write(wait).await.unwrap();
    });
    has_begun.await.unwrap();
    release
}

/// How many commits the journal holds: frames that tell the size of the database after a commit (SQLite's file format,
/// section 4.1).
fn commits(place: &Place) -> usize {
    let journal = std::fs::read(place.folder.path().join("a.sqlite-wal")).unwrap();
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    let (header, frames) = journal.split_at(32);
    let (page_size, salt) = (number(&header[8..12]) as usize, &header[16..24]);
    frames.chunks_exact(24 + page_size).filter(|frame| frame[8..16] == *salt && number(&frame[4..8]) != 0).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_was_acknowledged_to_many_writers_is_there() {
    const WRITERS: usize = 16;
    const EACH: usize = 40;
    let mut place = Place::new();
    let writing: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = place.store.clone();
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0..EACH {
                    let group = create_group(&store, writer * EACH + number).await.unwrap();
                    // One's own write is seen by one's next read.
                    let id = group.id;
                    let found = store.read(move |connection| groups::find(connection, id)).await.unwrap();
                    assert_eq!(found.unwrap().metadata, group.metadata);
                    acknowledged.push(group);
                }
                acknowledged
            })
        })
        .collect();
    let reading: Vec<_> = (0..8)
        .map(|_| {
            let store = place.store.clone();
            tokio::spawn(async move {
                let mut seen = 0;
                while seen < WRITERS * EACH {
                    let now = list(&store).await.len();
                    assert!(now >= seen, "a group was there and is not any more");
                    seen = now;
                }
            })
        })
        .collect();
    let mut acknowledged: Vec<Group> = join_all(writing).await.into_iter().flat_map(|writer| writer.unwrap()).collect();
    for reader in reading {
        reader.await.unwrap();
    }
    acknowledged.sort_by_key(|group| group.id);
    assert_eq!(list(&place.store).await, acknowledged);
    place.reopen().await;
    assert_eq!(list(&place.store).await, acknowledged);
}

#[tokio::test]
async fn writes_that_wait_together_share_one_commit() {
    const WRITES: usize = 200;
    let place = Place::new();
    create_group(&place.store, 0).await.unwrap();
    let before = commits(&place);
    let release = hold_up(&place.store).await;
    // Unconstrained, or the runtime lets only some of them queue up at once.
    let mut writes = tokio::task::unconstrained(join_all((0..WRITES).map(|number| create_group(&place.store, number))));
    assert!((&mut writes).now_or_never().is_none(), "nothing is answered before its commit");
    drop(release);
    let acknowledged = writes.await.into_iter().filter(Result::is_ok).count();
    assert_eq!(acknowledged, WRITES);
    assert_eq!(commits(&place) - before, 1, "the transaction that held them up wrote nothing");
    assert_eq!(list(&place.store).await.len(), WRITES + 1);
}

#[tokio::test]
async fn a_write_that_fails_or_panics_takes_nothing_of_the_others_along() {
    let place = Place::new();
    let plans_before = place.store.generations().current(Change::Plans);
    let release = hold_up(&place.store).await;
    let fails = place.store.write(|tx| {
        let group = groups::create(tx, metadata(1_000))?;
        groups::set_policy(tx, group.id, &"no_update,".parse().unwrap())?;
        Err::<(), _>(StoreError::Unusable("changed its mind".into()))
    });
    let panics = place.store.write(|tx| {
        groups::create(tx, metadata(2_000)).unwrap();
        groups::set_policy(tx, GroupId(1), &"no_update,".parse().unwrap()).unwrap();
        if tx.now().unix_seconds() > 0 {
            panic!("on purpose, in a test");
        }
        Ok::<_, StoreError>(())
    });
    let (store, mut both) = (&place.store, Box::pin(async { tokio::join!(fails, panics) }));
    let mut others = Box::pin(async { tokio::join!(create_group(store, 1), create_group(store, 2)) });
    assert!(both.as_mut().now_or_never().is_none());
    assert!(others.as_mut().now_or_never().is_none());
    drop(release);

    let (failed, panicked) = both.await;
    assert_eq!(failed.unwrap_err().to_string(), "changed its mind");
    assert!(matches!(panicked, Err(StoreError::Abandoned)), "{panicked:?}");
    let (first, second) = others.await;
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(list(store).await, [first, second]);
    // What was undone has changed nothing that anybody derives from.
    assert_eq!(store.generations().current(Change::Plans), plans_before);
    create_group(store, 3).await.unwrap();
    assert_eq!(list(store).await.len(), 3);
}

/// A file among the packages that has no row yet.
fn published(folder: &PackageFolder) -> PublishedFile {
    let mut upload = folder.begin_upload().unwrap();
    upload.write(bytes::Bytes::from_static(b"contents")).unwrap();
    upload.finish().unwrap().publish(None).unwrap()
}

fn description() -> PackageDescription {
    let metadata = [("rdfm.software.version", "v1"), ("rdfm.hardware.devtype", "dummy")];
    PackageDescription::from_stored(metadata.into(), None).unwrap()
}

#[tokio::test]
async fn a_file_stays_only_if_its_row_was_committed() {
    let place = Place::new();
    let folder = PackageFolder::open(&place.folder.path().join("packages")).unwrap();
    let path = |file: &PublishedFile| place.folder.path().join("packages").join(file.uuid.to_string());
    let store = &place.store;

    let kept = published(&folder);
    let kept_path = path(&kept);
    let package = store.write(move |tx| packages::insert(tx, description(), kept)).await.unwrap();
    assert!(kept_path.exists());

    let failing = published(&folder);
    let failing_path = path(&failing);
    assert!(failing_path.exists());
    let result = store.write(move |tx| {
        packages::insert(tx, description(), failing)?;
        Err::<(), _>(StoreError::Abandoned)
    });
    assert!(result.await.is_err());
    assert!(!failing_path.exists(), "the row was undone");

    let panicking = published(&folder);
    let panicking_path = path(&panicking);
    let result = store.write(move |tx| {
        if packages::insert(tx, description(), panicking)?.length_bytes > 0 {
            panic!("on purpose, in a test");
        }
        Ok::<_, StoreError>(())
    });
    assert!(matches!(result.await, Err(StoreError::Abandoned)));
    // Whoever panics has answered by it; the undoing follows.
    eventually("the row was undone", || !panicking_path.exists()).await;

    // A commit that fails: the constraint is only judged then.
    place
        .beside()
        .execute_batch(
            "CREATE TABLE strict_parent (id INTEGER PRIMARY KEY) STRICT;
             CREATE TABLE strict_child (id INTEGER REFERENCES strict_parent DEFERRABLE INITIALLY DEFERRED) STRICT;
             CREATE TRIGGER spoil AFTER INSERT ON packages BEGIN INSERT INTO strict_child VALUES (1); END",
        )
        .unwrap();
    let refused = published(&folder);
    let refused_path = path(&refused);
    let result = store.write(move |tx| packages::insert(tx, description(), refused)).await;
    assert!(result.is_err(), "what is not on disk is not acknowledged");
    assert!(!refused_path.exists(), "the commit failed");
    place.beside().execute_batch("DROP TRIGGER spoil").unwrap();
    assert_eq!(count(&place.beside(), "packages"), 1);

    // Also a row without anybody who waits for it keeps its file.
    let unattended = published(&folder);
    let unattended_path = path(&unattended);
    let release = hold_up(store).await;
    let mut write = Box::pin(store.write(move |tx| packages::insert(tx, description(), unattended)));
    assert!(write.as_mut().now_or_never().is_none());
    drop(write);
    drop(release);
    create_group(store, 0).await.unwrap();
    assert_eq!(count(&place.beside(), "packages"), 2);
    assert!(unattended_path.exists());

    assert!(matches!(
        store.write(move |tx| packages::delete(tx, package.id)).await.unwrap(),
        packages::Deletion::Deleted(_)
    ));
    assert!(kept_path.exists(), "the file goes after the row, and by another hand");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_sees_one_moment() {
    let place = Place::new();
    create_group(&place.store, 0).await.unwrap();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let (looked, has_looked) = tokio::sync::oneshot::channel();
    let store = place.store.clone();
    let reading = tokio::spawn(async move {
        let look_twice = move |connection: &rusqlite::Connection| {
            let first = groups::list(connection)?.len();
            looked.send(()).unwrap();
            may_go_on.recv_timeout(PATIENCE).unwrap();
            Ok::<_, StoreError>((first, groups::list(connection)?.len()))
        };
        store.read(look_twice).await.unwrap()
    });
    has_looked.await.unwrap();
    // A reader does not hold the writer up.
    create_group(&place.store, 1).await.unwrap();
    assert_eq!(list(&place.store).await.len(), 2);
    go_on.send(()).unwrap();
    assert_eq!(reading.await.unwrap(), (1, 1));
}

#[tokio::test]
async fn a_closed_store_refuses_and_has_finished_what_was_begun() {
    let place = Place::new();
    let release = hold_up(&place.store).await;
    let mut write = Box::pin(create_group(&place.store, 1));
    assert!(write.as_mut().now_or_never().is_none());
    let mut closing = Box::pin(place.store.close());
    assert!(closing.as_mut().now_or_never().is_none());
    drop(release);
    closing.await;
    write.await.unwrap();
    assert!(matches!(create_group(&place.store, 2).await, Err(StoreError::Abandoned)));
    assert_eq!(count(&place.beside(), "groups"), 1);
}

#[tokio::test]
async fn a_change_of_several_packages_is_made_whole_or_not_at_all() {
    let place = Place::new();
    let folder = PackageFolder::open(&place.folder.path().join("packages")).unwrap();
    let file = published(&folder);
    let package = place.store.write(move |tx| packages::insert(tx, description(), file)).await.unwrap().id;
    let group = create_group(&place.store, 1).await.unwrap().id;
    place.store.write(move |tx| groups::set_packages(tx, group, &[package])).await.unwrap();
    place.time.advance(Duration::from_secs(60));
    let result = place.store.write(move |tx| groups::set_packages(tx, group, &[PackageId(99), package])).await;
    assert!(matches!(result, Err(groups::AssignmentError::NoSuchPackage(PackageId(99)))), "{result:?}");
    assert_eq!(list(&place.store).await[0].packages, [package]);
}
