//! What becomes of a call: the grant is asked, the journal is made durable, the capability acts.

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::clicks::{Clicks, Shown};
use super::controls::{self, Standstill};
use super::protocol::{Call, ImageRef, Json, Met, Record, StepFinished, StepOutcome, Verdict, Wait, WaitFor};
use super::terminals::Opened;
use super::{Around, Encoder, Job, Journal, Pictures, Templates, Waited, deeds, dry, microseconds};
use crate::desktop::{Desktop, Desktops, Lease, Stopped, Who};
use crate::error::{Failure, Kind};
use crate::failpoint;
use crate::policy::{Access, Grant, Program};
use crate::screen::{Capture, Frame, ImageFormat};
use crate::sight::Sight;
use crate::{fetch, files, ocr, shell, system};

/// Pictures that a run may hold; an older one is dropped for a new one.
const MAX_IMAGES: usize = 32;

/// A run that holds pictures is not let go for a wait that is no longer than this.
const KEEP_SECONDS: f64 = 60.0;

/// Everything that can act on the machine.
#[derive(Clone)]
pub struct Capabilities {
    /// The desktops.
    pub desktops: Arc<Desktops>,
    /// Reading text.
    pub ocr: Arc<ocr::Ocr>,
    /// What is to be seen on the desktops.
    pub sight: Sight,
    /// Commands.
    pub shells: Arc<shell::Shells>,
    /// HTTP.
    pub fetch: Arc<fetch::Fetch>,
    /// Load and processes.
    pub system: Arc<system::System>,
}

/// The desktop whose turn a run has, and its place there.
type Held = (Arc<Desktop>, Lease);

/// One run's dealings with the machine.
pub(super) struct Broker {
    run_id: String,
    pub(super) capabilities: Capabilities,
    around: Around,
    grant: Grant,
    journal: Arc<dyn Journal>,
    /// Stops the whole run.
    run: CancellationToken,
    /// Stops the call under way.
    cancel: CancellationToken,
    /// Shared by all runners of the run, like the desktop's lease.
    images: Arc<Mutex<Images>>,
    pub(super) opened: Arc<Opened>,
    lease: Arc<tokio::sync::Mutex<Option<Held>>>,
    pub(super) standstill: Standstill,
    /// The desktop that the script means; none is the default one.
    target: Option<String>,
    /// Effects are described, not done.
    dry: bool,
    /// None where steps have no pictures.
    pictures: Option<Pictures>,
    clicks: Clicks,
    /// The first refusal. It fails the run, whatever the script makes of it.
    pub(super) refused: Option<Failure>,
}

impl Broker {
    pub(super) fn new(run_id: String, capabilities: Capabilities, around: Around, job: &Job, encoder: Option<&Arc<Encoder>>) -> Self {
        Self {
            run_id,
            opened: Arc::new(Opened::new(Arc::clone(&capabilities.shells))),
            capabilities,
            around,
            grant: job.grant.clone(),
            journal: Arc::clone(&job.journal),
            run: job.cancel.clone(),
            cancel: job.cancel.child_token(),
            images: Arc::default(),
            lease: Arc::default(),
            standstill: Standstill::default(),
            target: None,
            dry: job.start.mode.dry,
            pictures: encoder.map(|encoder| Pictures::new(Arc::clone(encoder), Arc::clone(&job.journal))),
            clicks: Clicks::default(),
            refused: None,
        }
    }

    /// The next call means this desktop.
    pub(super) fn turn_to(&mut self, target: Option<String>) {
        self.target = target;
    }

    /// Does what a step's beginning and its end call for: takes its picture, and says of a click that changed nothing that it did.
    pub(super) async fn note(&mut self, record: &mut Record) {
        match record {
            Record::StepStarted(step) => {
                self.clicks.step_started(step);
                if let Some(pictures) = &mut self.pictures {
                    pictures.step_started(step);
                }
            }
            Record::StepFinished(finished) => {
                self.look_after_click(finished).await;
                if let Some(pictures) = &mut self.pictures {
                    pictures.step_finished(&finished.step).await;
                }
            }
            _ => {}
        }
    }

