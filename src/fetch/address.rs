//! Which addresses are never called, whatever a manifest says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::Error;

/// A name all of whose addresses are refused.
#[derive(Debug, thiserror::Error)]
#[error("link-local and cloud metadata addresses are never called")]
pub(super) struct Refused;

/// Refuses URLs that name such an address themselves: no name is resolved for these.
pub(super) fn check(url: &Url) -> Result<(), Error> {
    let refused = match url.host() {
        Some(Host::Ipv4(ip)) => is_refused(ip.into()),
        Some(Host::Ipv6(ip)) => is_refused(ip.into()),
        _ => false,
    };
    if refused { Err(Error::Refused { host: super::host(url) }) } else { Ok(()) }
}

/// The system's resolver, without such addresses. The client connects to what this returns, so a name cannot change in between.
#[derive(Debug)]
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = found.iter().copied().filter(|address| !is_refused(address.ip())).collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err(Refused.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn is_refused(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_refused_v4(ip),
        IpAddr::V6(ip) => is_refused_v6(ip),
    }
}

fn is_refused_v4(ip: Ipv4Addr) -> bool {
    ip.is_link_local() || ip == Ipv4Addr::new(100, 100, 100, 200)
}

fn is_refused_v6(ip: Ipv6Addr) -> bool {
    let segments = ip.segments();
    let [.., a, b] = segments;
    let tail = Ipv4Addr::from((u32::from(a) << 16) | u32::from(b));
    // IPv4 in IPv6 clothing: mapped, compatible, through NAT64, through 6to4.
    let carried = match segments {
        [0, 0, 0, 0, 0, 0xffff | 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(tail),
        [0x2002, high, low, ..] => Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low))),
        _ => None,
    };
    ip.is_unicast_link_local() || ip == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254) || carried.is_some_and(is_refused_v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_addresses_are_refused_in_every_spelling() {
        for host in [
            "169.254.169.254",
            "169.254.0.1",
            "2852039166",
            "0xa9fea9fe",
            "0251.0376.0251.0376",
            "169.254.43518",
            "100.100.100.200",
            "[fe80::1]",
            "[febf::1]",
            "[fd00:ec2::254]",
            "[::ffff:169.254.169.254]",
            "[::169.254.169.254]",
            "[64:ff9b::169.254.169.254]",
            "[2002:a9fe:a9fe::1]",
        ] {
            let url = Url::parse(&format!("http://{host}/latest/")).unwrap();
            assert!(check(&url).is_err(), "{host} was let through as {url}");
        }
        for host in ["127.0.0.1", "[::1]", "10.0.0.1", "example.org", "100.100.100.201", "[fd00::1]"] {
            assert!(check(&Url::parse(&format!("http://{host}/")).unwrap()).is_ok(), "{host} was refused");
        }
    }
}
