//! What the provider said lately, good news and bad, so that it is not asked with every request.

use std::collections::HashMap;
use std::time::Duration;

use super::{Holder, TokenHash};
use crate::domain::Timestamp;

/// How long an answer is believed: so long may somebody go on whose token the provider has revoked.
const BELIEVED: Duration = Duration::from_secs(30);
const MOST_ANSWERS: usize = 1024;

/// One moment on both clocks.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    /// What no setting of the clock changes: for how long answers are believed.
    pub(super) steady: Timestamp,
    /// The date: for when tokens end.
    pub(super) now: Timestamp,
}

/// The answers that are believed.
#[derive(Default)]
pub(super) struct Answers(HashMap<TokenHash, Answer>);

struct Answer {
    /// `None`: the token is not valid.
    holder: Option<Holder>,
    /// When it is believed no more, in steady time.
    ends: Timestamp,
    /// When the token ends, as a date: the clock may be set in between.
    expires: Option<Timestamp>,
}

impl Answers {
    /// The answer about a token, if there is one that is believed at this moment.
    pub(super) fn get(&self, hash: &TokenHash, moment: Moment) -> Option<&Option<Holder>> {
        let answer = self.0.get(hash)?;
        answer.is_believed(moment).then_some(&answer.holder)
    }

    /// Takes an answer; `asked` is when the question was asked. One about a token that has ended is not kept. If there are
    /// too many, bad news goes first, and of that what ends first: anybody can bring about bad news.
    pub(super) fn insert(
        &mut self,
        hash: TokenHash,
        holder: Option<Holder>,
        expires: Option<Timestamp>,
        asked: Moment,
    ) {
        let left = expires.map_or(BELIEVED, |expires| BELIEVED.min(until(asked.now, expires)));
        if left.is_zero() {
            self.0.remove(&hash);
            return;
        }
        if self.0.len() >= MOST_ANSWERS && !self.0.contains_key(&hash) {
            self.0.retain(|_, answer| answer.is_believed(asked));
            let first =
                self.0.iter().min_by_key(|(_, answer)| (answer.holder.is_some(), answer.ends)).map(|(hash, _)| *hash);
            if let Some(first) = first.filter(|_| self.0.len() >= MOST_ANSWERS) {
                self.0.remove(&first);
            }
        }
        self.0.insert(hash, Answer { holder, ends: asked.steady.saturating_add(left), expires });
    }
}

impl Answer {
    fn is_believed(&self, moment: Moment) -> bool {
        moment.steady < self.ends && self.expires.is_none_or(|expires| moment.now < expires)
    }
}

/// The time from `now` until `then`; zero if that is past.
fn until(now: Timestamp, then: Timestamp) -> Duration {
    let seconds = then.unix_seconds().saturating_sub(now.unix_seconds());
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment so many seconds after the clocks were started; the steady clock is an hour behind.
    fn at(seconds: i64) -> Moment {
        Moment { steady: Timestamp::from_unix_seconds(1_799_996_400 + seconds), now: date(seconds) }
    }

    fn date(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_800_000_000 + seconds)
    }

    fn hash(number: usize) -> TokenHash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        hash
    }

    #[test]
    fn an_answer_is_believed_for_30_s_and_not_past_the_end_of_the_token() {
        let mut answers = Answers::default();
        answers.insert(hash(1), None, None, at(0));
        answers.insert(hash(2), None, Some(date(10)), at(0));
        answers.insert(hash(3), None, Some(date(3600)), at(0));
        let known = |answers: &Answers, number: usize, moment| answers.get(&hash(number), moment).is_some();
        for (number, last) in [(1, 29), (2, 9), (3, 29)] {
            assert!(known(&answers, number, at(last)) && !known(&answers, number, at(last + 1)), "{number}");
        }
        // The clock is set to a later date: the token has ended, though no time has passed.
        assert!(!known(&answers, 2, Moment { steady: at(1).steady, now: date(10) }));
        assert!(known(&answers, 1, Moment { steady: at(1).steady, now: date(1_000_000) }));
        assert!(!known(&answers, 4, at(0)));
    }

    #[test]
    fn an_answer_about_a_token_that_has_ended_is_not_kept() {
        let mut answers = Answers::default();
        answers.insert(hash(1), None, None, at(0));
        answers.insert(hash(1), None, Some(date(0)), at(0));
        answers.insert(hash(2), None, Some(Timestamp::from_unix_seconds(i64::MIN)), at(0));
        assert!(answers.0.is_empty());
        answers.insert(hash(3), None, Some(Timestamp::from_unix_seconds(i64::MAX)), at(0));
        assert!(answers.get(&hash(3), at(29)).is_some());
    }

    #[test]
    fn those_that_end_first_make_room() {
        let mut answers = Answers::default();
        answers.insert(hash(0), None, Some(date(20)), at(0));
        for number in 1..MOST_ANSWERS {
            answers.insert(hash(number), None, None, at(0));
        }
        answers.insert(hash(1), None, None, at(1));
        assert!(answers.get(&hash(0), at(1)).is_some(), "an answer in the place of another needs no room");
        answers.insert(hash(MOST_ANSWERS), None, None, at(1));
        assert_eq!(answers.0.len(), MOST_ANSWERS);
        assert!(answers.get(&hash(0), at(1)).is_none());
        answers.insert(hash(MOST_ANSWERS + 1), None, None, at(30));
        assert_eq!(answers.0.len(), 3, "what is believed no more goes all at once");
    }
}
