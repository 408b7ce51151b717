//! Compiling the files of the library in runners, before they go live, and keeping those that do.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::host::Host;
use crate::host::protocol::Program;
use crate::runs::Versions;
use crate::script::{Checker, Keeper, LibraryError};

/// So many files are compiled at a time: each takes a process, and there may be hundreds.
const AT_A_TIME: usize = 2;

/// Keeps the files that go live, version by version.
pub(super) struct Kept(pub(super) Versions);

impl Keeper for Kept {
    fn keep(&self, texts: Vec<(String, String)>) -> BoxFuture<'static, bool> {
        self.0.keep_files(texts)
    }
}

/// Compiles files in runners of `host`.
pub(super) struct Checks {
    host: Arc<Host>,
    turns: Turns,
}

impl Checks {
    pub(super) fn new(host: Arc<Host>) -> Self {
        Self { host, turns: Turns::new(AT_A_TIME) }
    }
}

impl Checker for Checks {
    fn check(&self, path: String, program: Program) -> BoxFuture<'static, Option<LibraryError>> {
        let (host, turns) = (Arc::clone(&self.host), self.turns.clone());
        Box::pin(async move {
            let _turn = turns.next().await?;
            LibraryError::of_check(&path, &host.check(program).await)
        })
    }
}

/// So many at a time. Of those who wait, the last one goes first: a file that was just saved does not wait for hundreds that are compiled
/// because the server starts.
#[derive(Clone)]
struct Turns(Arc<Mutex<Queue>>);

struct Queue {
    free: usize,
    waiting: Vec<oneshot::Sender<Turn>>,
}

/// A turn. Dropped, it is the next one's.
struct Turn(Turns);

impl Turns {
    fn new(free: usize) -> Self {
        Self(Arc::new(Mutex::new(Queue { free, waiting: Vec::new() })))
    }

    /// The next turn. None is never: whoever drops one hands it on.
    async fn next(&self) -> Option<Turn> {
        let waiting = {
            let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if queue.free > 0 {
                queue.free -= 1;
                return Some(Turn(self.clone()));
            }
            let (hand, waiting) = oneshot::channel();
            queue.waiting.push(hand);
            waiting
        };
        waiting.await.ok()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let next = {
            let mut queue = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
            let next = queue.waiting.pop();
            queue.free += usize::from(next.is_none());
            next
        };
        // Where that one has gone meanwhile, the turn comes back, and is dropped again.
        if let Some(next) = next {
            drop(next.send(Self(self.0.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_one_goes_first_and_no_turn_is_lost() {
        let turns = Turns::new(1);
        let taken = turns.next().await.unwrap();
        let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(turns.next())).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one.as_mut()).is_pending());
        }
        // The one that came last goes away.
        drop(waiting.pop());
        drop(taken);
        assert!(futures_util::poll!(waiting[0].as_mut()).is_pending());
        let std::task::Poll::Ready(Some(second)) = futures_util::poll!(waiting[1].as_mut()) else { panic!("its turn has come") };
        drop(second);
        assert!(waiting.remove(0).await.is_some());
        assert!(turns.next().await.is_some(), "it is free again");
    }
}
