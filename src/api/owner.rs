//! Whose program is at the other end of a connection from this machine.
//!
//! A server on loopback without keys does whatever it is told, for whoever can connect to it: on a machine with several users that must be
//! its own user only. TCP says nothing of users, but Linux shows in `/proc/net/tcp` to whom each socket belongs. It is looked up when the
//! connection is accepted, before anything that was sent on it is read. Elsewhere nobody is told apart.

use std::net::{IpAddr, SocketAddr};

use crate::shell;

/// A connection that another user of this machine made, or a command of a script, which is held to what its manifest grants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stranger;

/// A socket, as it is listed.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    user: u32,
    inode: u64,
}

/// Whether a connection from `client` to `server` was made by another user of this machine than the server's own, or root, or within the
/// walls of a script's command. One that is not
/// listed any more, or belongs to nobody, could be anybody's. What comes in on a loopback address was made here, whatever address of this
/// machine it was made from.
pub(crate) fn is_strangers(client: SocketAddr, server: SocketAddr) -> bool {
    if ![client, server].iter().any(|end| end.ip().to_canonical().is_loopback()) {
        return false;
    }
    let Ok(tables) =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(std::fs::read_to_string).into_iter().collect::<Result<Vec<_>, _>>().or_else(|_| {
            // Without IPv6 there is no second one.
            std::fs::read_to_string("/proc/net/tcp").map(|table| vec![table])
        })
    else {
        return false;
    };
    let own = rustix::process::geteuid().as_raw();
    match tables.iter().find_map(|table| find(table, client, server)) {
        Some(Listed { inode: 0, .. }) | None => true,
        // A command that a script started may do less than its user.
        Some(Listed { user, inode }) => (user != own && user != 0) || shell::is_confined(inode),
    }
}

/// The line of the socket at `local` that is connected to `remote`.
fn find(table: &str, local: SocketAddr, remote: SocketAddr) -> Option<Listed> {
    let wanted = [local, remote].map(|address| (written(address, false), written(address, true)));
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (local, remote) = (fields.nth(1)?, fields.next()?);
        let is = |field: &str, (narrow, wide): &(String, String)| field == narrow || field == wide;
        if !is(local, &wanted[0]) || !is(remote, &wanted[1]) {
            return None;
        }
        let user = fields.nth(4)?.parse().ok()?;
        let inode = fields.nth(1)?.parse().ok()?;
        Some(Listed { user, inode })
    })
}

/// An address as the kernel writes it: each 32 bits as a number of this machine, in hex. `wide`: as an address of IPv6.
fn written(address: SocketAddr, wide: bool) -> String {
    let ip = match (address.ip().to_canonical(), wide) {
        (IpAddr::V4(ip), false) => ip.octets().to_vec(),
        (IpAddr::V4(ip), true) => ip.to_ipv6_mapped().octets().to_vec(),
        (IpAddr::V6(ip), _) => ip.octets().to_vec(),
    };
    let (words, _) = ip.as_chunks::<4>();
    let words: String = words.iter().map(|word| format!("{:08X}", u32::from_ne_bytes(*word))).collect();
    format!("{words}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn a_connection_of_ones_own_is_found_in_both_families() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, peer) = listener.accept().unwrap();
            assert_eq!(client.local_addr().unwrap(), peer);
            assert!(!is_strangers(peer, server.local_addr().unwrap()), "{address}");
            let nobodys = SocketAddr::new(peer.ip(), 1);
            assert_eq!(is_strangers(nobodys, server.local_addr().unwrap()), cfg!(target_os = "linux"));
        }
        let far: SocketAddr = "192.0.2.1:5".parse().unwrap();
        assert!(!is_strangers(far, far));
    }

    #[test]
    fn lines_are_read_as_the_kernel_writes_them() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: \
                     0100007F:9C40 0100007F:1F47 01 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000 20 4 30 10 -1\n";
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        if cfg!(target_endian = "little") {
            assert_eq!(find(table, address(40000), address(8007)), Some(Listed { user: 1000, inode: 4711 }));
        }
        assert_eq!(find(table, address(8007), address(40000)), None);
    }
}
