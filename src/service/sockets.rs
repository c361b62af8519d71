//! Sockets that the service manager has opened and hands over (socket activation): clients are kept waiting while the server is started
//! anew, and ports below 1024 need no privilege.

use std::collections::VecDeque;
use std::env;
use std::io;
use std::net::TcpListener;

use listenfd::ListenFd;

/// A socket cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "the socket {name} that the service manager hands over cannot be used ({error}): it must be a TCP one that listens"
)]
pub struct GivenSocketError {
    name: String,
    error: io::Error,
}

/// The sockets that were handed over and that nobody has taken yet, with their names (`FileDescriptorName=` in a systemd unit).
#[derive(Debug, Default)]
pub struct GivenSockets(VecDeque<(String, TcpListener)>);

impl GivenSockets {
    /// Takes those of this process. To be called once and before there are threads: the environment is changed, so that no other
    /// program takes the same ones.
    ///
    /// # Errors
    /// If one is not a TCP socket.
    pub fn take() -> Result<Self, GivenSocketError> {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut given = ListenFd::from_env();
        let names = names.split(':').map(str::to_owned).chain(std::iter::repeat(String::new()));
        let mut sockets = VecDeque::new();
        for (position, name) in (0..given.len()).zip(names) {
            let ready = |listener: TcpListener| listener.set_nonblocking(true).map(|()| listener);
            match given.take_tcp_listener(position).and_then(|listener| listener.map(ready).transpose()) {
                Ok(Some(listener)) => sockets.push_back((name, listener)),
                Ok(None) => {}
                Err(error) => return Err(GivenSocketError { name, error }),
            }
        }
        Ok(Self(sockets))
    }

    /// Takes the one of this name.
    pub fn named(&mut self, name: &str) -> Option<TcpListener> {
        let position = self.0.iter().position(|(other, _)| other == name)?;
        self.0.remove(position).map(|(_, listener)| listener)
    }

    /// Takes the one of this name; without one, the first of those that are left.
    pub fn named_or_first(&mut self, name: &str) -> Option<TcpListener> {
        self.named(name).or_else(|| self.0.pop_front().map(|(_, listener)| listener))
    }

    /// How many nobody has taken.
    pub fn left(&self) -> usize {
        self.0.len()
    }
}
