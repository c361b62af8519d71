//! Update policies: which version a group's devices are to reach.

use std::fmt;
use std::str::FromStr;

use super::Invalid;

/// A group's update policy, on the wire `<name>,<argument>`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Policy {
    /// `no_update,`: devices stay as they are. What a new group has.
    #[default]
    NoUpdate,
    /// `exact_match,<version>`: devices are to run exactly this version.
    ExactMatch(String),
}

impl Policy {
    /// The version that devices are to reach, if there is one.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::NoUpdate => None,
            Self::ExactMatch(version) => Some(version),
        }
    }
}

impl FromStr for Policy {
    type Err = Invalid;

    /// Splits at the first comma: a version may hold commas.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let Some((name, argument)) = text.split_once(',') else {
            return Err(Invalid::new("a policy is a name, a comma and an argument, such as \"exact_match,v1\""));
        };
        match name {
            "no_update" => Ok(Self::NoUpdate),
            "exact_match" if argument.trim().is_empty() => {
                Err(Invalid::new("the policy exact_match needs a version, such as \"exact_match,v1\""))
            }
            "exact_match" => Ok(Self::ExactMatch(argument.to_owned())),
            _ => Err(Invalid::new("unknown policy: use \"no_update,\" or \"exact_match,<version>\"")),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUpdate => f.write_str("no_update,"),
            Self::ExactMatch(version) => write!(f, "exact_match,{version}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_written_alike() {
        for text in ["no_update,", "exact_match,v1", "exact_match,v1,with,commas", "exact_match, v1"] {
            assert_eq!(text.parse::<Policy>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for text in
            ["", "no_update", "exact_match", "exact_match,", "exact_match, ", ",v1", "Exact_Match,v1", "newest,"]
        {
            assert!(text.parse::<Policy>().is_err(), "{text:?}");
        }
    }
}
