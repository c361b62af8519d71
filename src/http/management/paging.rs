//! Pages of long lists: how many entries a client wants, which ones, and whether there are more.

use std::str::FromStr;

use crate::http::error::ApiError;

const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1000;

/// How many entries a page has at most.
#[derive(Debug, Clone, Copy)]
pub struct PageLimit(u32);

impl PageLimit {
    /// How many to read: one more tells whether there is a next page.
    pub fn with_one_more(self) -> u32 {
        self.0 + 1
    }

    /// Takes that one away again; what `key` makes of the last entry of this page, if there is a next one.
    pub fn cut<T, K>(self, entries: &mut Vec<T>, key: impl FnOnce(&T) -> K) -> Option<K> {
        let has_next = entries.len() > self.0 as usize;
        entries.truncate(self.0 as usize);
        entries.last().filter(|_| has_next).map(key)
    }
}

/// Reads the parameters of a list: `limit` (1 to 1000) here, and every other by `take`, which says whether it knows that name.
///
/// 400 if a name is unknown or a value is none.
pub fn parameters(
    query: &str,
    mut take: impl FnMut(&str, &str) -> Result<bool, ApiError>,
) -> Result<PageLimit, ApiError> {
    let mut limit = DEFAULT_LIMIT;
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name == "limit" {
            let given = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
            limit = given.ok_or_else(|| wrong("limit", &format!("a number from 1 to {MAX_LIMIT}")))?;
        } else if !take(&name, &value)? {
            return Err(ApiError::BadRequest(format!("there is no parameter \"{name}\" here")));
        }
    }
    Ok(PageLimit(limit))
}

/// The value of a parameter that is a number, such as an identifier.
pub fn number<T: FromStr>(name: &str, value: &str) -> Result<T, ApiError> {
    value.parse().map_err(|_| wrong(name, "a number"))
}

/// The value of a parameter is not what it must be.
pub fn wrong(name: &str, needed: &str) -> ApiError {
    ApiError::BadRequest(format!("the parameter {name} must be {needed}"))
}
