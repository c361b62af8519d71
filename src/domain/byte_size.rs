//! Amounts of bytes as people write them: `4MiB`, `500kB`.

use std::fmt;
use std::str::FromStr;

use super::Invalid;

/// What one of each unit is, in bytes: the first that fits is how an amount is written.
const UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// So many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// From a number of bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// As a number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = Invalid;

    /// A whole number and a unit, with or without a space between; without a unit it is bytes. `kB` is 1000 and `KiB` 1024
    /// bytes; capitals make no difference.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || Invalid::new(format!("\"{text}\" is not a size: write it like 4MiB or 500kB"));
        let trimmed = text.trim();
        let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = trimmed.split_at(digits);
        let unit = unit.trim_start();
        let unit = if unit.is_empty() { "B" } else { unit };
        let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(*factor).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for ByteSize {
    /// In the largest unit that loses nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fitting = UNITS.iter().find(|(_, factor)| self.0 >= *factor && self.0.is_multiple_of(*factor));
        let (unit, factor) = fitting.unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let read = [
            ("0", 0),
            ("17", 17),
            ("17B", 17),
            ("500kB", 500_000),
            ("500 kb", 500_000),
            (" 4MiB ", 4 << 20),
            ("4mib", 4 << 20),
            ("3MB", 3_000_000),
            ("2GiB", 2 << 30),
            ("1TB", 1_000_000_000_000),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, bytes) in read {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        let refused = [
            "",
            " ",
            "MiB",
            "4M",
            "-1",
            "+1",
            "1.5MiB",
            "4 Mi B",
            "4MiBs",
            "0x10",
            "18446744073709551616",
            "16777216TiB",
        ];
        for text in refused {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_is_written_so_that_it_is_read_again() {
        let written = [(0, "0B"), (17, "17B"), (1024, "1KiB"), (1000, "1kB"), (4 << 20, "4MiB"), (1_500_000, "1500kB")];
        for (bytes, text) in written {
            assert_eq!(ByteSize(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(ByteSize(bytes)));
        }
    }
}
