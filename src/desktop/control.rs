//! Who is at the controls: people, runs and single actions, as they stand at a desktop's turn.
//!
//! There is one turn, that of [`super::turn`]. A person's control is a place at it that is held for longer, by name, and that ends when
//! its owner gives it up, vanishes, or does nothing for a while. Meanwhile runs wait at their next use of mouse or keyboard, and what
//! others do is refused. An emergency stop ends whatever has the turn, and keeps it quiet for a moment.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::action::PATIENCE;
use super::lease::Lease;
use super::turn::{Standing, Turn};
use super::{Desktop, Error};
use crate::input::Shortcut;

/// How long an emergency stop waits for what it ended.
const QUIET: Duration = Duration::from_secs(5);

/// How control is handed about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A person who does nothing for so long loses control.
    pub idle: Duration,
    /// After an emergency stop nobody uses mouse and keyboard for so long, unless somebody ends that or takes control.
    pub pause: Duration,
    /// Keys that a person presses together at the desktop itself to stop everything; none for no such keys.
    pub hot_key: Option<Shortcut>,
    /// The corner of the screen into which a person moves the pointer for that; none for no such corner.
    pub corner: Option<Corner>,
}

/// A corner of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Corner {
    /// Where coordinates begin.
    TopLeft,
    /// The upper right one.
    TopRight,
    /// The lower left one.
    BottomLeft,
    /// The lower right one.
    BottomRight,
}

impl Corner {
    /// Whether it is one of the two on the left.
    pub fn is_left(self) -> bool {
        matches!(self, Self::TopLeft | Self::BottomLeft)
    }

    /// Whether it is one of the two at the top.
    pub fn is_top(self) -> bool {
        matches!(self, Self::TopLeft | Self::TopRight)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self { idle: Duration::from_secs(120), pause: Duration::from_secs(10), hot_key: None, corner: None }
    }
}

/// What somebody at the controls is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartyKind {
    /// Somebody who holds or asks for control by name; also the quiet after an emergency stop.
    Person,
    /// A run: until it ends.
    Run,
    /// A single action.
    Action,
}

/// What a person shows to prove that control is theirs.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(***)")
    }
}

impl Token {
    /// One that nobody can guess.
    fn new() -> Result<Self, Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| Error::Start(format!("the system has no random numbers: {error}")))?;
        Ok(Self::shown(&bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
    }

    /// One that somebody shows.
    pub fn shown(text: &str) -> Self {
        Self(text.into())
    }

    /// As it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who uses mouse and keyboard.
#[derive(Debug, Clone)]
pub struct Who {
    pub(super) kind: PartyKind,
    pub(super) name: Arc<str>,
    pub(super) run_id: Option<Arc<str>>,
    pub(super) token: Option<Token>,
    /// Its end is noticed: it need not say that it is still there.
    pub(super) connected: bool,
}

impl Who {
    /// A run.
    pub fn run(run_id: &str) -> Self {
        let name = format!("run {run_id}").into();
        Self { kind: PartyKind::Run, name, run_id: Some(run_id.into()), token: None, connected: true }
    }

    /// A single action of somebody who may be at the controls, and then shows their token.
    pub fn action(name: &str, token: Option<Token>) -> Self {
        Self { kind: PartyKind::Action, name: name.into(), run_id: None, token, connected: true }
    }

    pub(super) fn person(name: String, token: Option<Token>, connected: bool) -> Self {
        Self { kind: PartyKind::Person, name: name.into(), run_id: None, token, connected }
    }
}

impl From<&str> for Who {
    fn from(name: &str) -> Self {
        Self::action(name, None)
    }
}

/// Somebody who holds the turn or waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// The number of its place.
    pub id: u64,
    /// What it is.
    pub kind: PartyKind,
    /// Its name.
    pub name: String,
    /// The run, where it is one.
    pub run_id: Option<String>,
    /// Since when.
    pub since: SystemTime,
    /// When it ends by itself, where nothing is done.
    pub until: Option<SystemTime>,
    /// It comes before all others, as soon as what is being done is over.
    pub takes: bool,
}

