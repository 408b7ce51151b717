//! `/ws/desktop-stream`: see the desktop, and use its mouse and keyboard.
//!
//! In: [`said`]. Out: `stream_started`, `frame`, `stream_stopped`, `pong`, `error`, `control`, `clipboard`. A picture is sent at once, then when something has
//! changed, and at least every two seconds; a client that does not keep up gets the newest when it is ready for it. In the format
//! `binary` only what has changed is sent ([`wire`]), as fast as the client acknowledges it ([`pace`]).

mod binary;
mod clipboard;
mod control;
mod pace;
mod said;
mod stream;
mod used;
mod wire;

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::future::select_all;
use serde_json::json;

use super::desktop::control::{ControlAsk, name};
use super::error::{ErrorResponse, Result};
use super::socket::{Ended, Handshake, Socket, pong};
use super::visit;
use crate::audit::Outcome;
use crate::desktop::control::How;
use crate::desktop::{self, Action, Desktop, Hands};
use crate::error::{Failure, Kind};
use crate::keys::Scope;
use crate::services::Name;
use clipboard::Clip;
use control::Place;
use said::{Said, StreamConfig, Wrong};
use stream::{Due, Stream};
use used::{Used, deed};

/// What others are told who has mouse and keyboard.
const WHO: &str = "somebody at a desktop stream";

/// Whether a text is one of its messages.
pub(super) fn understands(text: &str) -> bool {
    said::read(text).is_ok()
}

/// Opens the socket, for the format `jpeg`, and for `binary`, which is described below.
#[utoipa::path(
    get,
    path = "/ws/desktop-stream",
    tag = "websockets",
    operation_id = "desktop_stream",
    description = include_str!("protocol.md"),
    responses((status = 101, description = "The socket is open"), (status = 400, body = ErrorResponse), (status = 503, body = ErrorResponse))
)]
pub(crate) async fn open(State(state): State<super::State>, request: Request) -> Result<Response> {
    if !state.config().services.desktop_streaming {
        let details = json!({ "service": "live_desktop", "hint": "set ENABLE_DESKTOP_STREAMING=true and start again" });
        return Err(Failure::new(Kind::ServiceUnavailable, "streams are switched off by ENABLE_DESKTOP_STREAMING").with(details).into());
    }
    state.enter(Name::LiveDesktop)?;
    let handshake = Handshake::begin(&state, request).await?;
    let speaking = state.clone();
    Ok(handshake.finish(&state, move |socket| converse(socket, speaking)))
}

/// The same socket, where a frontend expects it.
#[utoipa::path(get, path = "/api/ws/desktop-stream", tag = "websockets", operation_id = "desktop_stream_api", responses((status = 101, description = "The socket is open"), (status = 400, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn open_below_api(state: State<super::State>, request: Request) -> Result<Response> {
    open(state, request).await
}

async fn converse(mut socket: Socket, state: super::State) -> Ended {
    let mut client =
        Conversation { hands: HashMap::new(), used: None, stream: None, place: Place::default(), clip: Clip::default(), state };
    let mut usual = client.state.desktops().streams().changes();
    loop {
        let done = tokio::select! {
            heard = socket.hear() => match heard {
                Err(ended) => return ended,
                Ok(text) => client.answer(&mut socket, &text).await,
            },
            due = due(&mut client.stream) => client.show(&mut socket, due).await,
            failure = complaint(&mut client.hands) => socket.fail(&failure).await,
            Ok(()) = usual.changed() => client.follow(&mut socket).await,
            () = client.place.changed() => client.tell_of_control(&mut socket).await,
            () = client.clip.changed() => client.tell_of_clipboard(&mut socket).await,
        };
        if let Err(ended) = done {
            return ended;
        }
    }
}

/// What the stream has to say, if there is one.
async fn due(stream: &mut Option<Stream>) -> Result<Due, Failure> {
    match stream {
        Some(stream) => stream.due().await,
        None => std::future::pending().await,
    }
}

/// The next thing that went wrong at any of the desktops.
async fn complaint(hands: &mut HashMap<Option<String>, Hands>) -> Failure {
    if hands.is_empty() {
        return std::future::pending().await;
    }
    select_all(hands.values_mut().map(|hands| Box::pin(hands.complaint()))).await.0
}

/// What there is between one client and the desktops.
struct Conversation {
    state: super::State,
    /// By the names of the desktops that they are at.
    hands: HashMap<Option<String>, Hands>,
    used: Option<Used>,
    stream: Option<Stream>,
    place: Place,
    clip: Clip,
}

