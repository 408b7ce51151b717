//! Whose turn it is: one holder at a time of mouse and keyboard. Everybody else stands in a queue: who takes over first, then people
//! who ask, then the run that somebody took them from, then all others in the order in which they came.
//!
//! It is a table of who stands where ([`super::control`] has their words); what they do with their turn is said by [`Lease`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::control::{Controls, Emergency, How, Lost, Party, PartyKind, Settings, Stop, Token, Who};
use super::lease::Lease;
use super::{Error, Stopped};
use crate::input::{Input, Released};

/// The turn at a desktop.
pub(super) struct Turn {
    state: Mutex<State>,
    /// Goes up with each change.
    version: watch::Sender<u64>,
    settings: Settings,
    /// What lets go of what is held down when the turn goes to somebody else.
    input: Mutex<Weak<Input>>,
}

#[derive(Default)]
struct State {
    last: u64,
    holder: Option<Entry>,
    queue: VecDeque<Entry>,
    /// What is held down must be let go before anybody else acts.
    dirty: bool,
    /// That is being done.
    sweeping: bool,
    /// How often it was.
    sweeps: u64,
    emergency: Option<Emergency>,
}

/// In which order those who wait come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Takes,
    Asks,
    Displaced,
    Waits,
}

/// Somebody who holds the turn or waits for it.
struct Entry {
    id: u64,
    who: Who,
    since: SystemTime,
    rank: Rank,
    /// Something is being done in its name, which this stops. Nobody takes over meanwhile.
    acting: Option<CancellationToken>,
    /// It is given up; it stays for as long as something is being done.
    left: bool,
    /// Given up by itself then.
    until: Option<Instant>,
    fate: Arc<OnceLock<Lost>>,
    stop: Option<Stop>,
    /// The keys that it held down when it was displaced.
    held: Released,
}

impl Entry {
    fn is_person(&self) -> bool {
        self.who.kind == PartyKind::Person
    }

    /// The quiet after an emergency stop: nobody in particular, and everybody may end it.
    fn is_quiet(&self) -> bool {
        self.is_person() && self.who.token.is_none()
    }

    fn party(&self) -> Party {
        let Who { kind, name, run_id, .. } = &self.who;
        let until = self.until.map(|until| SystemTime::now() + until.saturating_duration_since(Instant::now()));
        Party {
            id: self.id,
            kind: *kind,
            name: name.to_string(),
            run_id: run_id.as_deref().map(str::to_owned),
            since: self.since,
            until,
            takes: self.rank == Rank::Takes,
        }
    }
}

/// What is to be done with what is held down.
enum Sweep {
    /// It is let go; the keys are remembered for that run.
    LetGo(Option<u64>),
    /// These keys are pressed again: their run goes on.
    Again(Released),
}

/// Where somebody stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It has the turn.
    Holds,
    /// Others go first.
    Waits,
    /// Nowhere any more.
    Gone,
}

impl State {
    fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        self.holder.iter_mut().chain(&mut self.queue).find(|entry| entry.id == id && !entry.left)
    }

    fn holds(&self, id: u64) -> bool {
        self.holder.as_ref().is_some_and(|holder| holder.id == id && !holder.left)
    }

    fn join(&mut self, entry: Entry) {
        let place = self.queue.iter().rposition(|other| other.rank <= entry.rank).map_or(0, |last| last + 1);
        self.queue.insert(place, entry);
    }

    fn leave(&mut self, id: u64) {
        match &mut self.holder {
            Some(holder) if holder.id == id && !holder.left => {
                holder.left = true;
                // A person's hands are off; a run's and an action's keys stay as they were left.
                self.dirty |= holder.is_person();
            }
            _ => self.queue.retain(|entry| entry.id != id),
        }
    }

    /// Whether somebody's time is over.
    fn is_late(&self, now: Instant) -> bool {
        self.holder.iter().chain(&self.queue).any(|entry| !entry.left && is_late(entry, now))
    }

    fn expire(&mut self, now: Instant) {
        while let Some(late) = self.holder.iter().chain(&self.queue).find(|entry| !entry.left && is_late(entry, now)) {
            let _ = late.fate.set(Lost::Lapsed);
            let id = late.id;
            self.leave(id);
        }
    }

    /// When the next one's time is over.
    fn next_end(&self) -> Option<Instant> {
        let ends = self.holder.iter().chain(&self.queue).filter(|entry| !entry.left && entry.acting.is_none());
        ends.filter_map(|entry| entry.until).min()
    }

    /// Gives the turn on, if it is to be given on now.
    fn advance(&mut self, idle: Duration) -> Option<Sweep> {
        if self.sweeping || self.holder.as_ref().is_some_and(|holder| holder.acting.is_some()) {
            return None;
        }
        if self.holder.as_ref().is_some_and(|holder| holder.left) {
            self.holder = None;
        }
        if self.holder.is_some() && self.queue.front().is_none_or(|next| next.rank != Rank::Takes) {
            return None;
        }
        let displaced = self.holder.take();
        if displaced.is_none() && std::mem::take(&mut self.dirty) {
            self.sweeping = true;
            return Some(Sweep::LetGo(None));
        }
        let mut next = self.queue.pop_front()?;
        next.rank = Rank::Waits;
        next.since = SystemTime::now();
        if next.is_person() && next.who.token.is_some() {
            next.until = Some(Instant::now() + idle);
        }
        let (held, name) = (std::mem::take(&mut next.held), Arc::clone(&next.who.name));
        self.holder = Some(next);
        let Some(mut old) = displaced else {
            self.sweeping = !held.is_empty();
            return self.sweeping.then_some(Sweep::Again(held));
        };
        self.dirty = false;
        self.sweeping = true;
        if old.who.kind != PartyKind::Run {
            let _ = old.fate.set(Lost::Taken(name.to_string()));
            return Some(Sweep::LetGo(None));
        }
        let id = old.id;
        old.rank = Rank::Displaced;
        self.join(old);
        Some(Sweep::LetGo(Some(id)))
    }
}

