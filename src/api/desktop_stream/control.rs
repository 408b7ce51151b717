//! Who is at the controls, as one client of the socket hears of it, asks for it and gives it up. What it has ends with the connection.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::desktop::control::ControlView;
use crate::desktop::{Changes, Control, Desktop, Token};
use crate::error::Failure;

/// One client's part in it.
#[derive(Default)]
pub(super) struct Place {
    own: Option<Control>,
    followed: Option<Followed>,
    /// What the client was told last.
    told: Option<Value>,
}

/// The desktop whose controls are followed.
struct Followed {
    name: String,
    changes: Changes,
}

impl Place {
    /// Follows the controls of that desktop from now on; the place at another one is given up.
    pub(super) fn follow(&mut self, desktop: &Arc<Desktop>) {
        if self.followed.as_ref().is_some_and(|followed| followed.name == desktop.name()) {
            return;
        }
        self.followed = Some(Followed { name: desktop.name().to_owned(), changes: desktop.control_changes() });
        self.own = None;
        // That nobody is at the controls goes without saying.
        self.told = self.view().filter(|_| self.is_free());
    }

    /// Resolves with the next change. May be dropped while it waits.
    pub(super) async fn changed(&mut self) {
        match &mut self.followed {
            Some(followed) => followed.changes.next().await,
            None => std::future::pending().await,
        }
    }

    /// Its place from now on.
    pub(super) fn take(&mut self, control: Control) {
        self.own = Some(control);
    }

    /// Gives its place up.
    pub(super) fn give_up(&mut self) -> bool {
        self.own.take().is_some()
    }

    /// What proves that it is at the controls, or waits for them.
    pub(super) fn token(&self) -> Option<Token> {
        self.own.as_ref().map(|own| own.token().clone())
    }

    /// `control`, where the client has not heard of how things stand; and why its place is lost, once.
    pub(super) fn news(&mut self) -> (Option<String>, Option<Failure>) {
        let lost = self.own.as_ref().and_then(Control::lost);
        if lost.is_some() {
            self.own = None;
        }
        let view = self.view().filter(|view| self.told.as_ref() != Some(view));
        if let Some(view) = &view {
            self.told = Some(view.clone());
        }
        (view.map(|view| view.to_string()), lost.map(Failure::from))
    }

    /// Tells it in any case the next time.
    pub(super) fn renew(&mut self) {
        self.told = None;
    }

    fn is_free(&self) -> bool {
        self.followed.as_ref().is_none_or(|followed| {
            let view = ControlView::from(followed.changes.controls()).told();
            view.holder.is_none() && view.requests.is_empty() && view.waiting.is_empty()
        })
    }

    fn view(&self) -> Option<Value> {
        let view = json!(ControlView::from(self.followed.as_ref()?.changes.controls()).told());
        let you = self.own.as_ref().map(|own| json!({ "id": own.id(), "holds": own.holds(), "token": own.token().as_str() }));
        Some(message(view, you))
    }
}

/// The message, with the client's own place.
fn message(mut view: Value, you: Option<Value>) -> Value {
    if let Some(fields) = view.as_object_mut() {
        fields.insert("type".to_owned(), json!("control"));
        fields.insert("you".to_owned(), you.unwrap_or(Value::Null));
    }
    view
}
