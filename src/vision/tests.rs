use image::{GrayImage, Luma, Rgba, RgbaImage};

use super::*;

/// A desktop of sorts: windows, lines of marks that look like text, and a few icons.
fn screen(width: u32, height: u32) -> RgbaImage {
    let mut state = 7_u32;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state
    };
    let mut picture = RgbaImage::from_pixel(width, height, Rgba([40, 60, 90, 255]));
    for _ in 0..12 {
        let (left, top) = (random() % width, random() % height);
        let (wide, high) = (100 + random() % 300, 80 + random() % 200);
        let shade = 200 + (random() % 56) as u8;
        for y in top..(top + high).min(height) {
            for x in left..(left + wide).min(width) {
                let ink = y % 14 < 9 && x.wrapping_mul(2_654_435_761).wrapping_add(y / 14 * 97).wrapping_mul(2_246_822_519) >> 29 == 0;
                picture.put_pixel(x, y, if ink { Rgba([20, 20, 20, 255]) } else { Rgba([shade, shade, shade, 255]) });
            }
        }
    }
    picture
}

/// A round button with a cross on it.
fn icon(side: u32, colour: [u8; 3]) -> RgbaImage {
    RgbaImage::from_fn(side, side, |x, y| {
        let (x, y, half) = (x as i32, y as i32, side as i32 / 2);
        let inside = (x - half).pow(2) + (y - half).pow(2) < (half - 1).pow(2);
        let cross = (x - y).abs() < 3 || (x + y - side as i32).abs() < 3;
        match (inside, cross) {
            (true, true) => Rgba([255, 255, 255, 255]),
            (true, false) => Rgba([colour[0], colour[1], colour[2], 255]),
            (false, _) => Rgba([230, 230, 230, 0]),
        }
    })
}

/// Lays one picture over another; what is transparent does not show.
fn paste(screen: &mut RgbaImage, icon: &RgbaImage, x: u32, y: u32) {
    for (dx, dy, pixel) in icon.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[3] > 0) {
        screen.put_pixel(x + dx, y + dy, *pixel);
    }
}

fn opaque(icon: &RgbaImage) -> RgbaImage {
    let mut icon = icon.clone();
    icon.pixels_mut().for_each(|pixel| pixel.0[3] = 255);
    icon
}

fn look(screen: &RgbaImage, needle: &RgbaImage, least: f64, scales: &[f64]) -> Matches {
    let needle = Needle::new(needle.clone()).unwrap();
    let gray = GrayImage::from_fn(screen.width(), screen.height(), |x, y| {
        let [r, g, b, _] = screen.get_pixel(x, y).0.map(u32::from);
        Luma([((b * 29 + g * 150 + r * 77) >> 8) as u8])
    });
    let colour = |x: u32, y: u32| [0, 1, 2].map(|channel| screen.get_pixel(x, y).0[channel]);
    find(&Scene { gray, colour: &colour }, &needle, least, scales)
}

fn places(matches: &Matches) -> Vec<(u32, u32)> {
    matches.found.iter().map(|found| (found.x, found.y)).collect()
}

#[test]
fn what_stands_there_as_it_is_is_found_everywhere_it_stands() {
    let mut screen = screen(640, 400);
    let button = opaque(&icon(32, [200, 30, 30]));
    for (x, y) in [(17, 23), (333, 201), (608, 368)] {
        paste(&mut screen, &button, x, y);
    }
    let matches = look(&screen, &button, 0.9, &[1.0]);
    assert_eq!(places(&matches), [(17, 23), (333, 201), (608, 368)]);
    assert!(matches.found.iter().all(|found| found.score > 0.999));
}

#[test]
fn what_is_brighter_or_blurred_is_found_by_likeness() {
    let mut screen = screen(640, 400);
    let button = opaque(&icon(48, [30, 90, 200]));
    let mut brighter = button.clone();
    brighter.pixels_mut().for_each(|pixel| pixel.0[..3].iter_mut().for_each(|shade| *shade = shade.saturating_add(18)));
    paste(&mut screen, &image::imageops::blur(&brighter, 0.7), 301, 123);
    let matches = look(&screen, &button, 0.8, &[1.0]);
    assert_eq!(places(&matches), [(301, 123)], "{matches:?}");
    assert!(matches.found[0].score < 0.97);
}

#[test]
fn what_is_transparent_may_be_anything() {
    let mut screen = screen(640, 400);
    let button = icon(48, [30, 150, 60]);
    for (x, y) in [(100, 50), (400, 300)] {
        paste(&mut screen, &button, x, y);
    }
    assert_eq!(places(&look(&screen, &button, 0.9, &[1.0])), [(100, 50), (400, 300)]);
}

