//! Telling which way up a line is. Only lines that were read badly are asked about: on a screen, nearly all stand upright.

use super::recognise::{self, Strip, resized};
use super::runtime::Network;

/// The picture that the network was taught with.
const SIZE: (u32, u32) = (192, 48);
/// How sure it must be that a line stands on its head.
const SURE: f32 = 0.9;
/// Lines that are asked about together at most.
const BATCH: usize = 6;

/// Which of the strips stand on their head. `over` is asked before each batch whether to go on.
pub(super) fn on_their_head(strips: &[Strip], network: &mut Network, over: &dyn Fn() -> bool) -> Result<Option<Vec<bool>>, String> {
    let mut all = Vec::with_capacity(strips.len());
    for batch in strips.chunks(BATCH) {
        if over() {
            return Ok(None);
        }
        let fitting: Vec<Strip> = batch
            .iter()
            .map(|strip| {
                let too_wide = strip.pixels.width() > SIZE.0;
                let narrow = too_wide.then(|| resized(&strip.pixels, SIZE.0, SIZE.1)).flatten();
                narrow.map_or_else(|| strip.clone(), |pixels| Strip { pixels, scale: strip.scale })
            })
            .collect();
        let input = recognise::input(&fitting.iter().collect::<Vec<_>>(), SIZE.0 as usize);
        let turned = network.run([fitting.len(), 3, SIZE.1 as usize, SIZE.0 as usize], &input, |shape, likely| {
            if shape != [fitting.len(), 2] {
                return Err(format!("the network that tells directions gave {shape:?} for {} lines", fitting.len()));
            }
            Ok(likely.chunks_exact(2).map(|pair| pair.get(1).is_some_and(|likely| *likely > SURE)).collect::<Vec<_>>())
        })??;
        all.extend(turned);
    }
    Ok(Some(all))
}
