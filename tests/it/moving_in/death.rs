//! SIGKILL while it moves in.

use std::time::Duration;

use serde_json::json;

use super::{Reference, Shape};
use crate::harness::process::{ServerProcess, create_token, package_files_below, tender};

#[tokio::test]
async fn death_at_any_moment_leaves_all_or_nothing() {
    let reference = Reference::new(Shape::Earlier);
    for number in 1..=40 {
        let uuid = format!("6f7483ac-5cde-467f-acf7-{number:012}");
        reference.package(number, &uuid, None, "v1", &vec![7; 200_000]);
    }
    reference.group(1, "{}", "exact_match,v1");
    (1..=40).for_each(|package| reference.assign(1, package));
    let (mut was_cut_off, mut is_done) = (false, false);
    for round in 0_u32.. {
        assert!(round < 60, "it comes to its end");
        let data = reference.path().join("data");
        let mut child = tender(reference.path())
            .args(["import", "--data-dir", "data", "--from-reference", "reference.db", "--packages", "files"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(5 + 25 * u64::from(round))).await;
        child.kill().unwrap();
        let has_ended = child.wait().unwrap().success();
        is_done |= has_ended;
        was_cut_off |= !has_ended && !package_files_below(&data.join("packages")).is_empty();

        let token = create_token(reference.path());
        let server = ServerProcess::start(reference.path()).await;
        let operator = server.operator(&token);
        let packages = operator.get("/api/v1/packages").await.ok().as_array().unwrap().len();
        let groups = operator.get("/api/v1/groups").await.ok().as_array().unwrap().len();
        assert!([(0, 0), (40, 1)].contains(&(packages, groups)), "{packages} packages, {groups} groups");
        assert!(packages == 40 || !has_ended, "what was said to be done is done");
        assert_eq!(package_files_below(&data.join("packages")).len(), packages, "what was left over is swept");
        if packages == 40 {
            let found = operator.show_group(1).await["packages"].clone();
            assert_eq!(found, json!((1..=40).collect::<Vec<_>>()));
            is_done = true;
        }
        drop(server);
        if is_done {
            break;
        }
    }
    assert!(was_cut_off, "it was never in the middle of it");
}
