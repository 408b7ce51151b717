//! Finding texts and pictures on a screen: the first time, where nothing has changed, and while nothing comes.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use image::RgbaImage;
use tokio_util::sync::CancellationToken;
use trae::desktop::{Desktop, Desktops, Mode, Settings};
use trae::ocr::{self, Ocr, Reading};
use trae::screen::{Capture, Region};
use trae::sight::{PictureSearch, Sight, StillSearch, TextSearch, Zone};
use trae::vision::Needle;

use crate::ROUNDS;
use crate::report::Target::{AtMost, None as Untargeted};
use crate::report::{median, show, skip};

/// A window that ends with this.
struct Shown(Child);

impl Drop for Shown {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn measure() {
    let desktops = Desktops::new(Settings { mode: Mode::Virtual, virtual_size: (1920, 1080), ..Default::default() });
    let desktop = match desktops.default() {
        Ok(desktop) => desktop,
        Err(error) => return skip("text and pictures on a screen", &error.to_string()),
    };
    let display = desktop.display().unwrap().to_owned();
    let text = "for n in $(seq 40); do echo \"Invoice $n  Total $((n * 7)),50  Rechnung fuer Mueller GmbH\"; done; exec sleep 600";
    let places = ["80x24+10+10", "80x24+900+60", "80x30+300+500", "60x20+1300+600"];
    let show_one = |place: &str| {
        let arguments = ["-display", &display, "-geometry", place, "-fg", "black", "-bg", "white", "+bc", "-e", "sh", "-c", text];
        Command::new("xterm").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(Shown)
    };
    let windows: Result<Vec<Shown>, _> = places.iter().map(|place| show_one(place)).collect();
    let Ok(_windows) = windows else { return skip("text and pictures on a screen", "there is no xterm") };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(figures(&desktop, &display));
    desktops.shutdown();
}

fn sight() -> Sight {
    let settings = ocr::Settings {
        languages: vec!["eng".to_owned()],
        timeout: Duration::from_secs(60),
        confidence_threshold: 0.7,
        models: "no-models".into(),
    };
    Sight::new(Arc::new(Ocr::new(settings)))
}

async fn figures(desktop: &Arc<Desktop>, display: &str) {
    let cancel = CancellationToken::new();
    let eyes = sight();
    // The windows may take longer to come than a screen that nobody has drawn on stands still.
    for (x, y) in [(10, 10), (900, 60), (300, 500), (1300, 600)] {
        let (x, y, width, height) = (Some(x), Some(y), Some(360), Some(250));
        let search = TextSearch { text: Some("Invoice".to_owned()), x, y, width, height, timeout: Some(60.0), ..Default::default() };
        eyes.find_text(desktop, search, &cancel).await.unwrap();
    }
    let still = StillSearch { seconds: Some(1.0), timeout: Some(30.0), ..Default::default() };
    eyes.wait_until_still(desktop, still.clone(), &cancel).await.unwrap();

    // A zone of 400×40, read and looked at again.
    let zone = Zone { x: Some(20), y: Some(40), width: Some(400), height: Some(40), ..Zone::default() };
    let block = Reading { page_segmentation: Some(6), ..Reading::default() };
    eyes.read(desktop, zone.clone(), block.clone(), &cancel).await.unwrap();
    let mut again = Vec::new();
    for _ in 0..ROUNDS {
        let mut round = Vec::new();
        for _ in 0..100 {
            let begun = std::time::Instant::now();
            eyes.read(desktop, zone.clone(), block.clone(), &cancel).await.unwrap();
            round.push(begun.elapsed().as_secs_f64() * 1e3);
        }
        again.push(median(&round));
    }
    show("read a 400×40 zone that has not changed, p50 of 100", "ms", AtMost(1.0), again);

    // A piece of 64×64 of a window in all of the screen.
    let frame =
        desktop.screen().capture(&Capture { monitor: None, region: Some(Region { x: 1340, y: 640, width: 64, height: 64 }) }).unwrap();
    let pixels = RgbaImage::from_fn(64, 64, |x, y| {
        let [red, green, blue] = frame.pixel(x, y).unwrap();
        image::Rgba([red, green, blue, 255])
    });
    let needle = Needle::new(pixels).unwrap();
    // The first picture of a whole screen is written to memory that nobody has touched yet.
    drop(desktop.screen().capture(&Capture::default()).unwrap().to_gray());
    let mut unlike = Vec::new();
    let strange = RgbaImage::from_fn(64, 64, |x, y| image::Rgba([(x * 3) as u8, (y * 3) as u8, ((x ^ y) * 4) as u8, 255]));
    let strange = Needle::new(strange).unwrap();
    for _ in 0..ROUNDS {
        let fresh = sight();
        let begun = std::time::Instant::now();
        fresh.find_picture(desktop, strange.clone(), PictureSearch::default(), &cancel).await.unwrap();
        unlike.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    show("look for a picture of 64×64 that is not there", "ms", AtMost(30.0), unlike);
    let mut cold = Vec::new();
    for _ in 0..ROUNDS {
        let fresh = sight();
        let begun = std::time::Instant::now();
        let seen = fresh.find_picture(desktop, needle.clone(), PictureSearch::default(), &cancel).await.unwrap();
        cold.push(begun.elapsed().as_secs_f64() * 1e3);
        assert!(seen.found.is_some());
    }
    show("find a picture of 64×64 in 1920×1080", "ms", AtMost(30.0), cold);
    let mut taken = Vec::new();
    for _ in 0..ROUNDS {
        let begun = std::time::Instant::now();
        let gray = desktop.screen().capture(&Capture::default()).unwrap().to_gray();
        taken.push(begun.elapsed().as_secs_f64() * 1e3);
        assert_eq!(gray.dimensions(), (1920, 1080));
    }
    show("  of which the screen's picture in grey, from the X server", "ms", Untargeted, taken);
    eyes.find_picture(desktop, needle.clone(), PictureSearch::default(), &cancel).await.unwrap();
    // Something changes elsewhere all the time, so that it is looked for at all.
    let blinking = ["-display", display, "-geometry", "10x2+0+1000", "-e", "sh", "-c", "while :; do printf x; sleep 0.02; done"];
    let blinking = Command::new("xterm").args(blinking).stdout(Stdio::null()).stderr(Stdio::null()).spawn().map(Shown).unwrap();
    let mut last = Vec::new();
    for _ in 0..ROUNDS {
        let mut round = Vec::new();
        while round.len() < 100 {
            let begun = std::time::Instant::now();
            let seen = eyes.find_picture(desktop, needle.clone(), PictureSearch::default(), &cancel).await.unwrap();
            let took = begun.elapsed().as_secs_f64() * 1e3;
            assert!(seen.found.is_some());
            if !seen.known {
                round.push(took);
            }
        }
        last.push(median(&round));
    }
    show("  where it was last seen, p50 of 100", "ms", AtMost(2.0), last);
    drop(blinking);
    eyes.wait_until_still(desktop, still, &cancel).await.unwrap();

    // A whole screen of text.
    let mut whole = Vec::new();
    for _ in 0..ROUNDS {
        let fresh = sight();
        fresh.read(desktop, zone.clone(), Reading::default(), &cancel).await.unwrap();
        let begun = std::time::Instant::now();
        fresh.read(desktop, Zone::default(), Reading::default(), &cancel).await.unwrap();
        whole.push(begun.elapsed().as_secs_f64());
    }
    show("read a screen of 1920×1080 with four windows of text", "s", Untargeted, whole);

    // What waiting for a text costs on a screen where nothing happens.
    let search = TextSearch { text: Some("nowhere".to_owned()), timeout: Some(5.0), ..TextSearch::default() };
    eyes.find_text(desktop, TextSearch { timeout: None, ..search.clone() }, &cancel).await.unwrap();
    let mut busy = Vec::new();
    for _ in 0..ROUNDS {
        let before = cpu_seconds();
        let begun = std::time::Instant::now();
        let missed = eyes.find_text(desktop, search.clone(), &cancel).await;
        assert!(missed.is_err());
        busy.push((cpu_seconds() - before) / begun.elapsed().as_secs_f64() * 100.0);
    }
    show("wait for a text on an idle screen, of one core", "%", AtMost(2.0), busy);
}

/// Processor time of this process, by the scheduler's clock: the ticks that are counted else are a tenth of what is looked for here.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
