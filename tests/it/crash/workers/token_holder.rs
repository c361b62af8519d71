//! Has tokens made and revoked, on the command line and by the authorization server.

use super::{Died, send};
use crate::harness::Operator;
use crate::harness::client::{Client, REVOKE};
use crate::harness::process::ServerProcess;

/// Tokens, and whether each is good: `None` is in doubt.
#[derive(Default)]
pub struct TokenHolder {
    pub tokens: Vec<(String, Option<bool>)>,
}

impl TokenHolder {
    /// Has the client get a token and give it back.
    pub async fn give_back(&mut self, client: &Client) -> Result<(), Died> {
        let token = client.token().await;
        let request = client.request(REVOKE).basic_auth(&client.id, Some(&client.secret));
        self.tokens.push((token.clone(), None));
        send(request.form(&[("token", token.as_str())])).await?.ok();
        self.note(false);
        Ok(())
    }

    /// What became of the last one is known.
    pub fn note(&mut self, is_good: bool) {
        self.tokens.last_mut().expect("one was made").1 = Some(is_good);
    }

    /// Tries all tokens. What was in doubt is known from then on.
    pub async fn compare(&mut self, server: &ServerProcess) {
        for (token, is_good) in &mut self.tokens {
            let status = Operator::new(&server.url, token.clone()).get("/api/v1/groups").await.status;
            assert!([200, 401].contains(&status), "{status}");
            assert_eq!(*is_good.get_or_insert(status == 200), status == 200);
        }
    }
}
