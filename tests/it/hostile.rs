//! Input that no client would send by mistake. Whatever comes, the server answers with an error of the client's or closes the
//! connection, says nothing about its inside, keeps nothing, and goes on.

mod bodies;
mod clients;
mod credentials;
mod keys;
mod paths;
mod requests;
mod uploads;

use crate::harness::raw::{Raw, eventually, list_groups};
use crate::harness::{Operator, TestServer};

/// The server answers as if nothing had happened.
async fn assert_still_serves(server: &TestServer, admin: &Operator) {
    let mut client = Raw::connect(server).await;
    client.send(list_groups(&admin.token)).await;
    let reply = client.reply().await.expect("a server that goes on");
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// No package was made, and no file of an upload is left.
async fn assert_nothing_stored(server: &TestServer) {
    eventually("nothing is left of refused uploads", || server.package_files().is_empty()).await;
    assert_eq!(server.rows("packages"), 0);
}
