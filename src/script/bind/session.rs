//! `Session`: a shell in a terminal, as a script uses it.

use std::cell::Cell;
use std::rc::Rc;

use rhai::plugin::*;
use rhai::{Engine, Map};

use crate::error::{Failure, Kind};
use crate::host::protocol::Call;
use crate::script::steps::{call, call_for};
use crate::script::values::{Returned, raise};
use crate::shell::{CommandOptions, Found, ScreenText, SessionPlace, ShellType, WaitFor};

/// Seconds that are waited for text where nobody says how long.
const PATIENCE: f64 = 10.0;

/// A session, and how much of what it printed the script has dealt with: the same wherever the value goes.
#[derive(Debug, Clone)]
pub struct Session {
    id: Rc<str>,
    shell: ShellType,
    place: Rc<Cell<u64>>,
}

impl Session {
    pub(super) fn new(SessionPlace { session_id, shell, place }: SessionPlace) -> Self {
        Self { id: session_id.into(), shell, place: Rc::new(Cell::new(place)) }
    }
}

pub(super) fn register_types(engine: &mut Engine) {
    engine.register_type_with_name::<Session>("Session").register_global_module(rhai::exported_module!(methods).into());
}

/// Properties and methods of `Session`.
#[export_module]
mod methods {
    /// The session's id: for `shell::session`, REST and `/ws/shell/{id}`.
    ///
    /// ```rhai
    /// assert(shell::open().id.len() == 36);
    /// ```
    #[rhai_fn(get = "id", pure)]
    pub fn id(session: &mut Session) -> String {
        session.id.to_string()
    }

    /// The name of its shell.
    ///
    /// ```rhai
    /// assert(shell::open().shell == "bash");
    /// ```
    #[rhai_fn(get = "shell", pure)]
    pub fn shell(session: &mut Session) -> String {
        session.shell.as_str().to_owned()
    }

    /// Runs a command in the session and waits for it, at most 30 seconds: a map as of `shell::run`. Whoever looks sees it run.
    ///
    /// One that runs out of time is interrupted, and the session lives on.
    ///
    /// ```rhai
    /// let session = shell::open();
    /// session.run("answer=42");
    /// assert(session.run("echo $answer; false").exit_code == 1);
    /// ```
    #[rhai_fn(name = "run", return_raw, pure)]
    pub fn run(context: NativeCallContext, session: &mut Session, command: &str) -> Returned<Dynamic> {
        super::run_for(&context, session, command, CommandOptions::default().timeout)
    }

    /// The same, with the seconds it may take, up to 300.
    ///
    /// ```rhai
    /// let session = shell::open();
    /// assert(session.run("sleep 9", 0.3).timed_out);
    /// assert(session.run("echo still there").output == "still there\n");
    /// ```
    #[rhai_fn(name = "run", return_raw, pure)]
    pub fn run_within(context: NativeCallContext, session: &mut Session, command: &str, timeout: Dynamic) -> Returned<Dynamic> {
        let timeout = super::seconds(&context, &timeout)?;
        super::run_for(&context, session, command, timeout)
    }

    /// Types a text, whatever runs in the session. `"\r"` is the Enter key, `"\x03"` Ctrl-C, `"\x1b"` Escape.
    ///
    /// Raises `CONFLICT` where the session has ended, `RATE_LIMITED` where what runs does not read.
    ///
    /// ```rhai
    /// let session = shell::open();
    /// session.send("read -p 'name? ' name; echo hello $name\r");
    /// session.wait_for(`^name\? `);
    /// session.send("Ada\r");
    /// session.wait_for("^hello Ada");
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn send(context: NativeCallContext, session: &mut Session, text: &str) -> Returned<Dynamic> {
        call(&context, Call::ShellSend { session_id: session.id.to_string(), text: text.to_owned() })
    }

