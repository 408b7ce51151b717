//! Schedules under a clock that tests set: `clock.json` has the cases.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use trae::host::Outcome;
use trae::policy::{Grant, Permissions};
use trae::runs::Runs;
use trae::store::Store;
use trae::triggers::{Clock, Settings, Triggers};

use super::due::{micros, shown};
use crate::runs::fakes::{FakeRunner, drawn, runs_on};

#[derive(Deserialize)]
struct Case {
    name: String,
    /// What the clock shows when the schedule is drawn.
    start: String,
    config: Value,
    /// Runs go on until they are told to end.
    #[serde(default)]
    hold: bool,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    clock: String,
    #[serde(default)]
    restart: bool,
    /// Ends one run.
    #[serde(default)]
    finish: bool,
    switch: Option<bool>,
    fired: Vec<String>,
}

/// A clock that stands until it is set.
#[derive(Default)]
pub struct TestClock {
    now: AtomicI64,
    waits: AtomicU64,
    set: Notify,
}

impl TestClock {
    pub fn at(now: &str) -> Arc<Self> {
        let clock = Self::default();
        clock.now.store(micros(now), Ordering::SeqCst);
        Arc::new(clock)
    }

    /// Sets it, and waits until everything that it makes due was dealt with.
    pub async fn set(&self, now: &str) {
        self.now.store(micros(now), Ordering::SeqCst);
        self.settle().await;
    }

    /// Waits until whoever looks at the clock has done so from beginning to end.
    pub async fn settle(&self) {
        let before = self.waits.load(Ordering::SeqCst);
        let settled = async {
            while self.waits.load(Ordering::SeqCst) < before + 3 {
                self.set.notify_one();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), settled).await.expect("the clock is looked at");
    }
}

impl Clock for TestClock {
    fn now(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    fn wait(&self, _: Duration) -> BoxFuture<'_, ()> {
        self.waits.fetch_add(1, Ordering::SeqCst);
        Box::pin(self.set.notified())
    }
}

/// A server's triggers, without the server.
struct House {
    runs: Runs,
    triggers: Triggers,
    store: Store,
}

/// What was fired, and what lets runs end.
struct World {
    fired: Arc<Mutex<VecDeque<String>>>,
    ends: Arc<Semaphore>,
    clock: Arc<TestClock>,
    hold: bool,
}

impl World {
    async fn open(&self, folder: &Path) -> House {
        let store = Store::open(&folder.join("trae.db")).unwrap();
        let (fired, ends, hold) = (Arc::clone(&self.fired), Arc::clone(&self.ends), self.hold);
        let runner = FakeRunner::new(move |job| {
            let (fired, ends) = (Arc::clone(&fired), Arc::clone(&ends));
            async move {
                let input: Value = serde_json::from_str(job.start.input.get()).unwrap();
                fired.lock().unwrap().push_back(input["scheduled_at"].as_str().unwrap().to_owned());
                if hold {
                    tokio::select! {
                        permit = ends.acquire() => permit.unwrap().forget(),
                        () = job.cancel.cancelled() => return Outcome::Cancelled,
                    }
                }
                Outcome::Succeeded(job.start.input)
            }
        });
        let runs = runs_on(store.clone(), runner);
        let grant = Grant::new(vec![Permissions::all()], folder);
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let triggers = Triggers::new(runs.clone(), Settings { store: store.clone(), grant, clock });
        House { runs, triggers, store }
    }

    /// What was fired since, as soon as it is as much as that; the clock was looked at by then.
    async fn fired(&self, count: usize) -> Vec<String> {
        let enough = async {
            while self.fired.lock().unwrap().len() < count {
                self.clock.settle().await;
            }
        };
        // What is missing is shown by the comparison.
        let _ = tokio::time::timeout(Duration::from_secs(10), enough).await;
        self.clock.settle().await;
        self.fired.lock().unwrap().drain(..).map(|at| shown(micros(&at))[11..19].to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_instant_fires_once_whatever_the_clock_does() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("clock.json")).unwrap();
    for case in cases {
        let folder = tempfile::tempdir().unwrap();
        let clock = TestClock::at(&case.start);
        let world = World { fired: Arc::default(), ends: Arc::new(Semaphore::new(0)), clock, hold: case.hold };
        let mut house = world.open(folder.path()).await;
        let graph =
            json!({ "id": "a", "name": "a", "nodes": [{ "id": "at", "type": "schedule_trigger", "data": case.config }], "edges": [] });
        house.runs.workflows().create(drawn(graph)).await.unwrap();
        house.triggers.arm().await.unwrap();
        world.clock.settle().await;
        for (number, step) in case.steps.iter().enumerate() {
            if step.restart {
                house.triggers.disarm().await;
                house.runs.shutdown().await;
                house.store.close();
                world.clock.now.store(micros(&step.clock), Ordering::SeqCst);
                house = world.open(folder.path()).await;
                house.triggers.arm().await.unwrap();
            }
            if step.finish {
                world.ends.add_permits(1);
            }
            if step.switch == Some(false) {
                house.triggers.enable("a:at", false).await.unwrap();
            }
            world.clock.set(&step.clock).await;
            if step.switch == Some(true) {
                house.triggers.enable("a:at", true).await.unwrap();
            }
            let fired = world.fired(step.fired.len()).await;
            assert_eq!(fired, step.fired, "{}, step {number}", case.name);
            let shown = house.triggers.get("a:at").await.unwrap();
            assert!(
                shown.next_due.is_none_or(|due| due.0 > micros(&step.clock)) && shown.enabled != (step.switch == Some(false)),
                "{shown:?}"
            );
        }
        house.triggers.disarm().await;
        house.runs.shutdown().await;
    }
}
