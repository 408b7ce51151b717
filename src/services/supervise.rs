//! Keeping one part alive: restarts on order, and after a crash by itself, with a pause that grows as long as it keeps failing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Order, Service, Status, Unit};

/// The pause before the first attempt after a crash.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A part that ran for so long is sound again: its next crash begins with the first pause.
const SOUND_AFTER: Duration = Duration::from_secs(60);

/// Runs until it is told to end.
pub(super) async fn keep_alive(unit: Arc<Unit>, service: Arc<dyn Service>, mut orders: mpsc::Receiver<Order>) {
    let mut pause = FIRST_PAUSE;
    let mut up_since = Instant::now();
    loop {
        let running = unit.state().status == Status::Running;
        let order = if running {
            tokio::select! {
                order = orders.recv() => order,
                failure = service.crashed() => {
                    tracing::error!(service = unit.name.as_str(), error = %failure, "a service crashed; it is started again");
                    if up_since.elapsed() >= SOUND_AFTER {
                        pause = FIRST_PAUSE;
                    }
                    unit.bring_down(Status::Failed, Some(failure.message));
                    service.stop().await;
                    continue;
                }
            }
        } else {
            tokio::select! {
                order = orders.recv() => order,
                () = tokio::time::sleep(pause) => {
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    unit.count_restart();
                    unit.bring_up(service.as_ref()).await;
                    up_since = Instant::now();
                    continue;
                }
            }
        };
        match order {
            Some(Order::Restart(reply)) => {
                unit.bring_down(Status::Stopped, None);
                service.stop().await;
                unit.count_restart();
                unit.bring_up(service.as_ref()).await;
                (pause, up_since) = (FIRST_PAUSE, Instant::now());
                let _ = reply.send(());
            }
            Some(Order::End(reply)) => {
                unit.bring_down(Status::Stopped, Some("the server is ending".to_owned()));
                service.stop().await;
                let _ = reply.send(());
                return;
            }
            None => return,
        }
    }
}
