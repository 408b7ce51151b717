//! Looking again and again, until something is as it is wanted or the time is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::words::LONGEST_WAIT;
use super::{Error, Inner, Sight};
use crate::desktop::{Desktop, Ears};

/// Between two looks.
pub(super) const PACE: Duration = Duration::from_millis(100);
/// The same where nothing is heard of a change. What shows no change on the screen is seen so late: a window's title where nothing shows it.
pub(super) const IDLE: Duration = Duration::from_secs(2);

/// A look that has begun goes on for so long, though its time is over: else nothing could be told of what is there.
const GRACE: Duration = Duration::from_secs(5);

/// How long a look may go on.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    pub(super) cancel: CancellationToken,
    /// When it is given up, unless the engine's own limit is nearer.
    pub(super) end: Option<Instant>,
}

/// One look: whether it is as it is wanted, and what there is.
pub(super) type Look<T> = Arc<dyn Fn(&Inner, &Desktop, &Patience) -> Result<(bool, T), Error> + Send + Sync>;

/// How looking ended.
pub(super) enum Ended<T> {
    /// It is as it is wanted; or nobody waits for that.
    Done(T),
    /// The time is over, and it is not.
    Late(T),
}

impl Sight {
    /// Looks once; or where there is a time to `wait`, until it is as it is wanted or that is over, at least once in `idle`. A window that is not
    /// there may come.
    pub(super) async fn look_until<T: Send + 'static>(
        &self,
        desktop: &Arc<Desktop>,
        wait: Option<Duration>,
        idle: Duration,
        cancel: &CancellationToken,
        look: Look<T>,
    ) -> Result<Ended<T>, Error> {
        let started = Instant::now();
        loop {
            // What changes from here on is heard of.
            let ears = wait.and_then(|_| desktop.ears());
            let news = ears.as_ref().map(Ears::listen);
            let again = Arc::clone(&look);
            let end = wait.and_then(|wait| started.checked_add(wait)).map(|end| end.max(Instant::now() + GRACE));
            let looked = self.looking_until(desktop, end, cancel, move |inner, desktop, patience| again(inner, desktop, patience)).await;
            let Some(wait) = wait else {
                return match looked {
                    Ok((_, seen)) => Ok(Ended::Done(seen)),
                    Err(error) => Err(self.explained(desktop, error, cancel).await),
                };
            };
            let left = wait.saturating_sub(started.elapsed());
            match looked {
                Ok((true, seen)) => return Ok(Ended::Done(seen)),
                Ok((false, seen)) if left.is_zero() => return Ok(Ended::Late(seen)),
                Err(error) if left.is_zero() || !error.may_pass() => return Err(self.explained(desktop, error, cancel).await),
                Ok(_) | Err(_) => {}
            }
            let rest = async {
                tokio::time::sleep(PACE.min(left)).await;
                if let Some(news) = news {
                    let _ = tokio::time::timeout(idle.min(left).saturating_sub(PACE), news).await;
                }
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(Error::Cancelled),
                () = rest => {}
            }
        }
    }
}

/// How long to wait, where that is a time.
pub(super) fn time(seconds: Option<f64>) -> Result<Option<Duration>, Error> {
    let Some(seconds) = seconds else { return Ok(None) };
    let valid = Duration::try_from_secs_f64(seconds).ok().filter(|_| seconds <= LONGEST_WAIT);
    let message = || format!("a timeout of {seconds} s is none: give 0 to {LONGEST_WAIT}");
    valid.map(Some).ok_or_else(|| Error::invalid("/timeout", message()))
}
