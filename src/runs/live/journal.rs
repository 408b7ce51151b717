//! What the host sees of a run that is going on.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::super::event::Happening;
use super::super::{Error, held_up, masked, values, waits};
use super::Live;
use crate::error::Failure;
use crate::host::protocol::{Past, Pause, Record, Wait};
use crate::host::{Answer, Journal, StepPicture, Waited};
use crate::store::runs::{LogRow, Write};

/// A run, for the host.
pub(in crate::runs) struct LiveJournal(pub(in crate::runs) Arc<Live>);

impl Journal for LiveJournal {
    fn record(&self, record: Record) {
        let live = &self.0;
        let record = masked::record(record);
        let mut state = live.state();
        if state.closed {
            return;
        }
        match record {
            Record::StepStarted(step) => live.step_started(&mut state, step),
            Record::StepFinished(step) => live.step_finished(&mut state, step),
            Record::Note { step_id, attempt, note } => {
                let name = (step_id, attempt);
                if let Some(seq) = state.open.get(&name).map(|(seq, _)| *seq) {
                    state.noted.insert(name);
                    live.write(&mut state, Write::StepNote { run: live.key, seq, note });
                }
            }
            Record::Loose => {
                if !std::mem::replace(&mut state.loose, true) {
                    live.write(&mut state, Write::RunLoose(live.key));
                }
            }
            Record::Would(would) => {
                if let Some(name) = state.innermost.clone() {
                    state.would.entry(name).or_default().push(would);
                }
            }
            Record::Log { level, message, at, loose } => {
                let id = state.number();
                live.tell(&state, id, at, || Happening::Log { level: level.clone(), message: message.clone() });
                let row = LogRow { event_id: id, at, level, message, loose };
                live.write(&mut state, Write::Log { run: live.key, row });
            }
        }
    }

    fn durable(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async {
            if let Some(failure) = self.0.state().refused.clone() {
                return Err(failure);
            }
            self.0.inner.store.durable().await.map_err(|error| Error::from(error).into())
        })
    }

    fn respond(&self, answer: Answer) {
        let answer = masked::answer(answer);
        let live = Arc::clone(&self.0);
        {
            let mut state = live.state();
            if std::mem::replace(&mut state.answered, true) {
                return;
            }
            state.answer = Some(answer.body.clone());
        }
        // On the writing thread, so that the caller is woken once, with everything on record.
        self.0.inner.store.when_durable(move |committed| {
            let answer = committed.map(|()| Arc::new(answer)).map_err(|error| {
                let failure = Failure::from(Error::from(error));
                live.refuse(failure.clone());
                failure
            });
            live.progress.send_modify(|progress| progress.answer = Some(answer));
        });
    }

    fn picture(&self, picture: StepPicture) {
        values::keep_picture(&self.0.inner.store, self.0.key, picture);
    }

    fn wait(&self, wait: Wait, within: Option<Duration>, cancel: CancellationToken) -> BoxFuture<'_, Result<Waited, Failure>> {
        Box::pin(waits::wait(Arc::clone(&self.0), wait, within, cancel))
    }

    fn past(&self) -> BoxFuture<'_, Result<Past, Failure>> {
        Box::pin(self.0.past())
    }

    fn held_up(&self, person: &str) -> Box<dyn Send> {
        Box::new(held_up::show(&self.0, person))
    }

    fn stop(&self, why: Failure) {
        self.0.stop(why);
    }

    fn pause(&self, pause: Pause) -> BoxFuture<'_, Result<(), Failure>> {
        match &self.0.stepper {
            Some(stepper) => stepper.pause(pause),
            None => Box::pin(async { Ok(()) }),
        }
    }
}
