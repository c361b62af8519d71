//! A preview, which decides about many devices at once, counts what is decided about each of them.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;
use tender::domain::explanation::consider;
use tender::domain::preview::{Blocked, Census};
use tender::domain::resolver::{Decision, next_step};
use tender::domain::{CheckedPackage, DeviceId, FoundDamage, PackageState};

use super::properties::{any_device, any_package, config, version};
use super::{Sketch, exactly};

/// Packages, some of them damaged.
fn any_packages() -> impl Strategy<Value = Vec<CheckedPackage>> {
    vec((any_package(), any::<bool>(), 0..4_u8), 0..=6).prop_map(|packages| {
        let packages = (1..).zip(packages).map(|(id, (mut package, requires_list, dice))| {
            package.id = id;
            // No device meets a list.
            if requires_list && dice == 0 {
                package = package.with_list("requires:board", ["a"]);
            }
            let damage = (dice == 1).then(|| FoundDamage { state: PackageState::Corrupt, detail: "so".to_owned() });
            CheckedPackage { package: package.build(), damage }
        });
        packages.collect()
    })
}

fn any_fleet() -> impl Strategy<Value = Vec<Sketch>> {
    let other_type = weighted(0.3, select(&["camera", "sensor", ""][..]));
    let device = (any_device(), other_type)
        .prop_map(|(device, other_type)| other_type.into_iter().fold(device, Sketch::device_type));
    vec(device, 0..=30)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_preview_counts_what_is_decided_about_each_device(
        packages in any_packages(),
        fleet in any_fleet(),
        target in version(),
    ) {
        let policy = exactly(target);
        let mut census = Census::new(packages.clone(), policy.clone());
        let offerable = CheckedPackage::offerable(&packages);
        let mut paths: BTreeMap<Vec<i64>, u64> = BTreeMap::new();
        let (mut up_to_date, mut unreported) = (0, 0);
        let mut blocked = BTreeSet::new();
        for (id, device) in (1..).zip(&fleet) {
            let metadata = device.metadata();
            census.count(DeviceId(id), &metadata);
            if metadata.text("rdfm.hardware.devtype") == Some("") {
                unreported += 1;
                continue;
            }
            match next_step(&metadata, &offerable, &policy) {
                Decision::UpToDate => up_to_date += 1,
                Decision::Install { path, .. } => {
                    *paths.entry(path.iter().map(|id| id.0).collect()).or_default() += 1;
                }
                Decision::NoPath { .. } => drop(blocked.insert(DeviceId(id))),
                other => prop_assert!(false, "{:?}", other),
            }
        }

        let preview = census.finish();
        prop_assert_eq!(preview.devices, fleet.len() as u64);
        prop_assert_eq!((preview.up_to_date.count, preview.unreported.count), (up_to_date, unreported));
        let previewed: BTreeMap<Vec<i64>, u64> = preview.paths.iter().map(|path| {
            (path.packages.iter().map(|id| id.0).collect(), path.devices.count)
        }).collect();
        prop_assert_eq!(&previewed, &paths);
        // Each of these packages has one byte.
        let bytes: u64 = paths.iter().map(|(path, devices)| path.len() as u64 * devices).sum();
        prop_assert_eq!((preview.bytes(), preview.first_step_bytes()), (bytes, paths.values().sum()));
        prop_assert_eq!(preview.blocked.iter().map(|blocked| blocked.devices.count).sum::<u64>(), blocked.len() as u64);
        for Blocked { devices, packages: considered } in &preview.blocked {
            prop_assert!(devices.examples.iter().all(|id| blocked.contains(id)));
            // What is shown is true of the first example.
            let first = fleet[devices.examples[0].0 as usize - 1].metadata();
            let decision = next_step(&first, &offerable, &policy);
            prop_assert_eq!(&consider(&first, &packages, &decision), considered);
        }
    }
}
