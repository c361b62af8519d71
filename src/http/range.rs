//! The `Range` header (RFC 9110, section 14): which bytes of a file a client asks for.

use headers::HeaderMap;
use warp::http::header::RANGE;

/// Bytes from `first` to `last`, both included; never empty but in an empty file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// Offset of the first byte.
    pub first: u64,
    /// Offset of the last byte.
    pub last: u64,
}

impl ByteRange {
    /// A whole file, of at least one byte: there are no empty packages.
    pub fn whole(length: u64) -> Self {
        Self { first: 0, last: length.saturating_sub(1) }
    }

    /// How many bytes.
    pub fn length(&self) -> u64 {
        self.last - self.first + 1
    }
}

/// What a request asks of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeRequest {
    /// All of it: no range, several ranges (which a server need not serve), or none that can be read.
    Whole,
    /// These bytes.
    Part(ByteRange),
    /// Bytes that are not in it.
    Unsatisfiable,
}

impl RangeRequest {
    /// What the headers ask of a file of `length` bytes.
    pub fn of(headers: &HeaderMap, length: u64) -> Self {
        let mut values = headers.get_all(RANGE).iter();
        match (values.next().and_then(|value| value.to_str().ok()), values.next()) {
            (Some(value), None) => Self::parse(value, length),
            _ => Self::Whole,
        }
    }

    fn parse(value: &str, length: u64) -> Self {
        let Some((first, last)) = value
            .split_once('=')
            .filter(|(unit, _)| unit.trim().eq_ignore_ascii_case("bytes"))
            .and_then(|(_, range)| range.trim().split_once('-'))
        else {
            return Self::Whole;
        };
        match (offset(first), offset(last)) {
            (Offset::Number(first), Offset::Number(last)) if first > last => Self::Whole,
            (Offset::Number(first), _) if first >= length => match offset(last) {
                Offset::Unreadable => Self::Whole,
                _ => Self::Unsatisfiable,
            },
            (Offset::Number(first), Offset::Number(last)) => {
                Self::Part(ByteRange { first, last: last.min(length - 1) })
            }
            (Offset::Number(first), Offset::None) => Self::Part(ByteRange { first, last: length - 1 }),
            (Offset::None, Offset::Number(0)) => Self::Unsatisfiable,
            (Offset::None, Offset::Number(_)) if length == 0 => Self::Unsatisfiable,
            (Offset::None, Offset::Number(suffix)) => {
                Self::Part(ByteRange { first: length.saturating_sub(suffix), last: length - 1 })
            }
            _ => Self::Whole,
        }
    }
}

enum Offset {
    None,
    Number(u64),
    Unreadable,
}

fn offset(text: &str) -> Offset {
    let text = text.trim();
    if text.is_empty() {
        Offset::None
    } else if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a file can have bytes: past every end.
        Offset::Number(text.parse().unwrap_or(u64::MAX))
    } else {
        Offset::Unreadable
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(first: u64, last: u64) -> RangeRequest {
        RangeRequest::Part(ByteRange { first, last })
    }

    #[test]
    fn ranges_are_read_as_the_rfc_says() {
        let cases = [
            ("bytes=0-499", part(0, 499)),
            ("bytes=500-", part(500, 999)),
            ("bytes=-500", part(500, 999)),
            ("bytes=-5000", part(0, 999)),
            ("bytes=999-5000", part(999, 999)),
            ("Bytes = 0 - 0", part(0, 0)),
            ("bytes=1000-", RangeRequest::Unsatisfiable),
            ("bytes=99999999999999999999999-", RangeRequest::Unsatisfiable),
            ("bytes=-0", RangeRequest::Unsatisfiable),
            ("bytes=5-2", RangeRequest::Whole),
            ("bytes=0-1,5-6", RangeRequest::Whole),
            ("bytes=-", RangeRequest::Whole),
            ("bytes=a-b", RangeRequest::Whole),
            ("bytes=2000-b", RangeRequest::Whole),
            ("bytes=+1-2", RangeRequest::Whole),
            ("bytes", RangeRequest::Whole),
            ("items=0-1", RangeRequest::Whole),
        ];
        for (value, expected) in cases {
            assert_eq!(RangeRequest::parse(value, 1000), expected, "{value}");
        }
    }

    proptest! {
        #[test]
        fn every_part_lies_inside_the_file(value in "bytes=[0-9]{0,4}-[0-9]{0,4}", length in 1_u64..3000) {
            if let RangeRequest::Part(range) = RangeRequest::parse(&value, length) {
                prop_assert!(range.first <= range.last && range.last < length);
            }
        }

        #[test]
        fn a_part_has_the_bytes_that_slicing_gives(first in 0_usize..40, last in 0_usize..40, length in 1_usize..30) {
            let file: Vec<usize> = (0..length).collect();
            let expected: Vec<usize> = file.iter().copied().filter(|&byte| byte >= first && byte <= last).collect();
            match RangeRequest::parse(&format!("bytes={first}-{last}"), length as u64) {
                RangeRequest::Part(range) => {
                    prop_assert_eq!(&file[range.first as usize..=range.last as usize], &expected[..]);
                }
                RangeRequest::Unsatisfiable => prop_assert!(expected.is_empty() && first <= last),
                RangeRequest::Whole => prop_assert!(first > last),
            }
        }

        #[test]
        fn no_header_makes_it_panic(value in ".{0,40}", length in 0_u64..10) {
            RangeRequest::parse(&value, length);
        }
    }
}
