//! Watching a screen: one picture for everybody, and none where nothing changes.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use trae::desktop::{Desktop, Desktops, Mode, Settings, Shot, Viewer};
use trae::error::Kind;
use trae::screen::{Look, Region};

use super::display::{Window, eventually};

const LOOK: Look = Look { quality: 80, scale: 0.5 };

fn open() -> (Desktops, Arc<Desktop>) {
    let desktops = Desktops::new(Settings { mode: Mode::Virtual, virtual_size: (800, 600), ..Settings::default() });
    let desktop = desktops.default().unwrap();
    (desktops, desktop)
}

async fn next(viewer: &mut Viewer) -> Arc<Shot> {
    timeout(Duration::from_secs(20), viewer.next()).await.expect("a picture").unwrap()
}

/// Pictures until one shows the colour at the point.
async fn until_seen(viewer: &mut Viewer, (x, y): (u32, u32), colour: [u8; 3]) -> Arc<Shot> {
    loop {
        let shot = next(viewer).await;
        if shot.frame().pixel(x, y) == Some(colour) {
            return shot;
        }
    }
}

/// Waits until a desktop that has just started has nothing more to show.
async fn settle(viewer: &mut Viewer) {
    while timeout(Duration::from_millis(500), viewer.next()).await.is_ok() {}
}

#[tokio::test]
async fn a_change_is_seen_with_its_place_and_an_unchanged_screen_costs_nothing() {
    let (_desktops, desktop) = open();
    let mut viewer = desktop.watch(0, 60).unwrap();
    let first = next(&mut viewer).await;
    assert_eq!(first.changed_since(0), [Region { x: 0, y: 0, width: 800, height: 600 }]);
    settle(&mut viewer).await;
    let (captured, _) = desktop.watching_cost();
    assert!(timeout(Duration::from_secs(1), viewer.next()).await.is_err(), "nothing has changed");
    assert_eq!(desktop.watching_cost().0, captured);

    let window = Window::open_on(desktop.display().unwrap(), (300, 200), (20, 10), 0x12_34_56);
    let before = until_seen(&mut viewer, (310, 205), [0x12, 0x34, 0x56]).await;
    settle(&mut viewer).await;
    window.paint(0xff_80_00);
    let after = until_seen(&mut viewer, (310, 205), [0xff, 0x80, 0]).await;
    let changed = after.changed_since(before.generation());
    assert!(!changed.is_empty() && changed.iter().all(|r| r.width < 200 && r.height < 200), "{changed:?}");
    assert!(changed.iter().any(|r| r.contains(310, 205)), "{changed:?}");
    assert_eq!(after.changed_since(after.generation()), []);
}

#[tokio::test]
async fn two_viewers_cost_one_capture_and_one_encoding() {
    let (_desktops, desktop) = open();
    let (mut one, mut two) = (desktop.watch(0, 60).unwrap(), desktop.watch(0, 60).unwrap());
    settle(&mut one).await;
    settle(&mut two).await;
    let (captured, encoded) = desktop.watching_cost();
    let _window = Window::open_on(desktop.display().unwrap(), (0, 0), (100, 100), 0x00_ff_00);
    let (a, b) = tokio::join!(until_seen(&mut one, (50, 50), [0, 0xff, 0]), until_seen(&mut two, (50, 50), [0, 0xff, 0]));
    assert!(Arc::ptr_eq(&a, &b));
    let (first, second) = tokio::join!(a.picture(LOOK), b.picture(LOOK));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!((first.width, first.height), (400, 300));
    let shown = image::load_from_memory(&first.jpeg).unwrap().to_rgb8();
    let [r, g, b] = shown.get_pixel(25, 25).0;
    assert!(g > 240 && r < 16 && b < 16, "{r} {g} {b}");
    let (captured, encoded) = (desktop.watching_cost().0 - captured, desktop.watching_cost().1 - encoded);
    assert!((1..=3).contains(&captured), "{captured} pictures of one change");
    assert_eq!(encoded, 1);
}

#[tokio::test]
async fn a_late_viewer_sees_the_screen_at_once_and_with_the_last_all_ends() {
    let (_desktops, desktop) = open();
    let mut one = desktop.watch(0, 1).unwrap();
    let first = next(&mut one).await;
    settle(&mut one).await;
    let mut two = desktop.watch(0, 30).unwrap();
    assert_eq!(next(&mut two).await.frame().region(), first.frame().region());
    assert_eq!(desktop.viewers(), 2);
    drop((one, two));
    assert_eq!(desktop.viewers(), 0);
    let (captured, _) = desktop.watching_cost();
    let window = Window::open_on(desktop.display().unwrap(), (0, 0), (100, 100), 0x00_00_ff);
    window.paint(0xff_ff_ff);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(desktop.watching_cost().0, captured, "nobody watches");
    // And again from the beginning.
    let mut three = desktop.watch(0, 30).unwrap();
    until_seen(&mut three, (50, 50), [0xff, 0xff, 0xff]).await;
}

