//! The external identity provider, asked about management tokens that are not tender's own (RFC 7662, introspection).
//!
//! What it says is believed for some seconds; whoever shows a token that it is being asked about already waits for the
//! same answer. When it fails, nobody is let in on its word, and the log says what to check.

mod answers;
mod complaints;
mod endpoint;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::auth::introspection::{self, Introspection};
use crate::clock::Clock;
use crate::config::IdentityProviderConfig;
use crate::domain::Timestamp;
use crate::outbound::OutboundError;
use answers::{Answers, Moment};
use complaints::Complaints;
use endpoint::{Endpoint, Failure};

pub use crate::auth::introspection::Holder;

/// How long one question may take, waiting for its turn included.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// Questions at once; more wait for their turn.
const QUESTIONS_AT_ONCE: usize = 16;
/// How long a provider that did not answer in time is not asked again.
const SILENCE: Duration = Duration::from_secs(2);
/// Far longer than what providers make; the rest is somebody who tries to keep them busy.
const LONGEST_TOKEN: usize = 16 * 1024;

/// Why an identity provider cannot be asked: one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum IdentityProviderError {
    /// There is no client to ask with.
    #[error("cannot ask the identity provider: {0}")]
    Client(#[from] OutboundError),
}

/// An identity provider that can be asked; clones ask the same one and share what it said.
#[derive(Clone)]
pub struct IdentityProvider(Arc<Inner>);

struct Inner {
    endpoint: Endpoint,
    patience: Duration,
    turns: Semaphore,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    answers: Answers,
    questions: HashMap<TokenHash, Question>,
    /// Tells a question from an earlier one about the same token.
    next_number: u64,
    complaints: Complaints,
    /// It let somebody wait in vain, and is not asked before this steady time: others need not wait for that, too.
    silent_until: Option<Timestamp>,
}

/// SHA-256 of a token: what it is known by here, so that no token is kept.
type TokenHash = [u8; 32];

/// The one answer that all who ask about the same token wait for. It goes on while any of them is there.
type Waiting = Shared<BoxFuture<'static, Option<Holder>>>;

/// A question that the provider is being asked.
struct Question {
    number: u64,
    waiting: WeakShared<BoxFuture<'static, Option<Holder>>>,
}

impl IdentityProvider {
    /// A provider that has not been asked anything yet; nothing is sent. `clock` measures how long answers are believed.
    ///
    /// # Errors
    /// For an https address, when the machine has no certificates of authorities.
    pub fn new(config: &IdentityProviderConfig, clock: Clock) -> Result<Self, IdentityProviderError> {
        Self::with_patience(config, clock, PATIENCE)
    }

    /// Like [`IdentityProvider::new`], with another limit than [`PATIENCE`] for the time that a question may take.
    ///
    /// # Errors
    /// As those of [`IdentityProvider::new`].
    pub fn with_patience(
        config: &IdentityProviderConfig,
        clock: Clock,
        patience: Duration,
    ) -> Result<Self, IdentityProviderError> {
        let endpoint = Endpoint::new(config)?;
        let turns = Semaphore::new(QUESTIONS_AT_ONCE);
        Ok(Self(Arc::new(Inner { endpoint, patience, turns, clock, state: Mutex::default() })))
    }

    /// Says for whom the provider made this token; `None` if it is not valid, or the provider could not be asked. `now` is
    /// the date ([`Clock::now`]), with which the end of the token is compared.
    pub async fn introspect(&self, token: &str, now: Timestamp) -> Option<Holder> {
        if token.is_empty() || token.len() > LONGEST_TOKEN {
            return None;
        }
        let hash: TokenHash = Sha256::digest(token).into();
        let moment = Moment { steady: self.0.clock.steady(), now };
        let waiting = {
            let mut state = self.0.state();
            if let Some(holder) = state.answers.get(&hash, moment) {
                return holder.clone();
            }
            if state.silent_until.is_some_and(|end| moment.steady < end) {
                return None;
            }
            let asked_already = state.questions.get(&hash).and_then(|question| question.waiting.upgrade());
            asked_already.unwrap_or_else(|| self.ask(&mut state, hash, token.to_owned(), moment))
        };
        waiting.await
    }

    /// Makes a question that others can wait for, too. Nothing happens until somebody does.
    fn ask(&self, state: &mut State, hash: TokenHash, token: String, moment: Moment) -> Waiting {
        state.next_number += 1;
        let number = state.next_number;
        let ending = QuestionEnding { provider: Arc::clone(&self.0), hash, number };
        let waiting = async move { ending.provider.answer(hash, &token, moment).await }.boxed().shared();
        // It is `None` only of a future that has ended.
        if let Some(waiting) = waiting.downgrade() {
            state.questions.insert(hash, Question { number, waiting });
        }
        waiting
    }
}

impl fmt::Debug for IdentityProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IdentityProvider").field(&self.0.endpoint.shown_url()).finish()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whatever panicked while it had this: an answer too few or too many is remembered, no wrong one.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the provider and remembers what it says.
    async fn answer(&self, hash: TokenHash, token: &str, moment: Moment) -> Option<Holder> {
        let question = async {
            // It is never closed, and if it were, asking too much at once is the lesser evil.
            let _turn = self.turns.acquire().await;
            self.endpoint.introspect(token).await
        };
        let answer = timeout(self.patience, question).await.unwrap_or(Err(Failure::TimedOut(self.patience)));
        let verdict = answer.and_then(|body| match introspection::read(&body) {
            Introspection::Active { holder, expires } => Ok((Some(holder), expires)),
            Introspection::Inactive => Ok((None, None)),
            Introspection::WithoutScope => {
                tracing::debug!("a token that the identity provider calls active has no scope, and is refused");
                Ok((None, None))
            }
            Introspection::Unusable(reason) => Err(Failure::Unusable(reason)),
        });
        match verdict {
            Ok((holder, expires)) => {
                self.state().answers.insert(hash, holder.clone(), expires, moment);
                holder
            }
            Err(failure) => {
                if matches!(failure, Failure::TimedOut(_)) {
                    self.state().silent_until = Some(self.clock.steady().saturating_add(SILENCE));
                }
                self.complain(&failure);
                None
            }
        }
    }

    fn complain(&self, failure: &Failure) {
        let now = self.clock.steady();
        let held_back = self.state().complaints.admit(now);
        if let Some(held_back) = held_back {
            let provider = self.endpoint.shown_url();
            tracing::warn!(%provider, held_back, "the identity provider could not be asked about a token: {failure}");
        }
    }
}

/// Clears a question away when it was answered, or when all who asked it have gone.
struct QuestionEnding {
    provider: Arc<Inner>,
    hash: TokenHash,
    number: u64,
}

impl Drop for QuestionEnding {
    fn drop(&mut self) {
        let mut state = self.provider.state();
        // Somebody may have asked anew between the end of the question and this.
        if state.questions.get(&self.hash).is_some_and(|question| question.number == self.number) {
            state.questions.remove(&self.hash);
        }
    }
}
