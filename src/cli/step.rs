//! `trae run --step`: each step is shown before it begins, and begins when the person at the terminal lets it.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use trae::error::Failure;
use trae::host::protocol::{Json, Pause};
use trae::runs::Stepper;

/// What can be said at a step.
const HELP: &str = "Enter: run it   i [STEP]: what it works on, or what a step put out   c: go on to the end   q: stop";

/// The person at the terminal.
#[derive(Debug, Default)]
pub(super) struct AtTerminal {
    state: Mutex<State>,
    /// Cancelled once the person wants the run to stop.
    pub(super) stop: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    goes_on: bool,
    /// What the steps put out so far.
    outputs: BTreeMap<String, Option<Json>>,
}

impl AtTerminal {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks until the step may begin. False where the run is to stop.
    fn ask(&self, pause: &Pause) -> bool {
        let kind = pause.node_type.as_ref().map_or_else(String::new, |node_type| format!(" ({node_type})"));
        self.say(&format!("next: {}{kind}", pause.step_id));
        loop {
            if self.state().goes_on {
                return true;
            }
            self.prompt();
            let mut said = String::new();
            // Nobody is there any more: as good as stopping.
            if !matches!(std::io::stdin().lock().read_line(&mut said), Ok(length) if length > 0) {
                return false;
            }
            match said.trim().split_once(' ').unwrap_or((said.trim(), "")) {
                ("" | "n" | "s", _) => return true,
                ("c", _) => self.state().goes_on = true,
                ("q", _) => return false,
                ("i", "") => self.say(&format!("input: {}", pause.input.get())),
                ("i", step) => match self.state().outputs.get(step.trim()) {
                    Some(output) => self.say(&format!("{}: {}", step.trim(), output.as_ref().map_or("null", |output| output.get()))),
                    None => self.say("no step of that id is over"),
                },
                _ => self.say(HELP),
            }
        }
    }

    fn say(&self, text: &str) {
        // A terminal that is gone is noticed at the next question.
        drop(writeln!(std::io::stderr(), "{text}"));
    }

    fn prompt(&self) {
        drop(write!(std::io::stderr(), "> "));
        drop(std::io::stderr().flush());
    }
}

impl Stepper for AtTerminal {
    fn heard(&self, step_id: &str, output: Option<&Json>) {
        self.state().outputs.insert(step_id.to_owned(), output.cloned());
    }

    fn pause(&self, pause: Pause) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let goes_on = tokio::task::block_in_place(|| self.ask(&pause));
            if !goes_on {
                self.stop.cancel();
                // The run is cancelled meanwhile, and with it this.
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }
}
