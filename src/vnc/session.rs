//! The life of a connection: made, kept, and made again when it breaks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncWriteExt as _, BufReader, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::decode::Decoder;
use super::handshake::{Stream, greet};
use super::picture::Picture;
use super::wire::{Broken, GO_ON, Incoming, update_request};
use super::{Shared, State, WAITING};

/// How long connecting may take, and all that comes before the first picture.
const CONNECT: Duration = Duration::from_secs(8);
const GREET: Duration = Duration::from_secs(12);
/// A server that says nothing for so long is asked for a pixel, which it has to give.
const QUIET: Duration = Duration::from_secs(30);
/// The pause before the first attempt to connect again, and before any later one at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// A connection that lasted so long was a good one: the next attempt comes soon.
const GOOD: Duration = Duration::from_secs(60);

/// Keeps the connection until it is to end.
pub(super) fn keep(shared: &Arc<Shared>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return lost(shared, error.to_string()),
    };
    runtime.block_on(async {
        let mut pause = PAUSE.0;
        loop {
            let began = Instant::now();
            let broken = tokio::select! {
                biased;
                () = shared.stop.cancelled() => break,
                broken = once(shared) => broken,
            };
            tracing::info!("the desktop {} at {} is away: {broken}", shared.settings.name, shared.settings.address);
            lost(shared, broken);
            pause = if began.elapsed() >= GOOD { PAUSE.0 } else { pause };
            tokio::select! {
                () = shared.stop.cancelled() => break,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(PAUSE.1);
        }
    });
    // A name that is being looked up is not waited for.
    runtime.shutdown_background();
    lost(shared, "it was put away".to_owned());
}

/// Says why there is no connection, to all who wait for something.
fn lost(shared: &Shared, reason: Broken) {
    let mut state = shared.lock();
    state.out = None;
    state.away = Some(reason);
    state.wake();
    drop(state);
    shared.changed.notify_all();
}

/// One connection, from its beginning to its end.
async fn once(shared: &Arc<Shared>) -> Broken {
    match connect(shared).await {
        Ok((stream, size)) => converse(shared, stream, size).await,
        Err(broken) => broken,
    }
}

async fn connect(shared: &Shared) -> Result<(Stream, (u32, u32)), Broken> {
    let settings = &shared.settings;
    let reach = TcpStream::connect((settings.address.host.as_str(), settings.address.port));
    let stream = match tokio::time::timeout(CONNECT, reach).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(format!("it cannot be reached: {error}")),
        Err(_) => return Err(format!("it cannot be reached within {} s", CONNECT.as_secs())),
    };
    let _ = stream.set_nodelay(true);
    match tokio::time::timeout(GREET, greet(stream, settings)).await {
        Ok(greeted) => greeted,
        Err(_) => Err(format!("the server does not let anybody in within {} s", GREET.as_secs())),
    }
}

async fn converse(shared: &Arc<Shared>, stream: Stream, size: (u32, u32)) -> Broken {
    let (reading, writing) = tokio::io::split(stream);
    let (out, sent) = mpsc::channel(WAITING);
    {
        let mut state = shared.lock();
        let State { next_watcher, cursors, .. } = *state;
        let watchers = std::mem::take(&mut state.watchers);
        *state = State { picture: Picture::new(size), next_watcher, cursors, watchers, ..State::default() };
        state.pointer = (u16::try_from(size.0 / 2).unwrap_or(0), u16::try_from(size.1 / 2).unwrap_or(0));
        // The whole picture first; there is room for one message.
        let _ = out.try_send(update_request(false, size));
        state.asked = true;
        state.out = Some(out);
    }
    tokio::select! {
        broken = hear(shared, reading) => broken,
        broken = speak(sent, writing) => broken,
    }
}

/// Deals with what comes.
async fn hear(shared: &Arc<Shared>, reading: ReadHalf<Stream>) -> Broken {
    let mut server = Incoming::new(BufReader::with_capacity(64 << 10, reading));
    let mut decoder = Decoder::new(Arc::clone(shared));
    loop {
        let kind = match first(shared, &mut server).await {
            Ok(kind) => kind,
            Err(broken) => return broken,
        };
        if let Err(broken) = decoder.message(kind, &mut server).await {
            return broken;
        }
    }
}

/// The first byte of the next message. Silence is no news: it is made sure that the server still lives.
async fn first(shared: &Shared, server: &mut Incoming<BufReader<ReadHalf<Stream>>>) -> Result<u8, Broken> {
    // Before the first picture a server has no reason to be silent.
    let quiet = if shared.lock().updates == 0 { GO_ON } else { QUIET };
    if let Ok(kind) = tokio::time::timeout(quiet, server.first()).await {
        return kind;
    }
    let asked = shared.lock().send(shared, update_request(false, (1, 1)));
    asked.map_err(|error| error.to_string())?;
    match tokio::time::timeout(GO_ON, server.first()).await {
        Ok(kind) => kind,
        Err(_) => Err("the server says nothing any more".to_owned()),
    }
}

/// Sends what is to be sent.
async fn speak(mut sent: mpsc::Receiver<Vec<u8>>, mut writing: WriteHalf<Stream>) -> Broken {
    while let Some(message) = sent.recv().await {
        let sending = async {
            writing.write_all(&message).await?;
            writing.flush().await
        };
        match tokio::time::timeout(GO_ON, sending).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return format!("the connection broke: {error}"),
            Err(_) => return "the server takes nothing of what is sent".to_owned(),
        }
    }
    "nobody sends any more".to_owned()
}
