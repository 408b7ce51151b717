//! One round: a data folder whose server is killed a few times, until it may live and everything comes to its end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::book::Book;
use crate::check::{self, Broken};
use crate::clients::{self, Client};
use crate::seed::Seed;
use crate::server::{Exit, Server, Started, orphans};

/// A server that was told where to die and does not come by there lives at most so long.
const LONGEST: Duration = Duration::from_millis(2500);

/// What all rounds share.
pub struct World {
    /// The X display that is looked at.
    pub display: String,
    /// The places at which a server can be told to die.
    pub points: Vec<String>,
    /// How the servers are wrong, where they are to be.
    pub mutant: Option<&'static str>,
    /// Where the data folders lie.
    pub folder: PathBuf,
}

/// What came of a round.
#[derive(Debug, Default)]
pub struct Outcome {
    pub broken: Broken,
    /// How it was killed, each time.
    pub kills: Vec<String>,
    /// The places at which it died.
    pub died_at: Vec<String>,
    pub promises: usize,
    pub runs: usize,
    /// Those of them that a dropped file started.
    pub by_files: usize,
    /// Those that the clock started.
    pub by_the_clock: usize,
    /// Where the data folder was left, if anything is broken.
    pub left: Option<PathBuf>,
}

/// How a server is to die.
enum Death {
    After(Duration),
    At(String),
}

impl Death {
    /// `waking`: the server goes on with what another one left.
    fn choose(world: &World, seed: &mut Seed, waking: bool) -> Self {
        let points: Vec<&String> = world.points.iter().filter(|point| waking || !point.starts_with("recover.")).collect();
        let longest = if waking { 400 } else { 1500 };
        if points.is_empty() || seed.chance(35) {
            return Self::After(Duration::from_millis(seed.below(longest)));
        }
        let recovering: Vec<&String> = points.iter().copied().filter(|point| point.starts_with("recover.")).collect();
        let point = if waking && seed.chance(40) && !recovering.is_empty() { *seed.pick(&recovering) } else { *seed.pick(&points) };
        // The journal is committed all the time, a snapshot is taken now and then.
        let often = if point.starts_with("store.") { 60 } else { 8 };
        Self::At(format!("{point}:{}", 1 + seed.below(often)))
    }
}

/// Goes through one round.
pub async fn live(world: &World, seed: u64) -> Outcome {
    let data = world.folder.join(format!("round-{seed}"));
    let _ = std::fs::remove_dir_all(&data);
    std::fs::create_dir_all(&data).unwrap();
    let book = Arc::new(Book::default());
    let mut outcome = Outcome::default();
    let mut seed = Seed::new(seed);
    let deaths = 2 + seed.below(2);
    for number in 0..deaths {
        let waking = number > 0 && seed.chance(40);
        let death = Death::choose(world, &mut seed, waking);
        suffer(world, &data, &book, death, &mut seed, &mut outcome).await;
        check::effects(&data, &mut outcome.broken);
        if !outcome.broken.is_empty() {
            break;
        }
    }
    if outcome.broken.is_empty() {
        outlive(world, &data, &book, &mut seed, &mut outcome).await;
    }
    outcome.promises = book.open().promises;
    match outcome.broken.is_empty() {
        true => drop(std::fs::remove_dir_all(&data)),
        false => outcome.left = Some(data),
    }
    outcome
}