    /// Of a step that clicked, and of which nothing else is expected.
    async fn look_after_click(&mut self, finished: &mut StepFinished) {
        let Some(click) = self.clicks.step_finished(&finished.step) else { return };
        if finished.expectation.is_some() || !matches!(finished.outcome, StepOutcome::Succeeded { .. }) {
            return;
        }
        if let Some(message) = click.in_vain(&self.run).await {
            let warning = format!("whether the step did anything is not known: {message}");
            self.journal.record(Record::Log { level: "warn".to_owned(), message: warning, at: microseconds(), loose: false });
            finished.expectation = serde_json::value::to_raw_value(&Verdict { result: Met::Unknown, message, details: None }).ok();
        }
    }

    /// One for another runner of the same run.
    pub(super) fn beside(&self, job: &Job) -> Self {
        Self {
            images: Arc::clone(&self.images),
            opened: Arc::clone(&self.opened),
            lease: Arc::clone(&self.lease),
            standstill: self.standstill.clone(),
            ..Self::new(
                self.run_id.clone(),
                self.capabilities.clone(),
                self.around.clone(),
                job,
                self.pictures.as_ref().map(Pictures::encoder),
            )
        }
    }

    /// Waits, or says that the run is to be let go meanwhile.
    pub(super) async fn wait(&mut self, mut wait: Wait, within: Option<Duration>) -> Result<Waited, Failure> {
        if self.dry {
            return self.describe(&Call::Wait(wait)).map(Waited::Over);
        }
        let call = Call::Wait(wait.clone());
        let session = self.around.gate.enter(&call)?;
        if call.has_effect() {
            self.journal.durable().await?;
        }
        // Pictures are kept over a short wait, not for somebody who is long gone.
        let is_short = matches!(wait.what, WaitFor::Time { seconds } if seconds <= KEEP_SECONDS);
        wait.hold |= is_short && !self.images().kept.is_empty();
        let cancel = self.run.child_token();
        let _over = cancel.clone().drop_guard();
        let waiting = self.journal.wait(wait, within, cancel);
        let done = match session {
            None => waiting.await,
            Some(session) => tokio::select! {
                biased;
                done = waiting => done,
                () = session.cancelled() => Err(stopped()),
            },
        };
        self.heed(&done);
        done
    }

    fn describe(&self, call: &Call) -> Result<Json, Failure> {
        let (would, stand_in) = dry::describe(call, &self.grant);
        self.journal.record(Record::Would(would));
        json(&stand_in)
    }

    /// Remembers a refusal.
    fn heed<T>(&mut self, done: &Result<T, Failure>) {
        if let Err(failure) = done
            && matches!(failure.code, Kind::PermissionDenied | Kind::UnsafeCommand)
            && self.refused.is_none()
        {
            self.refused = Some(failure.clone());
        }
    }

    /// Does what was asked for.
    pub(super) async fn handle(&mut self, call: Call) -> Result<Json, Failure> {
        if self.dry && call.has_effect() {
            return self.describe(&call);
        }
        let session = self.around.gate.enter(&call)?;
        let (has_effect, action) = (call.has_effect(), deeds::action(&call));
        let deed = deeds::of(&call).map(|deed| self.around.witness.begins(&self.run_id, deed)).transpose()?;
        // What is on record beside it is so before it is done, or handed out.
        if has_effect || deed.is_some() {
            self.journal.durable().await?;
        }
        if has_effect {
            failpoint::here("effect.before");
        }
        // Whatever ends this call (its part stops, its step is out of time) ends what it does where that blocks, too.
        self.cancel = self.run.child_token();
        let _over = self.cancel.clone().drop_guard();
        let done = match session {
            None => self.act(call).await,
            Some(session) => tokio::select! {
                biased;
                done = self.act(call) => done,
                () = session.cancelled() => Err(stopped()),
            },
        };
        if has_effect {
            failpoint::here("effect.after");
        }
        match (deed, &done) {
            (Some(deed), done) => self.around.witness.ended(deed, done.as_ref().map(drop)),
            (None, Err(failure)) if failure.code == Kind::PermissionDenied => self.around.witness.denied(&self.run_id, action, failure),
            (None, _) => {}
        }
        self.heed(&done);
        done
    }

