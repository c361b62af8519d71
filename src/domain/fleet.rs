//! How each device of the fleet is, in one word, and how many are so.
//!
//! Devices are shown one by one and none is kept: what is counted is small, however large the fleet is.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::named::named;
use super::resolver::Outcome;
use super::{GroupId, Metadata, keys};

/// After how long a device counts as silent, if nobody says otherwise: the usual client asks every 15 minutes.
pub const DEFAULT_SILENT_AFTER: Duration = Duration::from_secs(60 * 60);
/// How many versions and types an overview names; the rest is counted together.
const NAMED: usize = 20;

named! {
    /// How a device is: the first of these that holds.
    DeviceState, "state":
    /// It was offered a package, and nothing has come of that yet.
    Updating = "updating",
    /// A package that it is still to install has failed on it.
    Failing = "failing",
    /// It was not heard for long, or never.
    Silent = "silent",
    /// Its group has a target, and no way is known that leads there.
    Blocked = "blocked",
    /// There is a way, and nothing has begun: it has not asked, or something holds it back for a while.
    Waiting = "waiting",
    /// It runs what its group's policy names.
    UpToDate = "up_to_date",
    /// It is in no group, the policy wants nothing of it, or it does not report what an update check needs.
    NoTarget = "no_target",
}

/// What packages and policy of its group mean for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prospect {
    /// It is to stay as it is.
    NoTarget,
    /// It runs what it is to run.
    UpToDate,
    /// It is to run something else, and nothing leads there.
    Blocked,
    /// It is to run something else, and there is a way.
    Path,
}

impl From<&Outcome> for Prospect {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::NoTarget => Self::NoTarget,
            Outcome::UpToDate => Self::UpToDate,
            Outcome::NoPath | Outcome::SearchTooLarge => Self::Blocked,
            Outcome::Install(_) => Self::Path,
        }
    }
}

/// What decides how a device is.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances {
    /// Whether an attempt of its goes on.
    pub is_updating: bool,
    /// Whether a package of its way has failed on it.
    pub has_failed: bool,
    /// Whether it was not heard for long.
    pub is_silent: bool,
    /// What is to become of it.
    pub prospect: Prospect,
}

impl DeviceState {
    /// How a device is.
    pub fn of(circumstances: Circumstances) -> Self {
        match circumstances {
            Circumstances { is_updating: true, .. } => Self::Updating,
            Circumstances { has_failed: true, .. } => Self::Failing,
            Circumstances { is_silent: true, .. } => Self::Silent,
            Circumstances { prospect: Prospect::Blocked, .. } => Self::Blocked,
            Circumstances { prospect: Prospect::Path, .. } => Self::Waiting,
            Circumstances { prospect: Prospect::UpToDate, .. } => Self::UpToDate,
            Circumstances { prospect: Prospect::NoTarget, .. } => Self::NoTarget,
        }
    }
}

/// How many devices are how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateCounts(BTreeMap<DeviceState, u64>);

impl StateCounts {
    fn add(&mut self, state: DeviceState) {
        *self.0.entry(state).or_default() += 1;
    }

    /// How many are so.
    pub fn of(&self, state: DeviceState) -> u64 {
        self.0.get(&state).copied().unwrap_or_default()
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// How many devices report which text under some key: those of most devices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranking {
    /// The text (`None`: they report none) and how many devices, most first.
    pub first: Vec<(Option<String>, u64)>,
    /// How many devices report any other.
    pub others: u64,
}

impl Ranking {
    fn of(Texts { counts, without }: Texts) -> Self {
        let mut first: Vec<_> = counts.into_iter().map(|(text, count)| (Some(text), count)).collect();
        first.extend((without > 0).then_some((None, without)));
        first.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then_with(|| a.cmp(b)));
        let others = first.iter().skip(NAMED).map(|(_, count)| count).sum();
        first.truncate(NAMED);
        Self { first, others }
    }
}

/// The fleet in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overview {
    /// How all devices are.
    pub states: StateCounts,
    /// What they run.
    pub versions: Ranking,
    /// What they are.
    pub types: Ranking,
    /// The same of each group that has any; `None`: those in no group.
    pub groups: BTreeMap<Option<GroupId>, GroupOverview>,
}

/// The devices of a group in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GroupOverview {
    /// How they are.
    pub states: StateCounts,
    /// What they run.
    pub versions: Ranking,
}

/// Counts the devices of the fleet.
#[derive(Debug, Default)]
pub struct RollCall {
    states: StateCounts,
    versions: Texts,
    types: Texts,
    groups: BTreeMap<Option<GroupId>, GroupRollCall>,
}

#[derive(Debug, Default)]
struct GroupRollCall {
    states: StateCounts,
    versions: Texts,
}

