//! Hextile: tiles of 16×16 pixels, each a background with rectangles on it.

use tokio::io::AsyncRead;

use super::Shared;
use super::picture::{Area, PIXEL};
use super::wire::{Broken, Incoming};

const TILE: u32 = 16;
/// What a tile consists of.
const RAW: u8 = 1;
const BACKGROUND: u8 = 2;
const FOREGROUND: u8 = 4;
const RECTANGLES: u8 = 8;
const COLOURED: u8 = 16;

/// Draws a rectangle that lies in the picture.
pub(super) async fn decode<R: AsyncRead + Unpin>(shared: &Shared, area: Area, server: &mut Incoming<R>) -> Result<(), Broken> {
    // Both hold from one tile to the next.
    let (mut background, mut foreground) = ([0; PIXEL], [0; PIXEL]);
    for top in (area.y..area.y + area.height).step_by(TILE as usize) {
        for left in (area.x..area.x + area.width).step_by(TILE as usize) {
            let tile = Area { x: left, y: top, width: TILE.min(area.x + area.width - left), height: TILE.min(area.y + area.height - top) };
            let kind = server.u8().await?;
            if kind & RAW != 0 {
                let pixels = server.bytes(tile.width as usize * tile.height as usize * PIXEL).await?;
                let mut state = shared.lock();
                for (line, row) in (tile.y..).zip(pixels.chunks_exact(tile.width as usize * PIXEL)) {
                    state.picture.write(tile.x, line, row);
                }
                continue;
            }
            if kind & BACKGROUND != 0 {
                background = server.array().await?;
            }
            if kind & FOREGROUND != 0 {
                foreground = server.array().await?;
            }
            shared.lock().picture.fill(tile, background);
            if kind & RECTANGLES == 0 {
                continue;
            }
            for _ in 0..server.u8().await? {
                let colour = if kind & COLOURED != 0 { server.array().await? } else { foreground };
                let [place, size] = server.array().await?;
                let part = Area {
                    x: u32::from(place >> 4),
                    y: u32::from(place & 15),
                    width: u32::from(size >> 4) + 1,
                    height: u32::from(size & 15) + 1,
                };
                if !part.within((tile.width, tile.height)) {
                    return Err("the server drew outside of a tile".to_owned());
                }
                shared.lock().picture.fill(Area { x: tile.x + part.x, y: tile.y + part.y, ..part }, colour);
            }
        }
    }
    Ok(())
}