impl Conversation {
    /// Deals with one message.
    async fn answer(&mut self, socket: &mut Socket, text: &str) -> Result<(), Ended> {
        let said = match said::read(text) {
            Ok(said) => said,
            Err(Wrong::Malformed(failure)) => return socket.malformed(&failure).await,
            Err(Wrong::Values(failure)) => {
                socket.understood();
                return socket.fail(&failure).await;
            }
        };
        socket.understood();
        let done = match said {
            Said::Ping => return socket.say(pong().to_string()).await,
            Said::Stop => {
                self.stream = None;
                return socket.say(json!({ "type": "stream_stopped" }).to_string()).await;
            }
            Said::Start(config) => self.start(socket, &config).await?,
            Said::Configure(config) => self.configure(socket, &config).await?,
            Said::Ack(sequence) => {
                if let Some(stream) = &mut self.stream {
                    stream.acknowledged(sequence);
                }
                Ok(())
            }
            Said::Keyframe => self.renew(),
            Said::Input(action, target) => self.act(action, target).await,
            said => {
                let done = self.control(socket, said).await?;
                self.tell_of_control(socket).await?;
                done
            }
        };
        match done {
            Ok(()) => Ok(()),
            Err(error) => socket.fail(error.failure()).await,
        }
    }

    async fn start(&mut self, socket: &mut Socket, config: &StreamConfig) -> Result<Result<()>, Ended> {
        match Stream::begin(&self.state, config).await {
            Ok(stream) => {
                socket.say(stream.started().to_string()).await?;
                self.place.follow(stream.desktop());
                self.stream = Some(stream);
                self.tell_of_control(socket).await.map(Ok)
            }
            Err(error) => Ok(Err(error)),
        }
    }

