//! The port: is it free, and who has it otherwise.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use super::Finding;
use crate::config::Config;

const PART: &str = "port";

pub(super) fn free(config: &Config) -> Finding {
    let address = SocketAddr::new(config.server.host, config.server.port);
    let error = match TcpListener::bind(address) {
        Ok(_) => return Finding::ok(PART, format!("{address} is free")),
        Err(error) => error,
    };
    let another = "set PORT to another one";
    match error.kind() {
        ErrorKind::AddrInUse => match holder(address.port()) {
            Some((pid, name)) if name == "trae" => Finding::ok(PART, format!("{address} is served by trae, process {pid}")),
            Some((pid, name)) => {
                Finding::broken(PART, format!("{address} is used by {name}, process {pid}"), format!("kill {pid}, or {another}"))
            }
            None => Finding::broken(
                PART,
                format!("{address} is used by another program"),
                format!("ss -ltnp tells which; end it, or {another}"),
            ),
        },
        ErrorKind::PermissionDenied => {
            Finding::broken(PART, format!("{address}: only root may listen on ports below 1024"), format!("{another}, such as 8007"))
        }
        ErrorKind::AddrNotAvailable => {
            Finding::broken(PART, format!("{address} is no address of this machine"), "set HOST to one of `ip address`, or to 127.0.0.1")
        }
        _ => Finding::broken(PART, format!("{address} cannot be listened on: {error}"), another),
    }
}

/// The process that listens on a port, as far as it can be seen.
#[cfg(target_os = "linux")]
fn holder(port: u16) -> Option<(u32, String)> {
    const LISTENS: &str = "0A";
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| std::fs::read_to_string(path).unwrap_or_default());
    let wanted = format!(":{port:04X}");
    let sockets: Vec<String> = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields.len() > 9 && fields[1].ends_with(&wanted) && fields[3] == LISTENS)
        .map(|fields| format!("socket:[{}]", fields[9]))
        .collect();
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).find_map(|pid| {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
        let holds = open
            .filter_map(|file| std::fs::read_link(file.path()).ok())
            .any(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str()));
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        holds.then(|| (pid, name.trim().to_owned()))
    })
}

#[cfg(not(target_os = "linux"))]
fn holder(_port: u16) -> Option<(u32, String)> {
    None
}