/// Who stands where at a desktop.
#[derive(Debug, Clone, Default)]
pub struct Controls {
    /// Who has the turn.
    pub holder: Option<Party>,
    /// People who ask for it, the next one first.
    pub requests: Vec<Party>,
    /// Runs and actions that wait for it, the next one first.
    pub waiting: Vec<Party>,
    /// The last emergency stop.
    pub emergency: Option<Emergency>,
}

/// How an emergency stop came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// Somebody asked for it over the API.
    Api,
    /// The hot key was pressed at the desktop itself.
    HotKey,
    /// The pointer was moved into the corner of the screen.
    Corner,
}

impl How {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "API",
            Self::HotKey => "hot key",
            Self::Corner => "corner of the screen",
        }
    }
}

/// An emergency stop.
#[derive(Debug, Clone)]
pub struct Emergency {
    /// How it came about.
    pub how: How,
    /// Who asked for it, as far as that is known.
    pub by: Option<String>,
    /// When.
    pub at: SystemTime,
    /// What it ended.
    pub stopped: Vec<String>,
}

/// Why something was stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// How the stop came about.
    pub how: How,
    /// Who asked for it, as far as that is known.
    pub by: Option<String>,
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "it was ended by the emergency stop ({})", self.how.as_str())?;
        self.by.as_ref().map_or(Ok(()), |by| write!(f, ", which {by} asked for"))
    }
}

/// Told once when an emergency stop ends what somebody does.
pub type Stop = Box<dyn FnOnce(&Stopped) + Send>;

/// How a place was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lost {
    /// Somebody took over.
    Taken(String),
    /// An emergency stop.
    Stopped(How),
    /// Nothing was done for too long.
    Lapsed,
}

/// A person's place at the controls: theirs until it is dropped, unless it is kept.
#[derive(Debug)]
pub struct Control {
    lease: Lease,
    token: Token,
}

impl Control {
    /// The number of the place.
    pub fn id(&self) -> u64 {
        self.lease.id()
    }

    /// What proves that it is theirs.
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// Whether it is their turn.
    pub fn holds(&self) -> bool {
        self.lease.standing() == Standing::Holds
    }

    /// Why it is theirs no more; none where it still is.
    pub fn lost(&self) -> Option<Error> {
        (self.lease.standing() == Standing::Gone).then(|| self.lease.fate())
    }

    /// Leaves it to its token: it ends when it is released, or by itself.
    pub fn keep(self) {
        self.lease.keep();
    }
}

/// Hears of every change of who is at the controls of a desktop, from when it was made.
#[derive(Debug)]
pub struct Changes {
    turn: Arc<Turn>,
    heard: watch::Receiver<u64>,
}

impl Changes {
    pub(super) fn of(turn: &Arc<Turn>) -> Self {
        Self { heard: turn.listen(), turn: Arc::clone(turn) }
    }

    /// Resolves with the next change. May be dropped while it waits.
    pub async fn next(&mut self) {
        self.turn.changed(&mut self.heard).await;
    }

    /// Who stands where now.
    pub fn controls(&self) -> Controls {
        self.turn.controls()
    }
}

impl std::fmt::Debug for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}

impl Desktop {
    /// Who stands where.
    pub fn controls(&self) -> Controls {
        self.turn.controls()
    }

    /// Hears of every change of that.
    pub fn control_changes(&self) -> Changes {
        Changes::of(&self.turn)
    }

    /// A place for a person: theirs at once where nobody has the turn, else after who has it. `connected`: its end is noticed by dropping
    /// it, so that it waits for as long as it takes.
    ///
    /// # Errors
    /// Where the system has no random numbers.
    pub fn request_control(&self, name: String, connected: bool) -> Result<Control, Error> {
        self.place(name, connected, false)
    }

    /// The same before all others, also before who has the turn: a run goes on when control is released, an action and a person are told.
    /// It is theirs as soon as what is being done just now is over.
    ///
    /// # Errors
    /// As [`Desktop::request_control`].
    pub fn take_control(&self, name: String, connected: bool) -> Result<Control, Error> {
        self.place(name, connected, true)
    }

