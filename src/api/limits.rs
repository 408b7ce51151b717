//! How often somebody may knock: requests a minute of each class for each key or peer, and wrong keys for each peer.
//!
//! Both tables are bounded: where too many peers come at once, the newest share one place.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, Method};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use serde_json::json;

use super::error::Error;
use crate::error::{Failure, Kind};

/// So many are told apart.
const MOST: usize = 10_000;
/// The time that everything here is counted in.
const MINUTE: Duration = Duration::from_secs(60);
/// So many wrong keys a peer may show within a minute.
const WRONG: u32 = 20;

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// A key, wherever it is used.
    Key(Arc<str>),
    /// Whoever shows none.
    Peer(IpAddr),
}

/// What is counted by itself: whoever moves the pointer a lot may still do everything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Looking.
    Look,
    /// Changing something.
    Change,
    /// Mouse, keyboard and clipboard, but the pointer's moves.
    Input,
    /// Moving the pointer.
    Pointer,
}

impl Class {
    /// The class of a request.
    pub(crate) fn of(method: &Method, path: &str) -> Self {
        let path = path.trim_matches('/');
        match path.strip_prefix("api/automation/") {
            _ if method.is_safe() => Self::Look,
            Some("mouse/move") => Self::Pointer,
            Some(_) => Self::Input,
            None => Self::Change,
        }
    }
}

/// Requests a minute, of each class.
pub(crate) struct Rate {
    quota: Quota,
    clock: DefaultClock,
    each: Places<(Who, Class), Arc<DefaultDirectRateLimiter>>,
}

/// Wrong keys a minute.
#[derive(Default)]
pub(crate) struct WrongKeys {
    peers: Places<IpAddr, Window>,
}

/// A minute and what happened in it.
#[derive(Debug, Clone, Copy)]
struct Window {
    began: Instant,
    count: u32,
}

/// At most [`MOST`] things, by whom they belong to; what nobody used for a minute goes first.
struct Places<K, V> {
    places: Mutex<HashMap<K, (Instant, V)>>,
}

impl<K, V> Default for Places<K, V> {
    fn default() -> Self {
        Self { places: Mutex::default() }
    }
}

impl<K: Hash + Eq + Clone, V> Places<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, (Instant, V)>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works with the place of `who`, or with the common one where all are taken.
    fn with<T>(&self, who: &K, common: &K, new: impl FnOnce() -> V, work: impl FnOnce(&mut V) -> T) -> T {
        let mut places = self.lock();
        let now = Instant::now();
        if !places.contains_key(who) && places.len() >= MOST {
            places.retain(|_, (used, _)| now.duration_since(*used) < MINUTE);
        }
        let owner = if places.contains_key(who) || places.len() < MOST { who } else { common };
        let (used, value) = places.entry(owner.clone()).or_insert_with(|| (now, new()));
        *used = now;
        work(value)
    }
}

impl Rate {
    /// So many a minute for each; all of them may come at once.
    pub(crate) fn new(a_minute: u32) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(a_minute).unwrap_or(NonZeroU32::MIN));
        Self { quota, clock: DefaultClock::default(), each: Places::default() }
    }

    /// Counts one request.
    pub(crate) fn spend(&self, who: &Who, class: Class) -> Result<(), Error> {
        let common = (Who::Peer(IpAddr::V6(Ipv6Addr::UNSPECIFIED)), class);
        let limiter =
            self.each.with(&(who.clone(), class), &common, || Arc::new(RateLimiter::direct(self.quota)), |limiter| Arc::clone(limiter));
        limiter.check().map_err(|early| {
            let wait = early.wait_time_from(self.clock.now());
            let limit = self.quota.burst_size().get();
            let message = format!("more than {limit} requests of this kind a minute: wait, or raise RATE_LIMIT_REQUESTS_PER_MINUTE");
            later(message, wait)
        })
    }
}