    /// Waits up to 10 seconds until a regular expression matches what the session printed: a map of `text` (what matched), `groups` and
    /// `before` (what stood before it).
    ///
    /// What a match was found in, and everything before it, counts no more for the next one. Colours and other control sequences are no
    /// part of the text; what was typed is, where the terminal shows it. `^` and `$` match at lines. While a program fills the screen
    /// (`vim`, `less`), the screen as it is then is what has to match.
    ///
    /// Raises `TIMEOUT` where it does not come, and `CONFLICT` where the session ends before, both with what the screen showed in the
    /// message and in `details.screen`.
    ///
    /// ```rhai
    /// let session = shell::open();
    /// session.send("echo total: $((6 * 7)) EUR\r");
    /// assert(session.wait_for(`total: (\d+)`).groups[0] == "42");
    /// ```
    #[rhai_fn(name = "wait_for", return_raw, pure)]
    pub fn wait_for(context: NativeCallContext, session: &mut Session, pattern: &str) -> Returned<Dynamic> {
        super::wait(&context, session, pattern, PATIENCE)
    }

    /// The same, with the seconds to wait, up to 300.
    ///
    /// ```rhai
    /// let session = shell::open();
    /// let caught = ();
    /// try { session.wait_for("never", 0.2); } catch (error) { caught = error; }
    /// assert(caught.code == "TIMEOUT" && caught.message.contains("The screen showed"));
    /// ```
    #[rhai_fn(name = "wait_for", return_raw, pure)]
    pub fn wait_for_within(context: NativeCallContext, session: &mut Session, pattern: &str, timeout: Dynamic) -> Returned<Dynamic> {
        let timeout = super::seconds(&context, &timeout)?;
        super::wait(&context, session, pattern, timeout)
    }

    /// What the terminal shows now, or showed last where the session has ended: its lines, without blanks at their ends and empty lines at
    /// the end.
    ///
    /// ```rhai
    /// let session = shell::open();
    /// session.run("clear; printf 'one\\ntwo\\n'");
    /// assert(session.screen().contains("one\ntwo"));
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn screen(context: NativeCallContext, session: &mut Session) -> Returned<String> {
        let screen: ScreenText = call_for(&context, Call::ShellScreen { session_id: session.id.to_string() })?;
        Ok(screen.text)
    }

    /// Ends the session with everything that runs in it. One that has ended stays so.
    ///
    /// ```rhai
    /// let session = shell::open();
    /// session.close();
    /// session.close();
    /// ```
    #[rhai_fn(return_raw, pure)]
    pub fn close(context: NativeCallContext, session: &mut Session) -> Returned<Dynamic> {
        call(&context, Call::ShellClose { session_id: session.id.to_string() })
    }
}

fn run_for(context: &NativeCallContext, session: &Session, command: &str, timeout: f64) -> Returned<Dynamic> {
    let session_id = session.id.to_string();
    let options = CommandOptions { timeout, session_id: Some(session_id.clone()), ..CommandOptions::default() };
    let done = call(context, Call::ShellRun { shell: session.shell.as_str().to_owned(), command: command.to_owned(), options })?;
    // What it printed is in the answer, and is not waited for. A command that ended the session leaves nothing to wait for.
    if let Ok(SessionPlace { place, .. }) = call_for(context, Call::ShellSession { session_id }) {
        session.place.set(place);
    }
    Ok(done)
}

fn wait(context: &NativeCallContext, session: &Session, pattern: &str, timeout: f64) -> Returned<Dynamic> {
    let wait = WaitFor { pattern: pattern.to_owned(), timeout, after: session.place.get() };
    let Found { text, groups, before, place } = call_for(context, Call::ShellWaitFor { session_id: session.id.to_string(), wait })?;
    session.place.set(place);
    let groups: rhai::Array = groups.into_iter().map(|group| group.map_or(Dynamic::UNIT, Dynamic::from)).collect();
    Ok(Map::from([("text".into(), text.into()), ("groups".into(), groups.into()), ("before".into(), before.into())]).into())
}

/// A number of seconds, whole or not.
fn seconds(context: &NativeCallContext, value: &Dynamic) -> Returned<f64> {
    match value.as_float().or_else(|_| value.as_int().map(super::time::whole)) {
        Ok(seconds) if seconds.is_finite() => Ok(seconds),
        Ok(_) => {
            let failure = Failure::new(Kind::ValidationError, "a timeout is a number of seconds, and this is none");
            Err(raise(failure, context.call_position()))
        }
        Err(kind) => {
            let failure = Failure::new(Kind::ValidationError, format!("a timeout is a number of seconds, not {kind}"));
            Err(raise(failure, context.call_position()))
        }
    }
}