fn is_late(entry: &Entry, now: Instant) -> bool {
    entry.acting.is_none() && entry.until.is_some_and(|until| until <= now)
}

impl Turn {
    pub(super) fn new(settings: Settings) -> Self {
        Self { state: Mutex::default(), version: watch::Sender::new(0), settings, input: Mutex::new(Weak::new()) }
    }

    /// It is about this mouse and keyboard from now on.
    pub(super) fn serves(&self, input: &Arc<Input>) {
        *self.input.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(input);
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, and what follows from it.
    fn change<T>(self: &Arc<Self>, work: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        state.expire(Instant::now());
        let value = work(&mut state);
        let sweep = state.advance(self.settings.idle);
        drop(state);
        self.version.send_modify(|version| *version += 1);
        if let Some(sweep) = sweep {
            self.sweep(sweep);
        }
        value
    }

    /// Looks at it as it is now.
    fn look<T>(self: &Arc<Self>, see: impl FnOnce(&State) -> T) -> T {
        let state = self.lock();
        if !state.is_late(Instant::now()) {
            return see(&state);
        }
        drop(state);
        self.change(|state| see(state))
    }

    /// Lets go of what is held down, or presses it again, where it holds nobody up: the display may not answer at once.
    fn sweep(self: &Arc<Self>, sweep: Sweep) {
        let input = self.input.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        let input = match (input, &sweep) {
            (Some(input), Sweep::LetGo(_)) if input.holds_something() => input,
            (Some(input), Sweep::Again(_)) => input,
            _ => return self.swept(None),
        };
        let turn = Arc::clone(self);
        let work = move || {
            let swept = match sweep {
                Sweep::LetGo(run) => input.let_go().map(|released| run.map(|run| (run, released))),
                Sweep::Again(held) => input.hold_again(&held).map(|()| None),
            };
            let swept = swept.unwrap_or_else(|error| {
                tracing::warn!(%error, "what was held down could not be changed when the controls changed hands");
                None
            });
            turn.swept(swept);
        };
        if std::thread::Builder::new().name("let-go".to_owned()).spawn(work).is_err() {
            tracing::error!("what was held down stays so: no thread could be started");
            self.swept(None);
        }
    }

    fn swept(self: &Arc<Self>, held: Option<(u64, Released)>) {
        self.change(|state| {
            state.sweeping = false;
            state.sweeps += 1;
            if let Some((id, held)) = held
                && let Some(entry) = state.entry(id)
            {
                entry.held = held;
            }
        });
    }

    /// How often what was held down was let go by others than who held it.
    pub(super) fn sweeps(&self) -> u64 {
        self.lock().sweeps
    }

    /// Takes a place. `takes`: before all others, also the holder.
    pub(super) fn enter(self: &Arc<Self>, who: Who, stop: Option<Stop>, takes: bool) -> Lease {
        let rank = match who.kind {
            _ if takes => Rank::Takes,
            PartyKind::Person => Rank::Asks,
            PartyKind::Run | PartyKind::Action => Rank::Waits,
        };
        let fate = Arc::new(OnceLock::new());
        let until = (who.kind == PartyKind::Person && !who.connected).then(|| Instant::now() + self.settings.idle);
        let entry = Entry {
            id: 0,
            who,
            since: SystemTime::now(),
            rank,
            acting: None,
            left: false,
            until,
            fate: Arc::clone(&fate),
            stop,
            held: Released::default(),
        };
        let id = self.change(|state| {
            state.last += 1;
            let id = state.last;
            state.join(Entry { id, ..entry });
            id
        });
        Lease::new(Arc::clone(self), id, fate)
    }

    /// Begins to do something in its name, which `stop` stops; says whether it may.
    pub(super) fn begin(self: &Arc<Self>, id: u64, stop: &CancellationToken) -> Standing {
        let standing = self.standing(id);
        let mut state = self.lock();
        let sweeping = state.sweeping;
        match &mut state.holder {
            Some(holder) if standing == Standing::Holds && holder.id == id && !holder.left && !sweeping => {
                if holder.acting.is_some() {
                    return Standing::Waits;
                }
                // Nobody comes to their turn by this: it is no change that others need hear of.
                holder.acting = Some(stop.clone());
                Standing::Holds
            }
            _ if standing == Standing::Gone => Standing::Gone,
            _ => Standing::Waits,
        }
    }

    /// What was done in its name is over.
    pub(super) fn end(self: &Arc<Self>, id: u64) {
        let until = Instant::now() + self.settings.idle;
        self.change(|state| {
            if let Some(holder) = state.holder.as_mut().filter(|holder| holder.id == id) {
                holder.acting = None;
                holder.until = holder.until.map(|_| until);
            }
        });
    }

    pub(super) fn standing(self: &Arc<Self>, id: u64) -> Standing {
        self.look(|state| {
            if state.holds(id) && !state.sweeping {
                Standing::Holds
            } else if state.holds(id) || state.queue.iter().any(|entry| entry.id == id) {
                Standing::Waits
            } else {
                Standing::Gone
            }
        })
    }

    /// Gives a place up.
    pub(super) fn leave(self: &Arc<Self>, id: u64) {
        self.change(|state| state.leave(id));
    }

    /// The place of whoever shows this token, unless it is another's.
    pub(super) fn place_of(self: &Arc<Self>, token: &Token) -> Option<u64> {
        self.borrowed(token).map(|lease| lease.id())
    }

    /// The same, for something to be done with it.
    pub(super) fn borrowed(self: &Arc<Self>, token: &Token) -> Option<Lease> {
        let found = self.look(|state| {
            let mut all = state.holder.iter().chain(&state.queue);
            let found = all.find(|entry| !entry.left && entry.who.token.as_ref() == Some(token));
            found.map(|entry| (entry.id, Arc::clone(&entry.fate)))
        });
        found.map(|(id, fate)| Lease::borrowed(Arc::clone(self), id, fate))
    }

    /// A person does something with its place, or says that it is still there.
    pub(super) fn touch(self: &Arc<Self>, id: u64) {
        let until = Instant::now() + self.settings.idle;
        self.change(|state| {
            if let Some(entry) = state.entry(id) {
                entry.until = entry.until.map(|_| until);
            }
        });
    }

    /// Gives up the place of whoever shows this token. Without one: that of the quiet after an emergency stop.
    pub(super) fn release(self: &Arc<Self>, token: Option<&Token>) -> Result<(), Error> {
        let id = match token {
            Some(token) => self.place_of(token),
            None => self.look(|state| {
                let quiet = state.holder.as_ref().filter(|holder| !holder.left && holder.is_quiet());
                quiet.map(|holder| holder.id)
            }),
        };
        self.leave(id.ok_or_else(|| self.not_yours())?);
        Ok(())
    }

    /// The holder gives its turn to somebody who waits.
    pub(super) fn give(self: &Arc<Self>, token: &Token, to: u64) -> Result<(), Error> {
        let id = self.place_of(token).filter(|id| self.look(|state| state.holds(*id)));
        let id = id.ok_or_else(|| self.not_yours())?;
        self.change(|state| {
            let at = state.queue.iter().position(|entry| entry.id == to).ok_or(Error::NobodyAsks(to))?;
            if let Some(next) = state.queue.remove(at) {
                state.queue.push_front(next);
            }
            state.leave(id);
            Ok(())
        })
    }

    fn not_yours(self: &Arc<Self>) -> Error {
        Error::NotYours { holder: self.holder() }
    }

    /// Stops whatever has the turn: it is told, loses its place, and what it holds down is let go. For a while nobody else acts.
    pub(super) fn emergency(self: &Arc<Self>, how: How, by: Option<String>) -> Vec<Party> {
        let mut told = Vec::new();
        let pause = self.settings.pause;
        let stopped = self.change(|state| {
            let mut stopped = Vec::new();
            let mut hit = |entry: &mut Entry| {
                let _ = entry.fate.set(Lost::Stopped(how));
                entry.left = true;
                if let Some(acting) = &entry.acting {
                    acting.cancel();
                }
                told.extend(entry.stop.take());
                if !entry.is_quiet() {
                    stopped.push(entry.party());
                }
            };
            state.holder.iter_mut().filter(|holder| !holder.left).for_each(&mut hit);
            state.queue.iter_mut().filter(|entry| entry.rank == Rank::Displaced).for_each(&mut hit);
            state.queue.retain(|entry| !entry.left);
            state.dirty = true;
            if !stopped.is_empty() {
                let names = stopped.iter().map(|party| party.name.clone()).collect();
                state.emergency = Some(Emergency { how, by: by.clone(), at: SystemTime::now(), stopped: names });
                if !pause.is_zero() {
                    state.last += 1;
                    state.queue.push_front(Entry {
                        id: state.last,
                        who: Who::person("the emergency stop".to_owned(), None, true),
                        since: SystemTime::now(),
                        rank: Rank::Takes,
                        acting: None,
                        left: false,
                        until: Some(Instant::now() + pause),
                        fate: Arc::default(),
                        stop: None,
                        held: Released::default(),
                    });
                }
            }
            stopped
        });
        if !stopped.is_empty() {
            let names: Vec<_> = stopped.iter().map(|party| party.name.as_str()).collect();
            tracing::warn!(how = how.as_str(), by, stopped = names.join(", "), "emergency stop");
        }
        let why = Stopped { how, by };
        for tell in told {
            tell(&why);
        }
        stopped
    }

    /// Whether somebody has the turn.
    pub(super) fn is_taken(self: &Arc<Self>) -> bool {
        self.look(|state| state.holder.is_some())
    }

    /// Whether there is anything that an emergency stop would end.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only X displays are listened to"))]
    pub(super) fn is_armed(self: &Arc<Self>) -> bool {
        self.look(|state| {
            let holds = state.holder.as_ref().is_some_and(|holder| !holder.left && !holder.is_quiet());
            holds || state.queue.iter().any(|entry| entry.rank == Rank::Displaced)
        })
    }

    /// Whether something is being done, or let go, just now.
    pub(super) fn is_busy(self: &Arc<Self>) -> bool {
        self.look(|state| state.sweeping || state.dirty || state.holder.as_ref().is_some_and(|holder| holder.acting.is_some()))
    }

    /// Who has it.
    pub(super) fn holder(self: &Arc<Self>) -> Option<String> {
        self.look(|state| state.holder.as_ref().map(|holder| holder.who.name.to_string()))
    }

    /// The person who has it, with the number of their place.
    pub(super) fn person(self: &Arc<Self>) -> Option<(u64, String)> {
        self.look(|state| {
            let person = state.holder.as_ref().filter(|holder| holder.is_person() && !holder.left);
            person.map(|person| (person.id, person.who.name.to_string()))
        })
    }

    /// Who waits for it, the next one first.
    pub(super) fn waiting(self: &Arc<Self>) -> Vec<String> {
        self.look(|state| state.queue.iter().map(|entry| entry.who.name.to_string()).collect())
    }

    /// Who stands where.
    pub(super) fn controls(self: &Arc<Self>) -> Controls {
        self.look(|state| {
            let (requests, waiting) = state.queue.iter().partition::<Vec<_>, _>(|entry| entry.is_person());
            let parties = |entries: Vec<&Entry>| entries.into_iter().map(Entry::party).collect();
            Controls {
                holder: state.holder.as_ref().filter(|holder| !holder.left).map(Entry::party),
                requests: parties(requests),
                waiting: parties(waiting),
                emergency: state.emergency.clone(),
            }
        })
    }

    /// Hears of each change from now on.
    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Resolves after a change that `heard` has not heard of, also where somebody's time is over. May be dropped while it waits.
    pub(super) async fn changed(self: &Arc<Self>, heard: &mut watch::Receiver<u64>) {
        loop {
            let end = self.lock().next_end();
            let late = async {
                match end {
                    Some(end) => tokio::time::sleep_until(end.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = heard.changed() => return,
                // Looking is what ends it, which is a change.
                () = late => self.look(|_| ()),
            }
        }
    }
}
