//! Who is at the other end: the address of the connection, or the one that a trusted proxy names.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::Request;
use axum::http::HeaderName;

use crate::config::Network;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The address at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The port that the client connected to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Port(pub(crate) u16);

/// Whether a proxy that is trusted is at the other end.
pub(crate) fn is_proxy(request: &Request, proxies: &[Network]) -> bool {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.to_canonical());
    peer.is_some_and(|peer| proxies.iter().any(|proxy| proxy.contains(peer)))
}

/// The client's address. What `X-Forwarded-For` says counts only as far as proxies that are trusted wrote it: from the right.
pub(crate) fn client(request: &Request, proxies: &[Network]) -> IpAddr {
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.to_canonical());
    let trusted = |address: IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
    if !trusted(peer) {
        return peer;
    }
    let named: Vec<&str> = request
        .headers()
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut client = peer;
    for name in named.into_iter().rev() {
        let Ok(address) = name.trim().parse::<IpAddr>() else { break };
        client = address.to_canonical();
        if !trusted(client) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let proxies: Vec<Network> = vec!["10.0.0.0/8".parse().unwrap(), "192.0.2.1".parse().unwrap()];
        let ask = |peer: &str, forwarded: &[&str]| {
            let mut request = Request::new(axum::body::Body::empty());
            request.extensions_mut().insert(Peer(peer.parse().unwrap()));
            for value in forwarded {
                request.headers_mut().append(FORWARDED_FOR, value.parse().unwrap());
            }
            client(&request, &proxies).to_string()
        };
        assert_eq!(ask("203.0.113.9", &["198.51.100.1"]), "203.0.113.9");
        assert_eq!(ask("10.1.1.1", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(ask("::ffff:10.1.1.1", &["1.1.1.1, 198.51.100.1, 192.0.2.1"]), "198.51.100.1");
        assert_eq!(ask("10.1.1.1", &["1.1.1.1", "198.51.100.2"]), "198.51.100.2");
        assert_eq!(ask("10.1.1.1", &["1.1.1.1, nonsense"]), "10.1.1.1");
        assert_eq!(ask("10.1.1.1", &[]), "10.1.1.1");
    }
}
