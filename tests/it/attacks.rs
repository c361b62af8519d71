//! Attacks over the network that no test of a single part shows: each says what must happen, and sees that it does. `SECURITY.md`
//! has the model that they, and the tests of parts (`hostile`, `access`, `oauth`, …), belong to.

mod connections;
mod credentials;
mod http_2;
mod identities;
mod page;
mod power_up;
mod requests;
mod threat_model;

use std::net::Ipv4Addr;

use tokio::net::{TcpSocket, TcpStream};

/// Where attackers are: all of 127.0.0.0/8 is this machine, and other clients are elsewhere.
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 66, 6, 6);

/// A connection from an attacker to the server at `url`.
async fn attack(url: &str) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((ATTACKER, 0).into())?;
    socket.connect(url.strip_prefix("http://").unwrap().parse().unwrap()).await
}
