//! Headers of requests.

use headers::HeaderMap;
use tender::domain::Submission;
use tender::http::{RangeRequest, tus};
use warp::http::header::RANGE;
use warp::http::{HeaderName, HeaderValue};

use super::assert_sentence;

/// The length of a file in eight bytes, and one `Range` on each line.
pub fn range(input: &[u8]) {
    let Some((length, values)) = input.split_first_chunk() else { return };
    let length = u64::from_be_bytes(*length);
    let mut headers = HeaderMap::new();
    for value in values.split(|byte| *byte == b'\n') {
        let Ok(value) = HeaderValue::from_bytes(value) else { return };
        headers.append(RANGE, value);
    }
    let asked = RangeRequest::of(&headers, length);
    if let RangeRequest::Part(part) = asked {
        assert!(part.first <= part.last && part.last < length, "{part:?} of {length}");
        assert!((1..=length).contains(&part.length()));
    }
    let values: Vec<_> = headers.get_all(RANGE).iter().collect();
    if let [value] = values[..]
        && let Some(expected) = value.to_str().ok().and_then(|text| by_the_rfc(text, length))
    {
        let found = match asked {
            RangeRequest::Part(part) => Some((part.first, part.last)),
            RangeRequest::Unsatisfiable => None,
            RangeRequest::Whole => panic!("{value:?} of {length} was not understood"),
        };
        assert_eq!(found, expected, "{value:?} of {length}");
    }
}

/// The bytes that a range names, written as RFC 9110 writes it and without blanks; the inner `None`: there are none.
fn by_the_rfc(text: &str, length: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let number = |digits: &str| match digits {
        "" => Some(None),
        _ if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse::<u128>().ok().map(Some),
        _ => None,
    };
    let length = u128::from(length);
    let (first, last) = match (number(first)?, number(last)?) {
        (None, None) => return None,
        (Some(first), Some(last)) if first > last => return None,
        (Some(first), last) => (first, last.unwrap_or(u128::MAX)),
        (None, Some(0)) => return Some(None),
        (None, Some(suffix)) => (length.saturating_sub(suffix), u128::MAX),
    };
    let last = last.min(length.saturating_sub(1));
    let is_there = first < length;
    Some(
        is_there.then(|| [first, last].map(|offset| u64::try_from(offset).expect("it is in the file"))).map(Into::into),
    )
}

/// The headers of a resumable upload, one on each line.
pub fn tus(input: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(&line[colon + 1..]));
        let (Ok(name), Ok(value)) = (name, value) else { return };
        headers.append(name, value);
    }
    let _ = tus::require_version(&headers);
    if let Ok(length) = tus::length(&headers) {
        assert!(length > 0 && i64::try_from(length).is_ok(), "SQLite must keep {length}");
    }
    if let Ok(offset) = tus::offset(&headers) {
        assert!(i64::try_from(offset).is_ok(), "SQLite must keep {offset}");
    }
    let _ = tus::checksum(&headers);
    let Ok(metadata) = tus::metadata(&headers) else { return };
    // It is kept as it was sent: so it must be read again, and sent back in a header.
    let fields = tus::fields(&metadata).expect("it was taken");
    assert!(HeaderValue::try_from(&metadata).is_ok());
    match Submission::from_fields(fields) {
        Ok(submission) => super::packages::assert_describable(submission),
        Err(invalid) => assert_sentence(&invalid),
    }
}
