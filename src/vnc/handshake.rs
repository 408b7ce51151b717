//! The beginning of a connection: versions, who may come in, and what the desktop is like.

use des::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::tls::{Trust, encrypt};
use super::wire::{Broken, Incoming};
use super::{Settings, decode};

/// A connection, encrypted or not.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A connection that is let in.
pub(super) type Stream = Box<dyn Duplex>;

/// Kinds of security, as RFB numbers them.
const NONE: u8 = 1;
const VNC: u8 = 2;
const VENCRYPT: u8 = 19;
/// The same below VeNCrypt, with a certificate.
const X509_NONE: u32 = 260;
const X509_VNC: u32 = 261;
const X509_PLAIN: u32 = 262;
/// Those with TLS that nobody's certificate stands for.
const ANONYMOUS: std::ops::RangeInclusive<u32> = 257..=259;
/// The longest user name and password.
const LONGEST: usize = 1024;
/// The longest name of a desktop.
const LONGEST_NAME: u32 = 1 << 16;

/// What is still to be shown once the connection is encrypted, or not.
enum Proof {
    Nothing,
    Challenge,
    Plain,
}

/// Greets a server, and gives the size of its picture.
pub(super) async fn greet(stream: TcpStream, settings: &Settings) -> Result<(Stream, (u32, u32)), Broken> {
    let mut server = Incoming::new(Box::new(stream) as Stream);
    let minor = version(&mut server).await?;
    let (mut server, proof) = secure(server, minor, settings).await?;
    // Before 3.8 somebody who has nothing to show is not told whether that was enough.
    let is_told = minor >= 8 || !matches!(proof, Proof::Nothing);
    prove(&mut server, &proof, settings).await?;
    if is_told {
        let result = server.u32().await?;
        if result != 0 {
            let reason = if minor >= 8 { server.reason().await? } else { "it gives no reason".to_owned() };
            return Err(match proof {
                Proof::Nothing => format!("the server lets nobody in: {reason}"),
                Proof::Challenge | Proof::Plain => format!("the server refused the password: {reason}"),
            });
        }
    }
    // Others may watch at the same time.
    send(&mut server, &[1]).await?;
    let size = (u32::from(server.u16().await?), u32::from(server.u16().await?));
    check_size(size, settings.max_size)?;
    server.skip(16).await?;
    let length = server.u32().await?;
    if length > LONGEST_NAME {
        return Err(format!("the server says that its name has {length} bytes"));
    }
    server.skip(length as usize).await?;
    let mut hello = decode::pixel_format();
    hello.extend(decode::encodings());
    send(&mut server, &hello).await?;
    Ok((server.into_inner(), size))
}

/// Refuses a picture that is larger than is allowed.
pub(super) fn check_size((width, height): (u32, u32), (most_width, most_height): (u32, u32)) -> Result<(), Broken> {
    if width == 0 || height == 0 {
        return Err(format!("the server says that its screen is {width}×{height} large"));
    }
    if width > most_width || height > most_height {
        return Err(format!(
            "the server says that its screen is {width}×{height} large, and {most_width}×{most_height} is the most that MAX_TARGET_SIZE allows"
        ));
    }
    Ok(())
}

async fn send(server: &mut Incoming<Stream>, bytes: &[u8]) -> Result<(), Broken> {
    let broke = |error: std::io::Error| format!("the connection broke: {error}");
    server.stream().write_all(bytes).await.map_err(broke)?;
    server.stream().flush().await.map_err(broke)
}

/// Settles on a version: 3, 7 or 8.
async fn version(server: &mut Incoming<Stream>) -> Result<u32, Broken> {
    let said: [u8; 12] = server.array().await?;
    let text = std::str::from_utf8(&said).ok().and_then(|text| text.strip_prefix("RFB ")).and_then(|text| text.strip_suffix('\n'));
    let numbers = text.and_then(|text| text.split_once('.')).and_then(|(major, minor)| Some((digits(major)?, digits(minor)?)));
    let (major, minor) = numbers.ok_or("this is no VNC server: it begins with something else than its version")?;
    let minor = match (major, minor) {
        (3, 0..7) => 3,
        (3, 7) => 7,
        (0..3, _) => return Err(format!("the server speaks RFB {major}.{minor}, which is too old")),
        _ => 8,
    };
    send(server, format!("RFB 003.{minor:03}\n").as_bytes()).await?;
    Ok(minor)
}

