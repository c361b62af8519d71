//! What this machine is called, and where it is reached: what its certificate is to be for.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A machine may have many interfaces of containers; a certificate that lists them all would slow down every handshake.
const MOST_ADDRESSES: usize = 64;
const LOCALHOST: &str = "localhost";

/// The machine's host name in small letters, if it can stand in a certificate.
pub fn host_name() -> Option<String> {
    let system = rustix::system::uname();
    let name = system.nodename().to_str().ok()?.trim_end_matches('.').to_ascii_lowercase();
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (!name.is_empty() && name.len() <= 253 && name.bytes().all(is_good)).then_some(name)
}

/// `more`, and what this machine finds out about itself: its host name, the same with `.local` as mDNS has it, and the addresses
/// of its interfaces but for those of IPv6 that cannot stand in a URL.
pub fn own(more: &[String]) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = more.iter().cloned().collect();
    names.extend([LOCALHOST.to_owned(), Ipv4Addr::LOCALHOST.to_string(), Ipv6Addr::LOCALHOST.to_string()]);
    if let Some(host) = host_name() {
        let short = host.split('.').next().unwrap_or(&host);
        names.insert(format!("{short}.local"));
        names.insert(host);
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    // In order, so that the same ones are taken each time.
    let addresses: BTreeSet<IpAddr> = interfaces.iter().map(if_addrs::Interface::ip).filter(can_be_asked).collect();
    names.extend(addresses.iter().take(MOST_ADDRESSES).map(ToString::to_string));
    names
}

fn can_be_asked(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => !address.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_machine_and_what_is_added() {
        let names = own(&["gateway.example".to_owned()]);
        for name in ["gateway.example", "localhost", "127.0.0.1", "::1"] {
            assert!(names.contains(name), "{names:?}");
        }
        if let Some(host) = host_name() {
            assert!(names.contains(&host) && names.iter().any(|name| name.ends_with(".local")), "{names:?}");
        }
        assert!(names.iter().all(|name| !name.starts_with("fe80")), "{names:?}");
    }
}