#[tokio::test]
async fn a_monitor_that_is_not_there_and_a_display_that_ends_are_told() {
    let (desktops, desktop) = open();
    let failure = timeout(Duration::from_secs(20), desktop.watch(7, 5).unwrap().next()).await.unwrap().unwrap_err();
    assert_eq!(failure.code, Kind::ValidationError);
    let mut viewer = desktop.watch(0, 30).unwrap();
    next(&mut viewer).await;
    desktops.shutdown();
    let failure = loop {
        match timeout(Duration::from_secs(20), viewer.next()).await.expect("it is told") {
            Ok(_) => {}
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.code, Kind::ServiceUnavailable);
}

#[tokio::test]
async fn the_second_monitor_shows_its_own_part_only() {
    let (_desktops, desktop) = open();
    let display = desktop.display().unwrap();
    for arguments in
        [["--setmonitor", "*Left", "300/100x600/150+0+0", "screen"], ["--setmonitor", "Right", "500/120x600/150+300+0", "none"]]
    {
        assert!(std::process::Command::new("xrandr").args(["-display", display]).args(arguments).status().unwrap().success());
    }
    let mut right = desktop.watch(1, 60).unwrap();
    assert_eq!(next(&mut right).await.frame().region(), Region { x: 300, y: 0, width: 500, height: 600 });
    settle(&mut right).await;
    let (captured, _) = desktop.watching_cost();
    let _left = Window::open_on(display, (10, 10), (50, 50), 0xff_00_00);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(desktop.watching_cost().0, captured, "what happens on the left is not on the right");
    let _window = Window::open_on(display, (310, 20), (50, 50), 0x00_ff_00);
    let shot = until_seen(&mut right, (10, 20), [0, 0xff, 0]).await;
    assert!(shot.changed_since(shot.generation() - 1).iter().all(|r| r.x < 128 && r.y < 128));
}

#[test]
fn a_display_that_ends_is_noticed_without_being_asked() {
    let (desktops, desktop) = open();
    let desktops = Arc::new(desktops);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let waiting = runtime.spawn({
        let desktops = Arc::clone(&desktops);
        async move { desktops.crashed().await.to_string() }
    });
    let pid = super::targets::server(desktop.display().unwrap());
    std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    let said = runtime.block_on(async { timeout(Duration::from_secs(10), waiting).await }).expect("it is noticed").unwrap();
    assert!(said.contains("is gone"), "{said}");
    eventually("the desktop to be put away", || desktops.current().is_none().then_some(()));
    assert!(desktops.tidy());
    assert!(!desktops.tidy());
}

/// Waits until two looks in a row are the same: what a desktop draws when it starts is over then.
fn at_rest(desktop: &Desktop) {
    let number = || desktop.generation(Region { x: 0, y: 0, width: 800, height: 600 }).unwrap().expect("an X server tells of changes");
    let mut last = number();
    eventually("nothing to change any more", || {
        std::thread::sleep(Duration::from_millis(300));
        let now = number();
        (std::mem::replace(&mut last, now) == now).then_some(())
    });
}

#[tokio::test]
async fn a_change_is_heard_of_whoever_asked_for_it() {
    let (_desktops, desktop) = open();
    let display = desktop.display().unwrap().to_owned();
    super::display::managed(&display);
    let patch = Window::open_on(&display, (300, 200), (20, 10), 0x12_34_56);
    assert!(desktop.ears().is_none(), "nobody has asked yet");
    at_rest(&desktop);
    let ears = desktop.ears().expect("an X server tells of changes");
    assert!(timeout(Duration::from_millis(300), ears.listen()).await.is_err(), "nothing has changed");
    for round in 0..20 {
        let news = ears.listen();
        patch.paint(if round % 2 == 0 { 0xff_ff_ff } else { 0x10_20_30 });
        // Somebody else takes what the server has to say.
        if round % 3 == 0 {
            desktop.generation(Region { x: 0, y: 0, width: 10, height: 10 }).unwrap();
        }
        timeout(Duration::from_secs(20), news).await.expect("it is heard of");
        desktop.generation(Region { x: 0, y: 0, width: 10, height: 10 }).unwrap();
    }
}

#[test]
fn a_part_has_the_same_number_as_long_as_it_shows_the_same() {
    let (_desktops, desktop) = open();
    let display = desktop.display().unwrap().to_owned();
    super::display::managed(&display);
    let (here, there) = (Window::open_on(&display, (300, 200), (20, 10), 0x12_34_56), Window::open_on(&display, (600, 500), (20, 10), 0));
    let part = Region { x: 300, y: 200, width: 20, height: 10 };
    let whole = Region { x: 0, y: 0, width: 800, height: 600 };
    let number = |part| desktop.generation(part).unwrap().expect("an X server tells of changes");
    at_rest(&desktop);
    let before = number(part);
    assert_eq!(number(part), before);
    there.paint(0xff_ff_ff);
    assert_eq!(number(part), before, "what changed is elsewhere");
    assert!(number(whole) > before);
    here.paint(0xff_ff_ff);
    assert!(number(part) > before);
    assert_eq!(number(part), number(part));
    // Nothing is known of what is not on the screen.
    assert_eq!(desktop.generation(Region { x: 5000, y: 0, width: 1, height: 1 }).unwrap(), None);
}