fn digits(text: &str) -> Option<u32> {
    (text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Settles on a kind of security, and encrypts the connection where that is wanted.
async fn secure(mut server: Incoming<Stream>, minor: u32, settings: &Settings) -> Result<(Incoming<Stream>, Proof), Broken> {
    let offered = if minor == 3 {
        match server.u32().await? {
            0 => Vec::new(),
            kind => vec![u8::try_from(kind).unwrap_or(0)],
        }
    } else {
        let count = server.u8().await?;
        server.bytes(count.into()).await?
    };
    if offered.is_empty() {
        return Err(format!("the server lets nobody in: {}", server.reason().await?));
    }
    let listed = offered.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    if settings.trust != Trust::Unencrypted {
        if !offered.contains(&VENCRYPT) {
            return Err(format!("the server offers no TLS (VeNCrypt is 19; it offers {listed}), and the settings of the desktop want it"));
        }
        send(&mut server, &[VENCRYPT]).await?;
        return vencrypt(server, settings).await;
    }
    let (kind, proof) = match &settings.password {
        Some(_) if offered.contains(&VNC) => (VNC, Proof::Challenge),
        _ if offered.contains(&NONE) => (NONE, Proof::Nothing),
        _ if offered.contains(&VNC) => {
            return Err("the server wants a password: delete the desktop, and add it with its `password`".to_owned());
        }
        _ if offered.contains(&VENCRYPT) => {
            return Err("the server lets in with TLS alone: add the desktop with `tls`, `ca` or `fingerprint`".to_owned());
        }
        _ => return Err(format!("the server offers no kind of security that is spoken here (1, 2 and 19 are): it offers {listed}")),
    };
    if minor > 3 {
        send(&mut server, &[kind]).await?;
    }
    Ok((server, proof))
}

async fn vencrypt(mut server: Incoming<Stream>, settings: &Settings) -> Result<(Incoming<Stream>, Proof), Broken> {
    let [major, minor] = server.array().await?;
    if (major, minor) < (0, 2) {
        return Err(format!("the server speaks VeNCrypt {major}.{minor}, which is too old"));
    }
    send(&mut server, &[0, 2]).await?;
    if server.u8().await? != 0 {
        return Err("the server and this client know no version of VeNCrypt in common".to_owned());
    }
    let mut offered = Vec::new();
    for _ in 0..server.u8().await? {
        offered.push(server.u32().await?);
    }
    let wished: &[(u32, Proof)] = match (&settings.username, &settings.password) {
        (Some(_), Some(_)) => &[(X509_PLAIN, Proof::Plain), (X509_VNC, Proof::Challenge), (X509_NONE, Proof::Nothing)],
        (_, Some(_)) => &[(X509_VNC, Proof::Challenge), (X509_NONE, Proof::Nothing)],
        _ => &[(X509_NONE, Proof::Nothing)],
    };
    let Some((kind, proof)) = wished.iter().find(|(kind, _)| offered.contains(kind)) else {
        let listed = offered.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        return Err(match offered.iter().any(|kind| (X509_NONE..=X509_PLAIN).contains(kind)) {
            true => format!("the server wants a password, or a user name and one (it offers {listed}): add the desktop with them"),
            false if offered.iter().any(|kind| ANONYMOUS.contains(kind)) => {
                "the server offers TLS without a certificate alone, which proves nothing about who it is and is not spoken here: give it \
                 one (Xvnc -SecurityTypes X509Vnc -X509Cert … -X509Key …)"
                    .to_owned()
            }
            false => format!("the server offers no TLS that is spoken here (260, 261 and 262 are): it offers {listed}"),
        });
    };
    send(&mut server, &kind.to_be_bytes()).await?;
    if server.u8().await? != 1 {
        return Err("the server does not begin TLS, though it offers it".to_owned());
    }
    let encrypted = encrypt(server.into_inner(), &settings.address.host, &settings.trust).await?;
    let proof = match proof {
        Proof::Nothing => Proof::Nothing,
        Proof::Challenge => Proof::Challenge,
        Proof::Plain => Proof::Plain,
    };
    Ok((Incoming::new(Box::new(encrypted) as Stream), proof))
}

/// Shows what the server wants to see.
async fn prove(server: &mut Incoming<Stream>, proof: &Proof, settings: &Settings) -> Result<(), Broken> {
    let password = settings.password.as_deref().unwrap_or_default().as_bytes();
    match proof {
        Proof::Nothing => Ok(()),
        Proof::Challenge => {
            let challenge = server.array().await?;
            send(server, &answer(challenge, password)).await
        }
        Proof::Plain => {
            let user = settings.username.as_deref().unwrap_or_default().as_bytes();
            if user.len() > LONGEST || password.len() > LONGEST {
                return Err(format!("a user name and a password have at most {LONGEST} bytes here"));
            }
            let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(0).to_be_bytes();
            send(server, &[&length(user)[..], &length(password), user, password].concat()).await
        }
    }
}

/// A challenge, encrypted with the first eight bytes of a password, whose bits VNC reads in the other direction.
fn answer(mut challenge: [u8; 16], password: &[u8]) -> [u8; 16] {
    let mut key = [0u8; 8];
    for (to, from) in key.iter_mut().zip(password) {
        *to = from.reverse_bits();
    }
    let cipher = des::Des::new(&key.into());
    for block in challenge.chunks_exact_mut(8) {
        let mut whole = [0u8; 8];
        whole.copy_from_slice(block);
        let mut whole = whole.into();
        cipher.encrypt_block(&mut whole);
        block.copy_from_slice(&whole);
    }
    challenge
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_answered_as_servers_expect_it() {
        // DES of eight zero bytes with a key of zeros.
        let known = [0x8c, 0xa6, 0x4d, 0xe9, 0xc1, 0xb1, 0x23, 0xa7];
        assert_eq!(answer([0; 16], b""), [known, known].concat()[..]);
        // 0x80 reversed is a parity bit, which DES does not look at.
        assert_eq!(answer([0; 16], &[0x80]), answer([0; 16], b""));
        assert_eq!(answer([0; 16], b"password"), answer([0; 16], b"password and more"));
        assert_ne!(answer([0; 16], b"password"), answer([0; 16], b"passwore"));
    }

    #[test]
    fn sizes_are_believed_within_what_is_allowed() {
        assert!(check_size((1920, 1080), (1920, 1080)).is_ok());
        for size in [(0, 1), (1, 0), (1921, 1), (1, 65535), (65535, 65535)] {
            assert!(check_size(size, (1920, 1080)).is_err());
        }
    }
}