    fn place(&self, name: String, connected: bool, takes: bool) -> Result<Control, Error> {
        let token = Token::new()?;
        let lease = self.turn.enter(Who::person(name, Some(token.clone()), connected), None, takes);
        Ok(Control { lease, token })
    }

    /// Resolves once control is theirs, or what is being done has not ended within [`PATIENCE`].
    ///
    /// # Errors
    /// [`Error::InUse`]; what the place was lost by.
    pub async fn taken(&self, control: &Control, cancel: &CancellationToken) -> Result<(), Error> {
        match tokio::time::timeout(PATIENCE, control.lease.held(cancel)).await {
            Ok(held) => held,
            Err(_) => Err(Error::InUse { holder: self.holder().unwrap_or_default(), waited: PATIENCE.as_secs() }),
        }
    }

    /// Refuses who is not at the controls where a person is.
    ///
    /// # Errors
    /// [`Error::Controlled`].
    pub fn free_for(&self, token: Option<&Token>) -> Result<(), Error> {
        let own = token.and_then(|token| self.turn.place_of(token));
        match self.turn.person().filter(|(id, _)| Some(*id) != own) {
            Some((_, holder)) => Err(Error::Controlled { holder }),
            None => Ok(()),
        }
    }

    /// The place of whoever shows this token: its number, and whether it is their turn. It is noted that they are still there.
    pub fn still_there(&self, token: &Token) -> Option<(u64, bool)> {
        let id = self.turn.place_of(token)?;
        self.turn.touch(id);
        Some((id, self.turn.standing(id) == Standing::Holds))
    }

    /// Gives up the place of whoever shows this token. Without one: ends the quiet after an emergency stop.
    ///
    /// # Errors
    /// [`Error::NotYours`].
    pub fn release_control(&self, token: Option<&Token>) -> Result<(), Error> {
        self.turn.release(token)
    }

    /// Gives control to somebody who waits, by the number of their place.
    ///
    /// # Errors
    /// [`Error::NotYours`], [`Error::NobodyAsks`].
    pub fn give_control(&self, token: &Token, to: u64) -> Result<(), Error> {
        self.turn.give(token, to)
    }

