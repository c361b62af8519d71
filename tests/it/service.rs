//! The program as a service: as a service manager starts it, watches it, has it read its configuration again, and asks how it is.

mod credentials;
mod health;
mod manager;
mod probe;
mod reload;
mod sockets;
