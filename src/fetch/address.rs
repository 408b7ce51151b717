//! Which addresses are called: never those of cloud metadata services and link-local ones, whatever a manifest says; those of this
//! machine and of private networks where the settings open them; and the server itself never.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use super::Error;

/// A name all of whose addresses are refused.
#[derive(Debug, Clone, Copy, thiserror::Error)]
pub(super) enum Refused {
    #[error("link-local and cloud metadata addresses are never called")]
    Never,
    #[error("addresses of this machine and of private networks are not open")]
    Private,
    #[error("this server does not call itself")]
    Own,
}

/// Whose addresses may lie on this machine or in a private network.
#[derive(Debug, Clone, Default)]
pub enum Private {
    /// Anybody's.
    #[default]
    All,
    /// Those of these hosts, as URLs name them: `printer.local`, `10.0.0.7`, `*` for all.
    Of(Arc<[String]>),
}

impl Private {
    fn is_open(&self, host: &str) -> bool {
        let bare = |host: &str| host.trim_end_matches('.').trim_matches(['[', ']']).to_ascii_lowercase();
        match self {
            Self::All => true,
            Self::Of(hosts) => hosts.iter().any(|open| open == "*" || bare(open) == bare(host)),
        }
    }
}

/// Refuses URLs that name such an address themselves: no name is resolved for these. `own` is where this server listens, if on that port.
pub(super) fn check(url: &Url, private: &Private, own: Option<SocketAddr>) -> Result<(), Error> {
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) => ip.into(),
        Some(Host::Ipv6(ip)) => ip.into(),
        // These names mean this machine, whatever a resolver says.
        Some(Host::Domain(name)) if is_localhost(name) => Ipv4Addr::LOCALHOST.into(),
        _ => return Ok(()),
    };
    let host = super::host(url);
    match refusal(ip, private.is_open(&host), own) {
        Some(why) => Err(Error::refused(host, why)),
        None => Ok(()),
    }
}

fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name == "localhost" || name.ends_with(".localhost")
}

/// Who says which addresses a name stands for.
#[derive(Debug, Clone, Default)]
pub(super) enum Names {
    /// The system.
    #[default]
    System,
    /// A test: these answers one after the other, the last one from then on.
    #[cfg(test)]
    Scripted(Arc<std::sync::Mutex<std::collections::VecDeque<Vec<IpAddr>>>>),
}

impl Names {
    async fn look_up(&self, name: &str) -> std::io::Result<Vec<SocketAddr>> {
        match self {
            Self::System => Ok(tokio::net::lookup_host((name, 0)).await?.collect()),
            #[cfg(test)]
            Self::Scripted(answers) => {
                let mut answers = answers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let next = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
                Ok(next.unwrap_or_default().into_iter().map(|ip| SocketAddr::new(ip, 0)).collect())
            }
        }
    }
}

