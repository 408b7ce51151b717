//! Parts that do as they are told.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use tokio::sync::Notify;

use super::*;

/// A part that can be made to crash and to fail at its start.
#[derive(Default)]
struct Told {
    crash: Notify,
    broken: AtomicBool,
    starts: AtomicU32,
    stops: AtomicU32,
}

impl Service for Told {
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        self.starts.fetch_add(1, Ordering::SeqCst);
        let broken = self.broken.load(Ordering::SeqCst);
        Box::pin(async move { if broken { Err(Failure::new(Kind::Internal, "no power")) } else { Ok(()) } })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.stops.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {})
    }

    fn crashed(&self) -> BoxFuture<'_, Failure> {
        Box::pin(async {
            self.crash.notified().await;
            Failure::new(Kind::Internal, "it blew up")
        })
    }

    fn details(&self) -> String {
        "well".to_owned()
    }
}

async fn one(part: &Arc<Told>) -> Services {
    let service = Arc::clone(part) as Arc<dyn Service>;
    let services = Services::new();
    assert!(services.enter(Name::Shell).is_err(), "nothing is up before it was started");
    let parts =
        vec![Part { name: Name::Shell, service: Ok(service) }, Part { name: Name::Proxmox, service: Err("set PROXMOX_HOST".to_owned()) }];
    services.start(parts).await;
    services
}

async fn until(services: &Services, status: Status) -> Report {
    loop {
        let report = services.report(Name::Shell).unwrap();
        if report.status == status {
            return report;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_ends_what_works_with_it_and_is_mended_with_growing_pauses() {
    let part = Arc::new(Told::default());
    let services = one(&part).await;
    let session = services.enter(Name::Shell).unwrap();
    part.broken.store(true, Ordering::SeqCst);
    part.crash.notify_one();
    session.cancelled().await;
    let refused = services.enter(Name::Shell).unwrap_err();
    assert_eq!(refused.code, Kind::ServiceUnavailable);
    assert!(refused.message.contains("it blew up"), "{refused}");

    assert_eq!(services.overall(), Overall::Degraded);

    let begun = tokio::time::Instant::now();
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    // 0.25 + 0.5 + 1 + 2 + 4 s: five attempts in the first ten seconds.
    assert_eq!(part.starts.load(Ordering::SeqCst), 6, "after {:?}", begun.elapsed());
    part.broken.store(false, Ordering::SeqCst);
    let report = until(&services, Status::Running).await;
    assert_eq!((report.details.as_str(), report.restarts), ("well", 6));
    assert!(services.enter(Name::Shell).is_ok());
    assert_eq!(services.overall(), Overall::Healthy, "a part that is switched off is no fault");
}

#[tokio::test]
async fn without_what_everything_needs_the_server_is_unhealthy() {
    for (name, overall) in
        [(Name::Storage, Overall::Unhealthy), (Name::GraphExecution, Overall::Unhealthy), (Name::Snapshot, Overall::Degraded)]
    {
        let part = Arc::new(Told::default());
        part.broken.store(true, Ordering::SeqCst);
        let services = Services::new();
        services.start(vec![Part { name, service: Ok(part) }]).await;
        assert_eq!(services.overall(), overall, "{name:?}");
    }
}

#[tokio::test]
async fn a_restart_stops_and_starts_and_a_part_that_is_off_says_why() {
    let part = Arc::new(Told::default());
    let services = one(&part).await;
    let session = services.enter(Name::Shell).unwrap();
    let report = services.restart(Name::Shell).await.unwrap();
    assert!(session.is_cancelled());
    assert_eq!((report.status, report.restarts), (Status::Running, 1));
    assert_eq!((part.starts.load(Ordering::SeqCst), part.stops.load(Ordering::SeqCst)), (2, 1));

    let off = services.restart(Name::Proxmox).await.unwrap_err();
    assert_eq!(off.code, Kind::ServiceUnavailable);
    assert!(off.message.contains("set PROXMOX_HOST"), "{off}");
    assert_eq!(services.report(Name::Proxmox).unwrap().status, Status::Disabled);
    services.stop().await;
    assert_eq!(part.stops.load(Ordering::SeqCst), 2);
    assert!(services.restart(Name::Shell).await.is_err(), "nothing starts after the end");
}