/// How many devices report which text under some key.
#[derive(Debug, Default)]
struct Texts {
    counts: HashMap<String, u64>,
    /// How many report none.
    without: u64,
}

impl Texts {
    fn count(&mut self, text: Option<&str>) {
        let Some(text) = text else { return self.without += 1 };
        // Most devices report what others do.
        match self.counts.get_mut(text) {
            Some(count) => *count += 1,
            None => _ = self.counts.insert(text.to_owned(), 1),
        }
    }
}

impl RollCall {
    /// Counts a device that is so, and reports this.
    pub fn count(&mut self, group: Option<GroupId>, metadata: &Metadata, state: DeviceState) {
        self.states.add(state);
        let of_group = self.groups.entry(group).or_default();
        of_group.states.add(state);
        let version = metadata.text(keys::SOFTWARE_VERSION);
        of_group.versions.count(version);
        self.versions.count(version);
        self.types.count(metadata.text(keys::DEVICE_TYPE));
    }

    /// The devices that were counted.
    pub fn finish(self) -> Overview {
        let Self { states, versions, types, groups } = self;
        let groups = groups.into_iter().map(|(group, GroupRollCall { states, versions })| {
            (group, GroupOverview { states, versions: Ranking::of(versions) })
        });
        let groups = groups.collect();
        Overview { states, versions: Ranking::of(versions), types: Ranking::of(types), groups }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_what_holds_first() {
        use DeviceState::{Blocked, Failing, NoTarget, Silent, UpToDate, Updating, Waiting};
        let cases = [
            // updating, failed, silent; then with: no target, up to date, blocked, a path
            ((false, false, false), [NoTarget, UpToDate, Blocked, Waiting]),
            ((false, false, true), [Silent; 4]),
            ((false, true, false), [Failing; 4]),
            ((false, true, true), [Failing; 4]),
            ((true, false, false), [Updating; 4]),
            ((true, false, true), [Updating; 4]),
            ((true, true, false), [Updating; 4]),
            ((true, true, true), [Updating; 4]),
        ];
        let prospects = [Prospect::NoTarget, Prospect::UpToDate, Prospect::Blocked, Prospect::Path];
        for ((is_updating, has_failed, is_silent), expected) in cases {
            for (prospect, expected) in prospects.into_iter().zip(expected) {
                let circumstances = Circumstances { is_updating, has_failed, is_silent, prospect };
                assert_eq!(DeviceState::of(circumstances), expected, "{circumstances:?}");
            }
        }
    }

    #[test]
    fn every_outcome_is_a_prospect() {
        let cases = [
            (Outcome::NoTarget, Prospect::NoTarget),
            (Outcome::UpToDate, Prospect::UpToDate),
            (Outcome::NoPath, Prospect::Blocked),
            (Outcome::SearchTooLarge, Prospect::Blocked),
            (Outcome::Install(vec![0]), Prospect::Path),
        ];
        for (outcome, prospect) in cases {
            assert_eq!(Prospect::from(&outcome), prospect, "{outcome:?}");
        }
    }

    #[test]
    fn an_overview_names_what_most_devices_report_and_counts_the_rest() {
        let mut roll_call = RollCall::default();
        // v0 once, v1 twice, and so on; and some that report nothing.
        for version in 0..25 {
            for _ in 0..=version {
                let metadata = Metadata::from([(keys::SOFTWARE_VERSION, &*format!("v{version}"))]);
                roll_call.count(Some(GroupId(1)), &metadata, DeviceState::Waiting);
            }
        }
        for _ in 0..30 {
            roll_call.count(None, &Metadata::default(), DeviceState::NoTarget);
        }
        let overview = roll_call.finish();
        assert_eq!(overview.states.total(), 25 * 26 / 2 + 30);
        assert_eq!(overview.states.of(DeviceState::Waiting), 25 * 26 / 2);
        assert_eq!(overview.versions.first.len(), NAMED);
        assert_eq!(overview.versions.first[0], (None, 30));
        assert_eq!(overview.versions.first[1], (Some("v24".to_owned()), 25));
        assert_eq!(overview.versions.others, 1 + 2 + 3 + 4 + 5 + 6);
        assert_eq!(overview.types.first, [(None, 25 * 26 / 2 + 30)]);
        assert_eq!(overview.types.others, 0);
        assert_eq!(overview.groups[&None].states.of(DeviceState::NoTarget), 30);
        assert_eq!(overview.groups[&None].versions.first, [(None, 30)]);
        assert_eq!(overview.groups[&Some(GroupId(1))].versions.others, 1 + 2 + 3 + 4 + 5);
        assert_eq!(overview.groups.len(), 2);
    }
}