    async fn act(&mut self, call: Call) -> Result<Json, Failure> {
        match call {
            Call::DesktopTargets => {
                self.sees_or_acts()?;
                let desktops = Arc::clone(&self.capabilities.desktops);
                json(&blocking(move || Ok(desktops.list())).await?)
            }
            Call::DesktopUse { name } => json(&self.capabilities.desktops.check(Some(&name))?),
            Call::ScreenMonitors => self.look(|desktop| Ok(desktop.screen().monitors()?)).await,
            Call::ScreenCapture(capture) => {
                let frame = self.capture(capture).await?;
                self.keep(frame)
            }
            Call::WindowList(filter) => self.look(move |desktop| Ok(desktop.windows().list(&filter)?)).await,
            Call::WindowGet { id } => self.look(move |desktop| Ok(desktop.windows().get(id)?)).await,
            Call::WindowAct { id, act } => self.input(move |desktop, cancel| Ok(desktop.windows().act(id, act, cancel)?)).await,
            Call::WindowCapture { id } => {
                self.grant.screen()?;
                let desktop = self.desktop().await?;
                let (frame, _) = blocking(move || Ok::<_, Failure>(desktop.capture_window(id)?)).await?;
                self.keep(frame)
            }
            Call::ImageSave { image, path, quality } => {
                let (frame, format) = (self.image(image)?, format_of(&path)?);
                let path = self.grant.path(&path, Access::Write)?;
                let written = blocking(move || {
                    let bytes = frame.encode(format, u32::from(quality))?;
                    Ok::<_, Failure>(files::write(&path, &bytes, files::WriteOptions::default())?)
                });
                json(&written.await?)
            }
            Call::ImagePixel { image, x, y } => {
                let frame = self.image(image)?;
                let outside = || {
                    Failure::new(
                        Kind::ValidationError,
                        format!("({x}, {y}) is outside the picture of {} × {}", frame.width(), frame.height()),
                    )
                };
                let at = u32::try_from(x).ok().zip(u32::try_from(y).ok());
                json(&at.and_then(|(x, y)| frame.pixel(x, y)).ok_or_else(outside)?)
            }
            Call::ImageCrop { image, region } => {
                let frame = self.image(image)?.crop(region)?;
                self.keep(frame)
            }
            Call::ImageDifference { first, second, tolerance } => self.difference(first, second, tolerance).await,
            Call::ExpectBefore(expectation) => self.before(*expectation).await,
            Call::Expect { expectation, before } => self.expect(*expectation, before).await,
            Call::ZoneFind { name } => self.where_is(name).await,
            Call::ZoneList => self.zones(),
            Call::ScreenPixel { x, y } => self.screen_pixel(x, y).await,
            Call::ScreenStill(search) => self.wait_until_still(search).await,
            Call::ScreenChange { before, search } => self.wait_for_change(before, search).await,
            Call::PictureFind { needle, mask, image, search, explain } => {
                let needle = self.wanted(needle, mask, &search).await?;
                self.find_picture(needle, image, search, explain).await
            }
            Call::MouseMove(to) => self.input(move |desktop, cancel| Ok(desktop.input().move_to(&to, cancel)?)).await,
            Call::MouseClick(click) => {
                let act = move |desktop: &Desktop, cancel: &CancellationToken, picture: Option<Frame>| {
                    let shown = Shown::now(desktop, picture.as_ref());
                    Ok((desktop.input().click(&click, cancel)?, shown))
                };
                let (done, shown) = self.in_turn(act).await?;
                self.clicks.clicked(&self.desktop().await?, shown);
                json(&done)
            }
            Call::MouseDrag(drag) => self.input(move |desktop, cancel| Ok(desktop.input().drag(&drag, cancel)?)).await,
            Call::MouseScroll(scroll) => self.input(move |desktop, _| Ok(desktop.input().scroll(&scroll)?)).await,
            Call::MouseDown(hold) => self.input(move |desktop, _| Ok(desktop.input().down(&hold)?)).await,
            Call::MouseUp(hold) => self.input(move |desktop, _| Ok(desktop.input().up(&hold)?)).await,
            Call::MousePosition => {
                self.grant.input()?;
                let desktop = self.desktop().await?;
                json(&blocking(move || Ok::<_, Failure>(desktop.input().position()?)).await?)
            }
            Call::KeyboardType(text) => self.input(move |desktop, cancel| Ok(desktop.input().type_text(&text, cancel)?)).await,
            Call::KeyboardPress(press) => self.input(move |desktop, cancel| Ok(desktop.input().press(&press, cancel)?)).await,
            Call::KeyboardHotkey(hotkey) => self.input(move |desktop, _| Ok(desktop.input().hotkey(&hotkey)?)).await,
            Call::KeyboardDown(key) => self.input(move |desktop, _| Ok(desktop.input().key_down(&key)?)).await,
            Call::KeyboardUp(key) => self.input(move |desktop, _| Ok(desktop.input().key_up(&key)?)).await,
            Call::ClipboardGet => {
                self.grant.clipboard()?;
                let desktop = self.desktop().await?;
                json(&blocking(move || Ok::<_, Failure>(desktop.clipboard().get()?)).await?)
            }
            Call::ClipboardSet(text) => {
                self.grant.clipboard()?;
                let desktop = self.desktop().await?;
                json(&blocking(move || Ok::<_, Failure>(desktop.clipboard().set(&text.text)?)).await?)
            }
            Call::TemplateRead { template, monitor, target } => self.read_template(template, monitor, target).await,
            Call::OcrRead { image, zone, reading, target } => self.read_text(image, zone, reading, target).await,
            Call::TextFind { image, search, explain } => self.find_text(image, *search, explain).await,
            Call::OcrLanguages => {
                self.grant.screen()?;
                let ocr = Arc::clone(&self.capabilities.ocr);
                json(&blocking(move || Ok::<_, Failure>(ocr.languages()?)).await?)
            }
            Call::ShellRun { shell, command, options } => self.command(Program::Line { shell, command }, options).await,
            Call::ShellArgv { argv, options } => self.command(Program::Argv(argv), options).await,
            Call::ShellOpen(open) => self.open_session(open).await,
            Call::ShellSession { session_id } => self.session_place(&session_id).await,
            Call::ShellSend { session_id, text } => self.send_to_session(&session_id, &text).await,
            Call::ShellWaitFor { session_id, wait } => self.wait_in_session(&session_id, &wait).await,
            Call::ShellScreen { session_id } => self.screen_of_session(&session_id).await,
            Call::ShellClose { session_id } => self.close_session(&session_id).await,
            Call::HttpRequest(request) => {
                let url = self.grant.url(&request.url)?;
                json(&self.capabilities.fetch.send(url, request, &self.cancel).await?)
            }
            Call::FileRead { path } => self.file(path, Access::Read, |path| Ok(files::read(path)?)).await,
            Call::FileWrite { path, content, options } => {
                self.file(path, Access::Write, move |path| Ok(files::write(path, content.as_bytes(), options)?)).await
            }
            Call::FileList { path } => self.file(path, Access::Read, |path| Ok(files::list(path)?)).await,
            Call::FileExists { path } => self.file(path, Access::Read, |path| Ok(files::exists(path)?)).await,
            Call::FileRemove { path } => self.file(path, Access::Write, |path| Ok(files::remove(path)?)).await,
            Call::SystemLoad => {
                self.grant.process(0)?;
                let system = Arc::clone(&self.capabilities.system);
                json(&blocking(move || Ok::<_, Failure>(system.load()?)).await?)
            }
            Call::SystemProcesses => {
                self.grant.process(0)?;
                let system = Arc::clone(&self.capabilities.system);
                json(&blocking(move || Ok::<_, Failure>(system.processes()?)).await?)
            }
            Call::SystemKill { pid, force, tree } => {
                let process = self.grant.process(pid)?;
                let (system, action) = (Arc::clone(&self.capabilities.system), system::Action::Kill { force });
                let end = move || match tree {
                    true => Ok::<_, Failure>(system.act_on_tree(process, action, None).map(drop)?),
                    false => Ok(system.act(process, action, None)?),
                };
                json(&blocking(end).await?)
            }
            Call::SystemEnv { name } => {
                self.grant.env(&name)?;
                json(&std::env::var(name).ok())
            }
            Call::SecretGet { name } => {
                let secret = self.grant.secret(&name)?;
                json(&self.around.secrets.get(secret).await?)
            }
            Call::FlowPause(pause) => {
                self.journal.pause(pause).await?;
                json(&())
            }
            Call::Wait(_) | Call::FlowRounds { .. } | Call::FlowNextRound { .. } => {
                Err(Failure::new(Kind::Internal, "this is not for the machine to do"))
            }
        }
    }

