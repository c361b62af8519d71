use super::*;

fn path(devices: u64, bytes_of_one: u64) -> PreviewedPath {
    let devices = Devices { count: devices, examples: Vec::new() };
    let bytes = devices.count * bytes_of_one;
    PreviewedPath { packages: Vec::new(), devices, bytes, first_step_bytes: bytes }
}

#[test]
fn time_is_that_of_the_slower_of_the_rates() {
    let preview = Preview { paths: vec![path(10, 4000), path(1, 9000)], ..Preview::default() };
    let rate = |bytes: u64| (bytes > 0).then(|| ByteSize::from_bytes(bytes));
    let time = |total, device| preview.time(Rates { total: rate(total), device: rate(device) });
    assert_eq!(time(0, 0), None);
    assert_eq!(time(1000, 0), Some(Duration::from_secs(49)));
    // Side by side, whoever has the longest way is the last.
    assert_eq!(time(0, 1000), Some(Duration::from_secs(9)));
    assert_eq!(time(7000, 1000), Some(Duration::from_secs(9)));
    assert_eq!(time(1000, 1000), Some(Duration::from_secs(49)));
    assert_eq!(Preview::default().time(Rates { total: rate(1000), device: None }), Some(Duration::ZERO));
}

#[test]
fn few_devices_are_named_and_the_first_ones() {
    let [mut some, mut others] = [Devices::default(), Devices::default()];
    (1..20).step_by(2).for_each(|id| some.add(DeviceId(id)));
    (2..21).step_by(2).for_each(|id| others.add(DeviceId(id)));
    some.merge(&others);
    assert_eq!(some, Devices { count: 20, examples: (1..=5).map(DeviceId).collect() });
}
