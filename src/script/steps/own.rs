//! The steps of a script's own.

use std::rc::Rc;

use rhai::{Dynamic, FnPtr, ImmutableString, Map, NativeCallContext};

use super::expect::OwnSettings;
use super::past::Went;
use super::{Run, ended, raised};
use crate::host::protocol::{StepInput, StepOutcome};
use crate::script::error;
use crate::script::values::{Returned, raise, read};

impl Run {
    /// A step of a script's own: runs the function and puts it on record.
    pub(in crate::script) fn own_step(
        self: &Rc<Self>,
        context: &NativeCallContext,
        id: &ImmutableString,
        work: &FnPtr,
        settings: Map,
    ) -> Returned<Dynamic> {
        let settings: OwnSettings = read(settings).map_err(|failure| raise(failure, context.call_position()))?;
        if self.ending.get().is_some() {
            return Err(ended(context.call_position()));
        }
        // What a script's own step gives is the script's to use.
        let last = self.last.borrow().clone();
        let mut started = self.begin(id, None, StepInput::None);
        started.again = self.resumable;
        match self.went(id, context)? {
            Went::New => {}
            Went::Over(output, _) => {
                self.keep(id, output.clone(), None);
                *self.last.borrow_mut() = last;
                return Ok(output);
            }
            // What the script made of the error it makes again.
            Went::On { error: Some(error), .. } => return Err(raised(&error, context.call_position())),
            Went::On { attempts, began_at, .. } => {
                started.attempt = attempts + 1;
                started.started_at = began_at.unwrap_or(started.started_at);
            }
        }
        self.pause(context, &started, &Dynamic::UNIT)?;
        self.enter(started, false, 0);
        let before = match self.look_before(context, settings.expect.as_ref()) {
            Ok(before) => before,
            Err(_) if self.ending.get().is_some() => return Err(ended(context.call_position())),
            Err(error) => {
                let refused = raised(&error, context.call_position());
                self.close(StepOutcome::Failed { error, handle: None });
                return Err(refused);
            }
        };
        match work.call_within_context::<Dynamic>(context, ()) {
            Ok(output) => {
                if let Err(error) = self.look_after(context, settings.expect.as_ref(), before) {
                    let unmet = raised(&error, context.call_position());
                    self.close(StepOutcome::Failed { error, handle: None });
                    return Err(unmet);
                }
                let done = self.succeed(context, id, output.clone(), None).map(|()| output);
                *self.last.borrow_mut() = last;
                done
            }
            Err(raised) if self.ending.get().is_some() => Err(raised),
            Err(raised) => {
                let error = error::of_running(&raised, &self.program);
                self.close(StepOutcome::Failed { error, handle: None });
                Err(raised)
            }
        }
    }
}