    /// The desktop this run works on. Opening it may start an X server.
    async fn desktop(&self) -> Result<Arc<Desktop>, Failure> {
        self.desktop_named(None).await
    }

    /// The one of this name; without one that on which the run works.
    pub(super) async fn desktop_named(&self, name: Option<&str>) -> Result<Arc<Desktop>, Failure> {
        Ok(self.capabilities.desktops.reach(name.or(self.target.as_deref())).await?)
    }

    /// Whoever has to do with a desktop may know which there are.
    fn sees_or_acts(&self) -> Result<(), Failure> {
        let grant = &self.grant;
        Ok(grant.screen().or_else(|denied| grant.input().or_else(|_| grant.clipboard()).map_err(|_| denied))?)
    }

    /// The templates that are kept.
    pub(super) fn templates(&self) -> &dyn Templates {
        &*self.around.templates
    }

    /// Looks at what is on the desktop.
    async fn look<T, F>(&self, see: F) -> Result<Json, Failure>
    where
        T: Serialize + Send + 'static,
        F: FnOnce(&Desktop) -> Result<T, Failure> + Send + 'static,
    {
        self.grant.screen()?;
        let desktop = self.desktop().await?;
        json(&blocking(move || see(&desktop)).await?)
    }

    /// Uses mouse or keyboard, and says what came of it.
    async fn input<T, F>(&mut self, act: F) -> Result<Json, Failure>
    where
        T: Serialize + Send + 'static,
        F: FnOnce(&Desktop, &CancellationToken) -> Result<T, Failure> + Send + 'static,
    {
        json(&self.in_turn(move |desktop, cancel, _| act(desktop, cancel)).await?)
    }