/// A resolver without such addresses. The client connects to what this returns, so a name cannot change in between.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) names: Names,
    pub(super) private: Private,
    /// Where this server listens, for calls to that port.
    pub(super) own: Option<SocketAddr>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (names, open, own) = (self.names.clone(), self.private.is_open(name.as_str()), self.own);
        Box::pin(async move {
            let found = names.look_up(name.as_str()).await?;
            let refused = found.iter().find_map(|address| refusal(address.ip(), open, own));
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| refusal(address.ip(), open, own).is_none()).collect();
            match refused {
                Some(why) if allowed.is_empty() => Err(why.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// Why an address is not called.
fn refusal(ip: IpAddr, open: bool, own: Option<SocketAddr>) -> Option<Refused> {
    if is_refused(ip) {
        return Some(Refused::Never);
    }
    if own.is_some_and(|own| is_own(ip, own.ip().to_canonical())) {
        return Some(Refused::Own);
    }
    (!open && is_private(ip)).then_some(Refused::Private)
}

/// Whether who listens on `own` is reached at `ip`.
fn is_own(ip: IpAddr, own: IpAddr) -> bool {
    let within = match ip {
        IpAddr::V6(v6) => carried(v6).map(IpAddr::V4),
        IpAddr::V4(_) => None,
    };
    let everywhere = own.is_unspecified();
    [Some(ip), within].into_iter().flatten().any(|ip| {
        ip == own
            || ((ip.is_loopback() || ip.is_unspecified()) && (own.is_loopback() || everywhere))
            // Only an address of this machine can be bound.
            || (everywhere && UdpSocket::bind((ip, 0)).is_ok())
    })
}

/// This machine, private and shared networks, and addresses that are no single machine's.
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_private_v4(ip),
        IpAddr::V6(ip) => {
            let [first, ..] = ip.segments();
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_multicast()
                // Site-local, as it once was; documentation.
                || first & 0xffc0 == 0xfec0
                || matches!(ip.segments(), [0x2001, 0xdb8, ..])
                || carried(ip).is_some_and(is_private_v4)
        }
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    ip.is_loopback()
        || ip.is_private()
        || ip.is_documentation()
        || matches!((a, b), (100, 64..=127) | (198, 18 | 19))
        || matches!((a, b, c), (192, 0, 0))
        || a == 0
        // Multicast, and what is kept for later.
        || a >= 224
}

fn is_refused(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_refused_v4(ip),
        IpAddr::V6(ip) => is_refused_v6(ip),
    }
}

fn is_refused_v4(ip: Ipv4Addr) -> bool {
    // Beside link-local ones: those of Alibaba, Azure and Oracle.
    ip.is_link_local() || matches!(ip.octets(), [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192])
}

fn is_refused_v6(ip: Ipv6Addr) -> bool {
    // Those of Amazon and Google, and what a network's own NAT64 puts addresses into at a place that only it knows.
    ip.is_unicast_link_local()
        || matches!(ip.segments(), [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] | [0x64, 0xff9b, 1, ..])
        || carried(ip).is_some_and(is_refused_v4)
}

/// IPv4 in IPv6 clothing: mapped, compatible, translated, through NAT64, through 6to4, through Teredo.
fn carried(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., a, b] = ip.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0xffff | 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(of(a, b)),
        [0, 0, 0, 0, 0xffff, 0, ..] => Some(of(a, b)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        // Each bit of it turned round.
        [0x2001, 0, ..] => Some(of(!a, !b)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `addresses.json`: what is never called, what only an open host may be, and what anybody may.
    #[test]
    fn addresses_are_known_in_every_spelling() {
        let table: std::collections::BTreeMap<String, Vec<String>> = serde_json::from_str(include_str!("addresses.json")).unwrap();
        let closed = Private::Of([].into());
        for (verdict, hosts) in &table {
            for host in hosts {
                let url = Url::parse(&format!("http://{host}/latest/")).unwrap();
                let (all, none) = (check(&url, &Private::All, None).is_ok(), check(&url, &closed, None).is_ok());
                let found = match (all, none) {
                    (false, false) => "never",
                    (true, false) => "private",
                    (true, true) => "open",
                    (false, true) => "upside down",
                };
                assert_eq!(found, verdict, "{host}, as {url}");
            }
        }
    }

    #[test]
    fn a_host_that_is_named_is_open_and_no_other() {
        let named = Private::Of(["10.0.0.7".to_owned(), "Printer.local".to_owned(), "::1".to_owned()].into());
        assert!(["10.0.0.7", "printer.local", "printer.local.", "[::1]"].into_iter().all(|host| named.is_open(host)));
        assert!(!["10.0.0.70", "x.printer.local", "localhost"].into_iter().any(|host| named.is_open(host)));
        assert!(Private::Of(["*".to_owned()].into()).is_open("localhost"));
        let metadata = Url::parse("http://169.254.169.254/").unwrap();
        assert!(check(&metadata, &Private::Of(["*".to_owned(), "169.254.169.254".to_owned()].into()), None).is_err(), "not even then");
    }

    #[test]
    fn a_server_is_known_at_each_of_its_addresses() {
        let is = |ip: &str, own: &str| is_own(ip.parse().unwrap(), own.parse().unwrap());
        for ip in ["127.0.0.1", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1"] {
            assert!(is(ip, "127.0.0.1") && is(ip, "0.0.0.0"), "{ip}");
            assert!(!is(ip, "203.0.113.9"), "{ip}");
        }
        assert!(is("203.0.113.9", "203.0.113.9") && !is("203.0.113.9", "127.0.0.1") && !is("203.0.113.9", "0.0.0.0"));
    }

    #[tokio::test]
    async fn a_name_of_a_server_itself_does_not_resolve() {
        let resolve = |own: Option<&str>| {
            let resolver = Resolver { names: Names::System, private: Private::All, own: own.map(|own| own.parse().unwrap()) };
            resolver.resolve("localhost".parse().unwrap())
        };
        assert!(resolve(None).await.is_ok() && resolve(Some("192.0.2.1:80")).await.is_ok());
        let Err(error) = resolve(Some("0.0.0.0:80")).await else { panic!("it resolved") };
        assert!(matches!(error.downcast_ref::<Refused>(), Some(Refused::Own)), "{error}");
    }
}
