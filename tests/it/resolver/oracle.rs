//! What the resolver should say, from the rules alone: every state that a device can get into, whole, and the distance
//! of each to the target, relaxed until nothing changes. Slow, and too plain to be wrong in the way of a clever search.

use std::collections::HashMap;

use tender::domain::{MetadataValue, keys};

use super::Sketch;

/// Whether a device that reports `state` can take `package` now.
pub fn is_installable(state: &Sketch, package: &Sketch) -> bool {
    state.get(keys::DEVICE_TYPE) == package.get(keys::DEVICE_TYPE)
        && state.get(keys::SOFTWARE_VERSION) != package.get(keys::SOFTWARE_VERSION)
        && package.fields.iter().all(|(key, required)| match key.strip_prefix("requires:") {
            Some(key) => matches!(required, MetadataValue::Text(_)) && state.get(key) == Some(required),
            None => true,
        })
}

/// Everything that can become of one device.
pub struct Oracle<'a> {
    packages: &'a [Sketch],
    /// For each state, the packages (by position) that can be installed in it and the states they lead to. The device
    /// as it stands is the first.
    steps: Vec<Vec<(usize, usize)>>,
    /// For each state, the fewest steps to the target.
    distances: Vec<Option<usize>>,
}

impl<'a> Oracle<'a> {
    pub fn new(device: &Sketch, packages: &'a [Sketch], target: &str) -> Self {
        let mut states = vec![device.clone()];
        let mut positions = HashMap::from([(device.clone(), 0)]);
        let mut steps = Vec::new();
        while let Some(state) = states.get(steps.len()).cloned() {
            let mut steps_from_here = Vec::new();
            for (package_position, package) in packages.iter().enumerate() {
                if is_installable(&state, package) {
                    let mut next = state.clone();
                    next.install(package);
                    let position = *positions.entry(next.clone()).or_insert_with(|| {
                        states.push(next);
                        states.len() - 1
                    });
                    steps_from_here.push((package_position, position));
                }
            }
            steps.push(steps_from_here);
        }

        let is_at_target = |state: &Sketch| state.get(keys::SOFTWARE_VERSION) == Some(&target.into());
        let mut distances: Vec<_> = states.iter().map(|state| is_at_target(state).then_some(0)).collect();
        loop {
            let before = distances.clone();
            for (state, steps) in steps.iter().enumerate() {
                for &(_, next) in steps {
                    if let Some(beyond) = distances[next] {
                        distances[state] = Some(distances[state].unwrap_or(usize::MAX).min(beyond + 1));
                    }
                }
            }
            if distances == before {
                return Self { packages, steps, distances };
            }
        }
    }

    /// The fewest steps from the device to the target; `None` if there is no way.
    pub fn distance(&self) -> Option<usize> {
        self.distances[0]
    }

    /// Every shortest path, as package identifiers; first the one whose packages were assigned first.
    pub fn shortest_paths(&self) -> Vec<Vec<i64>> {
        let mut paths = Vec::new();
        self.extend_paths(0, &mut Vec::new(), &mut paths);
        paths
    }

    fn extend_paths(&self, state: usize, path: &mut Vec<i64>, paths: &mut Vec<Vec<i64>>) {
        match self.distances[state] {
            None => {}
            Some(0) => paths.push(path.clone()),
            Some(distance) => {
                for &(package, next) in &self.steps[state] {
                    if self.distances[next] == Some(distance - 1) {
                        path.push(self.packages[package].id);
                        self.extend_paths(next, path, paths);
                        path.pop();
                    }
                }
            }
        }
    }
}
