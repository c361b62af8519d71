//! Who works with a server that may die: each has things of its own, knows what of them was acknowledged, and does one thing at a
//! time, so that after a death one is in doubt at most.

mod publisher;
mod registrar;
mod resumer;
mod token_holder;

use reqwest::RequestBuilder;

pub use publisher::Publisher;
pub use registrar::Registrar;
pub use resumer::Resumer;
pub use token_holder::TokenHolder;

use super::site::Found;
use crate::harness::process::ServerProcess;
use crate::harness::{Operator, Reply};

/// There was no reply: the server died.
#[derive(Debug)]
pub struct Died;

/// Somebody at work.
pub enum Worker {
    Publisher(Publisher),
    Resumer(Resumer),
    Registrar(Box<Registrar>),
}

impl Worker {
    /// Does something; which is chosen by `choice`.
    pub async fn work(&mut self, operator: &Operator, choice: u32) -> Result<(), Died> {
        match self {
            Self::Publisher(publisher) => publisher.work(operator, choice).await,
            Self::Resumer(resumer) => resumer.work(operator, choice).await,
            Self::Registrar(registrar) => registrar.work(operator, choice).await,
        }
    }

    /// Compares what is known with what is there, and learns what became of the thing in doubt.
    pub async fn compare(&mut self, found: &Found, server: &ServerProcess) {
        match self {
            Self::Publisher(publisher) => publisher.compare(found),
            Self::Resumer(resumer) => resumer.compare(found),
            Self::Registrar(registrar) => registrar.compare(found, server).await,
        }
    }
}

/// Sends a request to a server that may die.
async fn send(request: RequestBuilder) -> Result<Reply, Died> {
    Reply::try_of(request).await.map_err(|_| Died)
}

/// Contents that nothing else has.
pub fn contents(name: &str, length: usize) -> Vec<u8> {
    format!("{name}\n").bytes().cycle().take(length).collect()
}