impl WrongKeys {
    /// Refuses a peer that showed too many wrong keys within the last minute. A right one is refused as well: otherwise whoever
    /// guesses would learn which it is, as fast as before.
    pub(crate) fn check(&self, peer: IpAddr) -> Result<(), Error> {
        let peers = self.peers.lock();
        let Some((_, window)) = peers.get(&peer).filter(|(_, window)| window.count >= WRONG) else { return Ok(()) };
        let left = MINUTE.saturating_sub(window.began.elapsed());
        if left.is_zero() {
            return Ok(());
        }
        Err(later(format!("{WRONG} wrong keys came from {peer} within a minute: wait, and look at what sends them"), left))
    }

    /// Counts a wrong key.
    pub(crate) fn note(&self, peer: IpAddr) {
        let new = || Window { began: Instant::now(), count: 0 };
        let count = self.peers.with(&peer, &IpAddr::V6(Ipv6Addr::UNSPECIFIED), new, |window| {
            if window.began.elapsed() >= MINUTE {
                *window = new();
            }
            window.count = window.count.saturating_add(1);
            window.count
        });
        if count == WRONG {
            tracing::warn!(%peer, "{WRONG} wrong keys within a minute: this peer has to wait");
        }
    }
}

/// Those who share a network of IPv6 are one: each of them has more addresses than there are places.
pub(crate) fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        address => address,
    }
}

fn later(message: String, wait: Duration) -> Error {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let error: Error = Failure::new(Kind::RateLimited, message).with(json!({ "retry_after": seconds })).into();
    error.with_header(RETRY_AFTER, HeaderValue::from(seconds.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u32) -> IpAddr {
        IpAddr::from(number.to_be_bytes())
    }

    #[test]
    fn each_has_a_budget_of_their_own() {
        let rate = Rate::new(3);
        let (one, other) = (Who::Key("one".into()), Who::Key("other".into()));
        for _ in 0..3 {
            rate.spend(&one, Class::Look).unwrap();
        }
        assert_eq!(rate.spend(&one, Class::Look).unwrap_err().failure().code, Kind::RateLimited);
        rate.spend(&other, Class::Look).unwrap();
        rate.spend(&Who::Peer(peer(1)), Class::Look).unwrap();
    }

    #[test]
    fn moving_the_pointer_leaves_the_rest_of_the_budget_alone() {
        let rate = Rate::new(2);
        let who = Who::Peer(peer(1));
        let ask = |method: Method, path: &str| rate.spend(&who, Class::of(&method, path));
        for _ in 0..2 {
            ask(Method::POST, "/api/automation/mouse/move/").unwrap();
        }
        assert!(ask(Method::POST, "/api/automation/mouse/move").is_err());
        for (method, path) in [
            (Method::POST, "/api/automation/mouse/click"),
            (Method::POST, "/api/workflows/"),
            (Method::GET, "/api/automation/mouse/position"),
        ] {
            ask(method, path).unwrap();
        }
        // A click and a key are of one kind.
        ask(Method::POST, "/api/automation/keyboard/type").unwrap();
        assert!(ask(Method::POST, "/api/automation/mouse/click").is_err());
    }

    #[test]
    fn the_tables_do_not_grow_without_end() {
        let (rate, wrong) = (Rate::new(1), WrongKeys::default());
        for number in 0..(MOST as u32 + 50) {
            let _ = rate.spend(&Who::Peer(peer(number)), Class::Look);
            wrong.note(peer(number));
        }
        assert!(rate.each.lock().len() <= MOST + 1 && wrong.peers.lock().len() <= MOST + 1);
        // Those without a place share one, which is spent.
        assert!(rate.spend(&Who::Peer(peer(u32::MAX)), Class::Look).is_err());
    }

    #[test]
    fn twenty_wrong_keys_close_the_door_to_one_peer_only() {
        let wrong = WrongKeys::default();
        for _ in 0..WRONG {
            wrong.check(peer(1)).unwrap();
            wrong.note(peer(1));
        }
        assert!(wrong.check(peer(1)).is_err());
        wrong.check(peer(2)).unwrap();
    }

    #[test]
    fn neighbours_in_ipv6_are_one() {
        let network = |text: &str| network(text.parse().unwrap());
        assert_eq!(network("2001:db8:1:2:3::4"), network("2001:db8:1:2:ffff::1"));
        assert_ne!(network("2001:db8:1:2::1"), network("2001:db8:1:3::1"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
    }
}
