//! When something is due: cron patterns in a time zone, and fixed intervals. Knows no clock: it is asked what comes after when.
//!
//! Cron patterns are read by the clock on the wall. An hour that the clock leaps over is made up for at the first instant after the gap,
//! once; an hour that comes twice counts once. A pattern for every hour (`*/15 * * * *`) goes by the hours that really pass instead:
//! it neither pauses for an hour nor makes up for one that never was.

use chrono::{DateTime, Duration, LocalResult, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Year};

/// Microseconds of a second.
const SECOND: i64 = 1_000_000;
/// The longest interval.
const LONGEST: i64 = 366 * 24 * 3600 * SECOND;

/// When something is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule(When);

/// Whose clock counts: a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(Tz);

impl Zone {
    /// The time zone of that name, as the IANA database spells it.
    ///
    /// # Errors
    /// A sentence.
    pub fn named(name: &str) -> Result<Self, String> {
        let unknown = |_| format!("there is no time zone {name:?}: name one of the IANA database, such as \"Europe/Berlin\" or \"UTC\"");
        name.parse().map(Self).map_err(unknown)
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(Tz::UTC)
    }
}

#[derive(Debug, Clone, PartialEq)]
enum When {
    Cron {
        cron: Box<Cron>,
        zone: Tz,
        /// Whether it names every hour, so that only real time counts.
        every_hour: bool,
    },
    /// So many microseconds apart.
    Every(i64),
}

impl Schedule {
    /// A cron pattern of five fields, or of six with seconds in front, by the clock of `zone`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the pattern.
    pub fn cron(pattern: &str, Zone(zone): Zone) -> Result<Self, String> {
        let wrong = |why: &str| {
            format!(
                "{pattern:?} is no cron pattern ({why}): write minute, hour, day, month and weekday, such as \"30 7 * * MON-FRI\", with seconds in front where they matter"
            )
        };
        if pattern.len() > 256 {
            return Err(wrong("it is longer than 256 characters"));
        }
        let parser = CronParser::builder().year(Year::Disallowed).build();
        let cron = parser.parse(pattern).map_err(|error| wrong(error.to_string().trim_end_matches('.')))?;
        let every_hour = (0..24).all(|hour| matches!(cron.pattern.hour_match(hour), Ok(true)));
        let schedule = Self(When::Cron { cron: Box::new(cron), zone, every_hour });
        // 2000 was a leap year, and saw every weekday on every date within 28 years.
        match schedule.next(946_684_800 * SECOND, 0) {
            Some(_) => Ok(schedule),
            None => Err(format!("{pattern:?} names a day that there never is, so it would never be due")),
        }
    }

    /// A fixed interval, such as `90s`, `5m`, `1h30m` or `2d`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn every(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no interval: write a number and a unit, such as \"30s\", \"5m\", \"2h\" or \"1d\"");
        let (mut period, mut number) = (0_i64, String::new());
        for c in text.trim().chars() {
            let unit = match c {
                '0'..='9' => {
                    number.push(c);
                    continue;
                }
                's' => 1,
                'm' => 60,
                'h' => 3600,
                'd' => 24 * 3600,
                _ => return Err(wrong()),
            };
            let count: i64 = number.parse().map_err(|_| wrong())?;
            number.clear();
            period = count.checked_mul(unit * SECOND).and_then(|part| period.checked_add(part)).ok_or_else(wrong)?;
        }
        if period == 0 || !number.is_empty() {
            return Err(wrong());
        }
        if period > LONGEST {
            return Err(format!("{text:?} is longer than a year: use a cron pattern, such as \"0 0 1 1 *\""));
        }
        Ok(Self(When::Every(period)))
    }

    /// The first instant after `after` at which it is due; microseconds since 1970. `anchor` is from when intervals are counted.
    pub fn next(&self, after: i64, anchor: i64) -> Option<i64> {
        match &self.0 {
            When::Every(period) => {
                let passed = after.checked_sub(anchor)?.div_euclid(*period);
                anchor.checked_add(passed.checked_add(1)?.checked_mul(*period)?)
            }
            When::Cron { cron, zone, every_hour } => {
                // The whole second in which it is: what is due comes on whole seconds.
                let after = DateTime::from_timestamp(after.div_euclid(SECOND), 0)?;
                let next = if *every_hour { by_real_time(cron, *zone, after) } else { by_the_wall(cron, *zone, after) };
                Some(next?.timestamp() * SECOND)
            }
        }
    }

    /// What came due after `after` and up to `now`: the newest `most` instants, oldest first, and whether there were more.
    pub fn due(&self, after: i64, now: i64, anchor: i64, most: usize) -> (Vec<i64>, bool) {
        // A server that was off for a year must not go through each of its seconds: looks back further only while it finds too little.
        let mut window = 60 * SECOND;
        loop {
            let from = after.max(now.saturating_sub(window));
            let mut due = Vec::new();
            let mut last = from;
            while let Some(next) = self.next(last, anchor).filter(|next| *next <= now) {
                due.push(next);
                last = next;
            }
            if from == after || due.len() > most {
                let more = due.len() > most || from > after && self.next(after, anchor).is_some_and(|first| first <= from);
                let newest = due.split_off(due.len().saturating_sub(most));
                return (newest, more);
            }
            window = window.saturating_mul(8);
        }
    }
}

/// Every instant at which the clock on the wall fits.
fn by_real_time(cron: &Cron, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let next = cron.find_next_occurrence(&after.with_timezone(&zone), false).ok()?;
    Some(next.with_timezone(&Utc))
}

/// Every time of the clock on the wall that fits, once.
fn by_the_wall(cron: &Cron, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut wall = after.with_timezone(&zone).naive_local();
    loop {
        wall = cron.find_next_occurrence(&wall.and_utc(), false).ok()?.naive_utc();
        let instant = match zone.from_local_datetime(&wall) {
            LocalResult::Single(instant) | LocalResult::Ambiguous(instant, _) => instant.with_timezone(&Utc),
            LocalResult::None => after_gap(zone, wall)?,
        };
        if instant > after {
            return Some(instant);
        }
    }
}

/// The first instant after the gap in which `wall` lies.
fn after_gap(zone: Tz, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    // Zones have leapt over a whole day.
    let known = |step: i64| {
        let mut near = (1..=4 * 49).map(|quarters| wall + Duration::minutes(15 * quarters * step));
        near.find_map(|near| zone.from_local_datetime(&near).earliest()).map(|found| found.with_timezone(&Utc))
    };
    let (mut before, mut behind) = (known(-1)?, known(1)?);
    let offset = |instant: DateTime<Utc>| zone.offset_from_utc_datetime(&instant.naive_utc()).fix();
    let old = offset(before);
    while behind - before > Duration::seconds(1) {
        let middle = before + Duration::seconds((behind - before).num_seconds() / 2);
        if offset(middle) == old {
            before = middle;
        } else {
            behind = middle;
        }
    }
    Some(behind)
}