    /// Uses mouse or keyboard, which one run at a time may; it keeps them until it ends, or turns to another desktop: who waited for one
    /// while having another would wait for ever for somebody who does the same the other way round. What is done gets the picture that was taken before it,
    /// if there is one.
    async fn in_turn<T, F>(&mut self, act: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Desktop, &CancellationToken, Option<Frame>) -> Result<T, Failure> + Send + 'static,
    {
        self.grant.input()?;
        let desktop = self.desktop().await?;
        let mut place = self.lease.lock().await;
        // Whoever goes to another desktop gives up its place at this one.
        let held = place.take().filter(|(held, _)| held.name() == desktop.name());
        let lease = held.map_or_else(|| self.place(&desktop), |(_, lease)| lease);
        let acting = controls::turn(&lease, &*self.journal, &self.standstill, &self.cancel).await?;
        // Only once it came: who waits no longer stands in nobody's way.
        *place = Some((Arc::clone(&desktop), lease));
        let picture = match &mut self.pictures {
            Some(pictures) => pictures.before(&desktop).await,
            None => None,
        };
        let cancel = self.cancel.clone();
        let work = move || {
            // Until nothing is pressed any more, also where the run has gone meanwhile.
            let _acting = acting;
            act(&desktop, &cancel, picture)
        };
        blocking(work).await
    }