/// A server is used until it dies.
async fn suffer(world: &World, data: &Path, book: &Arc<Book>, death: Death, seed: &mut Seed, outcome: &mut Outcome) {
    let mut told = told(world);
    match &death {
        Death::At(point) => {
            outcome.kills.push(format!("at {point}"));
            told.push(("TRAE_FAIL_AT", point.clone()));
        }
        Death::After(time) => outcome.kills.push(format!("after {time:?}")),
    }
    let server = Server::start(data, &world.display, &told);
    let mut server = match server.await {
        Started::Up(server) => server,
        Started::Killed => match death {
            Death::At(point) => return outcome.died_at.push(point),
            Death::After(_) => return outcome.broken.push("somebody else killed the server".to_owned()),
        },
        Started::GaveUp(why) => return outcome.broken.push(why),
    };
    let client = Client::new(server.url(), data.join("data/files"), Arc::clone(book), seed.branch());
    let kill_runners = if seed.chance(35) { 1 + seed.below(3) } else { 0 };
    let mut at_random = seed.branch();
    let using = {
        let (client, mut seed) = (client.clone(), seed.branch());
        let mut broken = Vec::new();
        async move {
            if check::promised(&client, &mut broken).await.is_ok() && clients::prepare(&client).await.is_ok() {
                let work = clients::ALL.iter().map(|work| tokio::spawn(work(client.beside(seed.branch()))));
                futures_util::future::join_all(work.collect::<Vec<_>>()).await;
            }
            broken
        }
    };
    let using = tokio::spawn(using);
    let longest = match death {
        Death::After(time) => time,
        Death::At(_) => LONGEST,
    };
    let deadline = Instant::now() + longest;
    let mut runners_due: Vec<Instant> = (0..kill_runners)
        .map(|_| Instant::now() + Duration::from_millis(at_random.below(u64::try_from(longest.as_millis()).unwrap_or(1))))
        .collect();
    let exit = loop {
        if let Some(exit) = server.exited() {
            break Some(exit);
        }
        let now = Instant::now();
        if now >= deadline {
            break server.kill();
        }
        let due = runners_due.len();
        runners_due.retain(|at| *at > now);
        for _ in runners_due.len()..due {
            if server.kill_a_runner(|count| usize::try_from(at_random.below(count as u64)).unwrap_or_default()) {
                book.open().runners_killed += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    match (exit, &death) {
        (Some(Exit::ByItself(how)), _) => outcome.broken.push(format!("the server ended by itself, with {how}")),
        (Some(Exit::Killed), Death::At(point)) => outcome.died_at.push(point.clone()),
        (Some(Exit::Killed), Death::After(_)) => outcome.broken.push("somebody else killed the server".to_owned()),
        (None, _) => {}
    }
    outcome.broken.extend(using.await.unwrap_or_else(|error| vec![format!("a client failed: {error}")]));
    outcome.broken.extend(orphans().await.into_iter().map(|process| format!("the server is gone, and this goes on: {process}")));
}

/// A server that nobody kills: everything is there, and all runs come to their ends.
async fn outlive(world: &World, data: &Path, book: &Arc<Book>, seed: &mut Seed, outcome: &mut Outcome) {
    let mut server = match Server::start(data, &world.display, &told(world)).await {
        Started::Up(server) => server,
        Started::Killed => return outcome.broken.push("somebody else killed the server".to_owned()),
        Started::GaveUp(why) => return outcome.broken.push(why),
    };
    let client = Client::new(server.url(), data.join("data/files"), Arc::clone(book), seed.branch());
    let broken = &mut outcome.broken;
    check::sound(data, broken);
    let checked = async {
        check::promised(&client, broken).await?;
        clients::stop_the_clock(&client).await?;
        let answers = clients::decides(client.beside(seed.branch()));
        tokio::select! {
            over = check::all_over(&client, data, broken) => over?,
            silence = answers => return Err(silence),
        }
        let runs = check::all_runs(&client).await?;
        let effects = check::effects(data, broken);
        check::ends(&client, &runs, &effects, broken).await?;
        (outcome.by_files, outcome.by_the_clock) = check::triggered(&client, data, &runs, broken);
        check::promised(&client, broken).await?;
        Ok::<_, clients::Silence>(runs.len())
    };
    match checked.await {
        Ok(runs) => outcome.runs = runs,
        Err(clients::Silence) => outcome.broken.push("the server does not answer, though nobody killed it".to_owned()),
    }
    if let Some(exit) = server.kill() {
        outcome.broken.push(format!("the server ended by itself: {exit:?}"));
    }
    check::sound(data, &mut outcome.broken);
    outcome.broken.extend(orphans().await.into_iter().map(|process| format!("the server is gone, and this goes on: {process}")));
}

fn told(world: &World) -> Vec<(&'static str, String)> {
    world.mutant.map(|mutant| ("TRAE_MUTANT", mutant.to_owned())).into_iter().collect()
}