    /// Ends whatever has the turn, lets go of all that is held down, and gives what was ended. Resolves when nothing is pressed any more.
    pub async fn emergency_stop(&self, how: How, by: Option<String>) -> Vec<Party> {
        let mut heard = self.turn.listen();
        let stopped = self.turn.emergency(how, by);
        let quiet = async {
            while self.turn.is_busy() {
                self.turn.changed(&mut heard).await;
            }
        };
        // What does not end by then waits for a display that does not answer.
        let _ = tokio::time::timeout(QUIET, quiet).await;
        stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(idle: u64, pause: u64) -> Arc<Turn> {
        let (idle, pause) = (Duration::from_millis(idle), Duration::from_millis(pause));
        Arc::new(Turn::new(Settings { idle, pause, ..Settings::default() }))
    }

    fn person(turn: &Arc<Turn>, name: &str, takes: bool) -> (Lease, Token) {
        let token = Token::new().unwrap();
        (turn.enter(Who::person(name.to_owned(), Some(token.clone()), true), None, takes), token)
    }

    fn order(turn: &Arc<Turn>) -> Vec<String> {
        let controls = turn.controls();
        controls.holder.into_iter().chain(controls.requests).chain(controls.waiting).map(|party| party.name).collect()
    }

    #[test]
    fn people_come_before_runs_and_a_run_that_was_displaced_before_others() {
        let turn = turn(60_000, 0);
        let first = turn.enter(Who::run("1"), None, false);
        let _second = turn.enter(Who::run("2"), None, false);
        let (ann, _) = person(&turn, "Ann", false);
        assert_eq!(order(&turn), ["run 1", "Ann", "run 2"]);
        let (bob, _) = person(&turn, "Bob", true);
        assert_eq!(order(&turn), ["Bob", "Ann", "run 1", "run 2"]);
        assert_eq!(first.standing(), Standing::Waits);
        drop(bob);
        assert_eq!(order(&turn), ["Ann", "run 1", "run 2"]);
        drop(ann);
        assert_eq!(first.standing(), Standing::Holds);
        drop(first);
        assert_eq!(order(&turn), ["run 2"]);
    }

    #[test]
    fn nobody_takes_over_in_the_midst_of_an_action() {
        let turn = turn(60_000, 0);
        let run = turn.enter(Who::run("1"), None, false);
        let acting = run.try_begin(&CancellationToken::new()).unwrap().unwrap();
        let (ann, _) = person(&turn, "Ann", true);
        assert_eq!((run.standing(), ann.standing()), (Standing::Holds, Standing::Waits));
        drop(acting);
        assert_eq!((run.standing(), ann.standing()), (Standing::Waits, Standing::Holds));
        // Who gives its place up in the midst of it has it until that is over.
        let acting = ann.try_begin(&CancellationToken::new()).unwrap().unwrap();
        drop(ann);
        assert_eq!(run.standing(), Standing::Waits);
        drop(acting);
        assert_eq!(run.standing(), Standing::Holds);
    }

    #[test]
    fn control_is_given_to_who_asks_and_by_who_has_it() {
        let turn = turn(60_000, 0);
        let (_ann, token) = person(&turn, "Ann", false);
        let (bob, other) = person(&turn, "Bob", false);
        let (_cleo, _) = person(&turn, "Cleo", false);
        assert!(matches!(turn.give(&other, bob.id()), Err(Error::NotYours { .. })));
        assert!(matches!(turn.give(&token, 999), Err(Error::NobodyAsks(999))));
        let cleo = turn.controls().requests[1].id;
        turn.give(&token, cleo).unwrap();
        assert_eq!(order(&turn), ["Cleo", "Bob"]);
        assert!(matches!(turn.release(Some(&token)), Err(Error::NotYours { .. })));
        assert!(matches!(turn.release(None), Err(Error::NotYours { .. })));
        turn.release(Some(&other)).unwrap();
        assert_eq!(order(&turn), ["Cleo"]);
    }

    #[tokio::test]
    async fn who_does_nothing_loses_control_and_who_waits_hears_of_it() {
        let turn = turn(80, 0);
        let (ann, _) = person(&turn, "Ann", false);
        let run = turn.enter(Who::run("1"), None, false);
        tokio::time::timeout(Duration::from_secs(10), run.held(&CancellationToken::new())).await.unwrap().unwrap();
        assert!(matches!(ann.fate(), Error::Lapsed));
        assert_eq!(ann.standing(), Standing::Gone);
    }

    #[test]
    fn an_emergency_stop_ends_who_has_the_turn_and_who_was_displaced_and_nobody_else() {
        let turn = turn(60_000, 60_000);
        let (told, heard) = std::sync::mpsc::channel();
        let stop = |name: &'static str| -> Option<Stop> {
            let told = told.clone();
            Some(Box::new(move |why: &Stopped| told.send((name, why.to_string())).unwrap()))
        };
        let first = turn.enter(Who::run("1"), stop("first"), false);
        let second = turn.enter(Who::run("2"), stop("second"), false);
        let (ann, _) = person(&turn, "Ann", true);
        let cancel = CancellationToken::new();
        let acting = ann.try_begin(&cancel).unwrap().unwrap();
        let stopped = turn.emergency(How::Corner, None);
        assert_eq!(stopped.iter().map(|party| party.name.as_str()).collect::<Vec<_>>(), ["Ann", "run 1"]);
        assert!(cancel.is_cancelled());
        assert_eq!(heard.try_iter().map(|(name, _)| name).collect::<Vec<_>>(), ["first"]);
        assert!(first.try_begin(&cancel).is_err() && ann.try_begin(&cancel).is_err());
        drop(acting);
        // Quiet, until somebody ends it.
        assert_eq!((order(&turn), second.standing()), (vec!["the emergency stop".to_owned(), "run 2".to_owned()], Standing::Waits));
        turn.release(None).unwrap();
        assert_eq!(second.standing(), Standing::Holds);
        let told = turn.controls().emergency.unwrap();
        assert_eq!((told.how, told.stopped), (How::Corner, vec!["Ann".to_owned(), "run 1".to_owned()]));
    }
}