    /// A place at a desktop's turn for the run, which an emergency stop ends as well.
    fn place(&self, desktop: &Desktop) -> Lease {
        let (journal, run) = (Arc::clone(&self.journal), self.run.clone());
        let stop = move |why: &Stopped| {
            journal.stop(Failure::new(Kind::Cancelled, format!("the run did not end by itself: {why}")));
            run.cancel();
        };
        desktop.enter(Who::run(&self.run_id), Some(Box::new(stop)))
    }

    async fn capture(&self, capture: Capture) -> Result<Frame, Failure> {
        self.grant.screen()?;
        let desktop = self.desktop().await?;
        blocking(move || Ok::<_, Failure>(desktop.screen().capture(&capture)?)).await
    }

    async fn command(&self, program: Program, options: shell::CommandOptions) -> Result<Json, Failure> {
        let command = self.grant.command(program)?.within(self.grant.reach());
        json(&self.capabilities.shells.run(command, options, &self.display().await, &self.cancel).await?)
    }

    /// What commands are given so that their windows appear where the script looks.
    pub(super) async fn display(&self) -> BTreeMap<String, String> {
        // A program that a script starts appears on the desktop that the script means or sees; for one that sees none, none is opened.
        let sees = self.target.is_some() || self.grant.screen().is_ok() || self.grant.input().is_ok();
        let desktop = if sees { self.desktop().await.ok() } else { self.capabilities.desktops.current() };
        let display = desktop.and_then(|desktop| desktop.display().map(str::to_owned));
        display.map(|display| ("DISPLAY".to_owned(), display)).into_iter().collect()
    }

    /// What the run may do.
    pub(super) fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Stops the call under way.
    pub(super) fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    async fn file<T, F>(&self, path: String, access: Access, act: F) -> Result<Json, Failure>
    where
        T: Serialize + Send + 'static,
        F: FnOnce(&crate::policy::AllowedPath) -> Result<T, Failure> + Send + 'static,
    {
        let path = self.grant.path(&path, access)?;
        json(&blocking(move || act(&path)).await?)
    }

    pub(super) fn keep(&self, frame: Frame) -> Result<Json, Failure> {
        let mut images = self.images();
        images.last += 1;
        let image = images.last;
        let reference = ImageRef { image, x: frame.x(), y: frame.y(), width: frame.width(), height: frame.height() };
        images.kept.push_back((image, frame));
        if images.kept.len() > MAX_IMAGES {
            images.kept.pop_front();
        }
        json(&reference)
    }

    pub(super) fn image(&self, image: u64) -> Result<Frame, Failure> {
        let found = self.images().kept.iter().find(|(number, _)| *number == image).map(|(_, frame)| frame.clone());
        found.ok_or_else(|| {
            let message = format!(
                "this picture is no longer kept: a run keeps its last {MAX_IMAGES}, and none across a restart; capture it again, or save it"
            );
            Failure::new(Kind::NotFound, message)
        })
    }

    fn images(&self) -> MutexGuard<'_, Images> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pictures of a run, by number; the numbers start at 1.
#[derive(Default)]
struct Images {
    kept: VecDeque<(u64, Frame)>,
    last: u64,
}

fn stopped() -> Failure {
    Failure::new(Kind::ServiceUnavailable, "what this step used was stopped while it went on")
}

pub(super) fn json(value: &impl Serialize) -> Result<Json, Failure> {
    serde_json::value::to_raw_value(value)
        .map_err(|error| Failure::new(Kind::Internal, format!("an answer cannot be written as JSON: {error}")))
}

/// Runs what blocks where it holds nobody up.
pub(super) async fn blocking<T, F>(work: F) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Failure> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Failure::new(Kind::Internal, format!("a capability failed: {error}"))),
    }
}

fn format_of(path: &str) -> Result<ImageFormat, Failure> {
    match path.rsplit('.').next().map(str::to_ascii_lowercase).as_deref() {
        Some("png") => Ok(ImageFormat::Png),
        Some("jpg" | "jpeg") => Ok(ImageFormat::Jpeg),
        Some("webp") => Ok(ImageFormat::Webp),
        _ => Err(Failure::new(
            Kind::ValidationError,
            format!("{path:?} does not say how to save the picture: end it in .png, .jpg or .webp"),
        )),
    }
}