#[test]
fn another_size_is_found_where_that_is_asked_for() {
    let mut screen = screen(640, 400);
    let large = opaque(&icon(60, [120, 60, 160]));
    paste(&mut screen, &large, 222, 111);
    let button = image::imageops::resize(&large, 40, 40, image::imageops::FilterType::Triangle);
    assert!(look(&screen, &button, 0.9, &[1.0]).found.is_empty());
    let matches = look(&screen, &button, 0.9, &[1.0, 1.25, 1.5]);
    assert_eq!(matches.found.len(), 1, "{matches:?}");
    let found = matches.found[0];
    assert!(found.x.abs_diff(222) < 2 && found.y.abs_diff(111) < 2 && found.width == 60 && found.scale == 1.5, "{found:?}");
}

#[test]
fn another_colour_is_another_thing_and_comes_closest() {
    let mut screen = screen(640, 400);
    paste(&mut screen, &opaque(&icon(32, [200, 40, 40])), 80, 90);
    let matches = look(&screen, &opaque(&icon(32, [20, 40, 230])), 0.9, &[1.0]);
    let nearest = matches.nearest.unwrap();
    assert!(matches.found.is_empty() && (nearest.x, nearest.y) == (80, 90) && nearest.score < 0.9, "{nearest:?}");
    // A patch of one colour has no shapes, and is told by that colour.
    let mut plain = RgbaImage::from_pixel(200, 100, Rgba([255, 255, 255, 255]));
    paste(&mut plain, &RgbaImage::from_pixel(20, 20, Rgba([0, 120, 0, 255])), 50, 40);
    assert_eq!(places(&look(&plain, &RgbaImage::from_pixel(20, 20, Rgba([0, 120, 0, 255])), 0.95, &[1.0])), [(50, 40)]);
    assert!(look(&plain, &RgbaImage::from_pixel(20, 20, Rgba([200, 0, 0, 255])), 0.9, &[1.0]).found.is_empty());
}

#[test]
fn what_is_no_picture_or_does_not_fit_is_no_match() {
    let plain = screen(64, 48);
    assert!(look(&plain, &screen(100, 20), 0.9, &[1.0]).found.is_empty());
    assert!(look(&plain, &screen(8, 8), 0.9, &[0.01, f64::NAN, 1e9, -1.0]).found.is_empty());
    for (picture, why) in [(RgbaImage::new(3, 50), "large"), (RgbaImage::new(50, 50), "opaque")] {
        assert!(Needle::new(picture).unwrap_err().to_string().contains(why));
    }
    for bytes in [&b""[..], b"no picture", &[0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0]] {
        assert!(Needle::decode(bytes).is_err());
    }
}

#[test]
fn where_it_was_last_is_looked_at_first() {
    let mut screen = screen(320, 200);
    let button = opaque(&icon(32, [200, 30, 30]));
    paste(&mut screen, &button, 100, 60);
    let gray = image::imageops::grayscale(&screen);
    let colour = |x: u32, y: u32| [0, 1, 2].map(|channel| screen.get_pixel(x, y).0[channel]);
    let (scene, needle) = (Scene { gray, colour: &colour }, Needle::new(button).unwrap());
    let at = |x, y| find_near(&scene, &needle, ((x, y), 1.0), 6, 0.9).map(|found| (found.x, found.y));
    assert_eq!([at(100, 60), at(96, 63), at(200, 60), at(5000, 5000)], [Some((100, 60)), Some((100, 60)), None, None]);
}

#[test]
fn differences_are_counted_and_told_by_place() {
    let rows = |bytes: &'static [u8]| bytes.chunks_exact(64 * 4);
    let before: &'static [u8] = vec![10; 64 * 64 * 4].leak();
    let mut after = before.to_vec();
    for (x, y) in [(3, 4), (5, 4), (60, 60)] {
        after[(y * 64 + x) * 4] = 40;
    }
    after[(30 * 64 + 30) * 4] = 12;
    after[(31 * 64 + 30) * 4 + 3] = 99;
    let after: &'static [u8] = after.leak();
    let size = (64, 64);
    let told = difference((rows(before), size), (rows(after), size), 5).unwrap();
    let part = |x, y| Rectangle { x, y, width: 16, height: 16 };
    assert_eq!((told.pixels, told.regions), (3, vec![part(0, 0), part(48, 48)]));
    assert_eq!(difference((rows(before), size), (rows(after), size), 0).unwrap().pixels, 4);
    assert!(difference((rows(before), size), (rows(after), (64, 63)), 0).is_err());
}