    async fn configure(&mut self, socket: &mut Socket, config: &StreamConfig) -> Result<Result<()>, Ended> {
        let Some(stream) = &mut self.stream else {
            let message = "there is no stream to configure: send start_stream first";
            return Ok(Err(Failure::new(Kind::Conflict, message).into()));
        };
        match stream.configure(config).await {
            Ok(()) => socket.say(stream.started().to_string()).await.map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    fn renew(&mut self) -> Result<()> {
        let stream = self.stream.as_mut();
        let stream = stream.ok_or_else(|| Failure::new(Kind::Conflict, "there is no stream to renew: send start_stream first"))?;
        stream.renew();
        Ok(())
    }

    async fn act(&mut self, action: Action, target: Option<String>) -> Result<()> {
        let session = self.state.enter(Name::ClickAutomation)?;
        self.state.grant().input()?;
        let (action, target) = match &self.stream {
            Some(stream) if target.is_none() || target == stream.target => (stream.on_screen(action)?, stream.target.clone()),
            _ => (action, target),
        };
        let desktops = self.state.desktops();
        // First: there are no more hands than desktops.
        desktops.check(target.as_deref())?;
        if self.used.is_none() {
            self.used = Some(Used::begin(self.state.audit(), target.as_deref()).await?);
        }
        if let Some(used) = &mut self.used {
            used.count(&action);
        }
        let hands = self.hands.entry(target.clone()).or_insert_with(|| {
            let who = visit::name().unwrap_or_else(|| WHO.to_owned());
            Hands::at(Arc::clone(desktops), target, who)
        });
        hands.show(self.place.token());
        Ok(hands.act(action, session)?)
    }

    /// The desktop that the client works at.
    async fn desktop(&self) -> Result<Arc<Desktop>> {
        match &self.stream {
            Some(stream) => Ok(Arc::clone(stream.desktop())),
            None => Ok(self.state.desktops().reach(None).await?),
        }
    }

    /// What concerns the controls and the clipboard.
    async fn control(&mut self, socket: &mut Socket, said: Said) -> Result<Result<()>, Ended> {
        let told = match said {
            Said::RequestControl(asked) => self.ask(asked, false).await.map(|()| None),
            Said::TakeControl(asked) => self.ask(asked, true).await.map(|()| None),
            Said::GiveControl(to) => self.give(to).await.map(|()| None),
            Said::ReleaseControl => self.release().await.map(|()| None),
            Said::EmergencyStop => self.stop().await.map(|()| None),
            Said::ClipboardSet(text) => self.copy(text).await.map(|()| None),
            Said::ClipboardFollow(false) => {
                self.clip.leave();
                Ok(None)
            }
            Said::ClipboardFollow(true) => self.follow_clipboard().await,
            _ => Ok(None),
        };
        match told {
            Ok(Some(text)) => socket.say(text).await.map(Ok),
            Ok(None) => Ok(Ok(())),
            Err(error) => Ok(Err(error)),
        }
    }

    async fn ask(&mut self, asked: ControlAsk, takes: bool) -> Result<()> {
        visit::require(Scope::Desktop)?;
        let name = name(asked)?;
        self.state.enter(Name::ClickAutomation)?;
        self.state.grant().input()?;
        let desktop = self.desktop().await?;
        self.place.follow(&desktop);
        if takes || self.place.token().is_none() {
            // One place is enough.
            self.place.give_up();
            let noted = self.state.audit().begin(deed("desktop.control", Some(desktop.name()))).await?;
            let control = if takes { desktop.take_control(name, true)? } else { desktop.request_control(name, true)? };
            self.state.audit().end(noted, Outcome::Ok, json!({}));
            self.place.take(control);
            self.show_token();
        }
        self.place.renew();
        Ok(())
    }

    /// The hands prove whose they are. At another desktop than the one with the place that proves nothing.
    fn show_token(&self) {
        let token = self.place.token();
        self.hands.values().for_each(|hands| hands.show(token.clone()));
    }

    async fn give(&mut self, to: u64) -> Result<()> {
        let desktop = self.desktop().await?;
        let token = self.place.token().ok_or_else(|| desktop::Error::NotYours { holder: desktop.holder() })?;
        desktop.give_control(&token, to)?;
        self.place.give_up();
        Ok(())
    }

    async fn release(&mut self) -> Result<()> {
        visit::require(Scope::Desktop)?;
        let desktop = self.desktop().await?;
        self.place.follow(&desktop);
        if !self.place.give_up() {
            // Whoever has no place may end the quiet after an emergency stop.
            desktop.release_control(None)?;
        }
        self.place.renew();
        Ok(())
    }

    async fn stop(&mut self) -> Result<()> {
        visit::require(Scope::Desktop)?;
        let desktop = self.desktop().await?;
        self.place.follow(&desktop);
        // Better done without a record than not done.
        let noted = self.state.audit().begin(deed("desktop.emergency_stop", Some(desktop.name()))).await;
        desktop.emergency_stop(How::Api, visit::name()).await;
        match noted {
            Ok(noted) => self.state.audit().end(noted, Outcome::Ok, json!({})),
            Err(error) => tracing::error!(%error, "an emergency stop is not in the audit log"),
        }
        self.place.renew();
        Ok(())
    }

    async fn copy(&mut self, text: String) -> Result<()> {
        visit::require(Scope::Desktop)?;
        self.state.enter(Name::ClickAutomation)?;
        self.state.grant().clipboard()?;
        let desktop = self.desktop().await?;
        desktop.free_for(self.place.token().as_ref())?;
        self.clip.set(desktop, text).await
    }

    async fn follow_clipboard(&mut self) -> Result<Option<String>> {
        self.state.enter(Name::ClickAutomation)?;
        self.state.grant().clipboard()?;
        let desktop = self.desktop().await?;
        self.clip.follow(desktop).await
    }

    /// Says who is at the controls, where the client does not know it yet.
    async fn tell_of_control(&mut self, socket: &mut Socket) -> Result<(), Ended> {
        let (news, lost) = self.place.news();
        self.show_token();
        if let Some(lost) = lost {
            socket.fail(&lost).await?;
        }
        match news {
            Some(news) => socket.say(news).await,
            None => Ok(()),
        }
    }

    async fn tell_of_clipboard(&mut self, socket: &mut Socket) -> Result<(), Ended> {
        match self.clip.news().await {
            Ok(Some(news)) => socket.say(news).await,
            Ok(None) => Ok(()),
            Err(error) => {
                self.clip.leave();
                socket.fail(error.failure()).await
            }
        }
    }

    /// Sends what is due; a stream that cannot go on says why, and the socket stays for the next.
    async fn show(&mut self, socket: &mut Socket, due: Result<Due, Failure>) -> Result<(), Ended> {
        match (due, &mut self.stream) {
            (Ok(Due::Picture(picture)), Some(stream)) => {
                let frame = stream.frame(&picture);
                socket.say(frame).await
            }
            (Ok(Due::Update(bytes)), Some(_)) => socket.say_bytes(bytes).await,
            (Ok(Due::Pointer(text)), Some(_)) => socket.say(text).await,
            (Ok(Due::Resized), Some(stream)) => socket.say(stream.started().to_string()).await,
            (Ok(_), None) => Ok(()),
            (Err(failure), _) => {
                self.stream = None;
                socket.fail(&failure).await?;
                socket.say(json!({ "type": "stream_stopped", "reason": failure.message }).to_string()).await
            }
        }
    }

    /// Follows a change of what is usual.
    async fn follow(&mut self, socket: &mut Socket) -> Result<(), Ended> {
        if let Some(stream) = &mut self.stream
            && stream.follow()
        {
            return socket.say(stream.started().to_string()).await;
        }
        Ok(())
    }
}
