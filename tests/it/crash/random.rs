//! Many at work at once, and deaths at any moment. What was acknowledged to each of them is there, each time.
//!
//! The seed decides who does what, and after how long the server dies; it is printed, and `TENDER_CRASH_SEED` gives it. When exactly
//! that is remains a matter of luck, so `TENDER_CRASH_KILLS` says how often.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::serving::registrar;
use super::site::Site;
use super::workers::{Died, Publisher, Resumer, Worker};
use crate::harness::process::{run, tender};
use crate::harness::{Operator, eventually};

/// After so many acknowledgements at most, all together, the server dies.
const LONGEST_LIFE: u32 = 20;
/// And so much later at most: in the middle of whatever comes next.
const LONGEST_LAST_MOMENT: Duration = Duration::from_millis(20);

/// What the environment gives, or this.
fn given(name: &str, otherwise: u32) -> u32 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Works until the server dies.
async fn work_until_death(
    mut worker: Worker,
    operator: Operator,
    mut random: ChaCha8Rng,
    done: Arc<AtomicU32>,
) -> Worker {
    while let Ok(()) = worker.work(&operator, random.next_u32()).await {
        done.fetch_add(1, Ordering::Relaxed);
    }
    worker
}

fn begin_backup(folder: &Path) -> Child {
    let mut command = tender(folder);
    command.args(["backup", "b.tar", "--data-dir", "data"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Those who work on a new installation.
async fn crew(site: &Site) -> Vec<Worker> {
    let server = site.start().await;
    let operator = site.operator(&server);
    let mut crew = Vec::new();
    for number in 1..=2 {
        crew.push(Worker::Publisher(Publisher::new(&format!("publisher {number}"))));
        crew.push(Worker::Resumer(Resumer::new(&format!("resumer {number}"), usize::from(number))));
        crew.push(registrar(&operator, number).await);
    }
    crew
}

/// Kills the server so many times, and checks after each.
async fn kill_at_random(kills: u32) {
    let seed = given("TENDER_CRASH_SEED", 20_260_101);
    println!("TENDER_CRASH_SEED={seed} TENDER_CRASH_KILLS={kills}");
    let mut random = ChaCha8Rng::seed_from_u64(u64::from(seed));
    let site = Site::new();
    let mut workers = crew(&site).await;
    let (done, mut backups) = (Arc::new(AtomicU32::new(0)), 0);
    let acknowledged = || done.load(Ordering::Relaxed);
    for kill in 0..kills {
        let server = site.start().await;
        println!("kill {kill}: {} acknowledged so far, {backups} backups", acknowledged());
        site.check(&server, &mut workers).await;
        if backups > 0 {
            let verified = run(site.path(), ["restore", "b.tar", "--verify"]);
            assert_eq!(verified.status.code(), Some(0), "{}", String::from_utf8_lossy(&verified.stderr));
        }
        let before = acknowledged();
        let mut backup = begin_backup(site.path());
        let working: Vec<_> = workers
            .drain(..)
            .map(|worker| {
                let random = ChaCha8Rng::seed_from_u64(random.next_u64());
                tokio::spawn(work_until_death(worker, site.operator(&server), random, done.clone()))
            })
            .collect();
        let life = random.next_u32() % LONGEST_LIFE;
        eventually("much is done", || acknowledged() >= before + life).await;
        tokio::time::sleep(LONGEST_LAST_MOMENT * (random.next_u32() % 1000) / 1000).await;
        // The backup goes on or dies with it.
        if random.next_u32().is_multiple_of(2) {
            backup.kill().unwrap();
        }
        server.kill();
        backups += u32::from(backup.wait().unwrap().success());
        for worker in working {
            workers.push(worker.await.unwrap());
        }
    }
    let server = site.start().await;
    site.check(&server, &mut workers).await;
    let operator = site.operator(&server);
    for worker in &mut workers {
        assert!(!matches!(worker.work(&operator, 1).await, Err(Died)), "it goes on");
    }
    println!("{kills} kills: {} acknowledged, {backups} backups", acknowledged());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn death_at_any_moment_under_load() {
    kill_at_random(given("TENDER_CRASH_KILLS", 25)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes some minutes: cargo test --test it -- --ignored --nocapture five_hundred"]
async fn five_hundred_deaths_under_load() {
    kill_at_random(given("TENDER_CRASH_KILLS", 500)).await;
}
