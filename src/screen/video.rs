//! Pictures one after the other as H.264, which every browser and player opens. What is the same as in the picture before costs next to
//! nothing. How the pieces become a file is for other rooms.

use openh264::OpenH264API;
use openh264::Timestamp;
use openh264::encoder::{
    BitRate, ColorPrimaries, Encoder, EncoderConfig, FrameRate, FrameType, MatrixCoefficients, QpRange, RateControlMode,
    TransferCharacteristics, UsageType, VuiConfig,
};
use openh264::formats::{BgraSliceU8, YUVBuffer};

use super::frame::PIXEL;
use super::{Error, Frame, Region};

/// The largest picture that the encoder takes: the longer side and the shorter one.
const LARGEST: (u32, u32) = (3840, 2160);
/// And the smallest, each side.
const SMALLEST: u32 = 16;
/// Kinds of what the encoder gives.
const PARAMETERS: u8 = 7;
const PICTURE_PARAMETERS: u8 = 8;

/// A picture that was written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VideoFrame {
    /// Whether it can be read without those before.
    pub is_key: bool,
    /// What a player must know of all pictures (SPS), where it stands with this one.
    pub parameters: Option<Vec<u8>>,
    /// The rest of that (PPS).
    pub picture_parameters: Option<Vec<u8>>,
    /// The picture: pieces, each after its length in four bytes.
    pub bytes: Vec<u8>,
}

/// Writes down pictures of one size.
pub struct VideoEncoder {
    encoder: Encoder,
    picture: YUVBuffer,
    size: (u32, u32),
    scale: f64,
}

impl std::fmt::Debug for VideoEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VideoEncoder").field("size", &self.size).finish_non_exhaustive()
    }
}

impl VideoEncoder {
    /// For pictures as large as `frame`, of which there are at most `fps` a second; `quality` (1–100) is as of a JPEG.
    ///
    /// # Errors
    /// [`Error::Quality`]; [`Error::Failed`] for pictures that are too small, and where there is no memory.
    pub fn new(frame: &Frame, fps: u32, quality: u32) -> Result<Self, Error> {
        if !(1..=100).contains(&quality) {
            return Err(Error::Quality(quality));
        }
        let (wide, high) = (frame.width(), frame.height());
        if wide.min(high) < SMALLEST {
            return Err(Error::Failed(format!("a film of {wide}×{high} pixels is too small")));
        }
        let shrink = (f64::from(LARGEST.0) / f64::from(wide.max(high))).min(f64::from(LARGEST.1) / f64::from(wide.min(high)));
        let scale = shrink.min(1.0);
        let scaled = frame.scaled(scale)?;
        // Colours are told for two by two pixels.
        let size = (scaled.width() & !1, scaled.height() & !1);
        let pixels = u64::from(size.0) * u64::from(size.1);
        let bits = u32::try_from(pixels * u64::from(fps.max(1)) * u64::from(quality) / 400).unwrap_or(u32::MAX).clamp(500_000, 100_000_000);
        // From where a text cannot be read to where no difference is seen.
        let coarsest = u8::try_from(46 - quality * 26 / 100).unwrap_or(46);
        let colours = VuiConfig::new()
            .color_primaries(ColorPrimaries::Bt709)
            .transfer_characteristics(TransferCharacteristics::Srgb)
            .matrix_coefficients(MatrixCoefficients::Smpte170M)
            .full_range(false);
        let config = EncoderConfig::new()
            .usage_type(UsageType::ScreenContentRealTime)
            .rate_control_mode(RateControlMode::Quality)
            .bitrate(BitRate::from_bps(bits))
            .max_frame_rate(FrameRate::from_hz(f32::from(u16::try_from(fps).unwrap_or(u16::MAX))))
            .qp(QpRange::new(8, coarsest))
            .skip_frames(false)
            .num_threads(1)
            .vui(colours);
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config).map_err(failed)?;
        let picture = YUVBuffer::new(size.0 as usize, size.1 as usize);
        Ok(Self { encoder, picture, size, scale })
    }

    /// Width and height of the film.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// Writes down a picture that is shown `millis` after the first one; with `whole` so that it can be read without those before.
    ///
    /// # Errors
    /// [`Error::Failed`] for one of another size, and where the encoder gives up.
    pub fn encode(&mut self, frame: &Frame, millis: u64, whole: bool) -> Result<VideoFrame, Error> {
        let scaled = frame.scaled(self.scale)?;
        if (scaled.width() & !1, scaled.height() & !1) != self.size {
            let (wide, high) = self.size;
            return Err(Error::Failed(format!("the film shows {wide}×{high} pixels, and the screen has another size now")));
        }
        let even = scaled.lend(Region { x: 0, y: 0, width: self.size.0, height: self.size.1 })?;
        let size = (self.size.0 as usize, self.size.1 as usize);
        match even.contiguous().filter(|bytes| bytes.len() == size.0 * size.1 * PIXEL) {
            Some(bytes) => self.picture.read_bgra8(BgraSliceU8::new(bytes, size)),
            None => {
                let mut bytes = Vec::with_capacity(size.0 * size.1 * PIXEL);
                even.rows().for_each(|row| bytes.extend_from_slice(row));
                self.picture.read_bgra8(BgraSliceU8::new(&bytes, size));
            }
        }
        self.again(millis, whole)
    }

    /// Writes down the same picture once more, for a later moment: a few bytes.
    ///
    /// # Errors
    /// [`Error::Failed`] where the encoder gives up.
    pub fn again(&mut self, millis: u64, whole: bool) -> Result<VideoFrame, Error> {
        if whole {
            self.encoder.force_intra_frame();
        }
        let stream = self.encoder.encode_at(&self.picture, Timestamp::from_millis(millis)).map_err(failed)?;
        let mut coded = VideoFrame { is_key: matches!(stream.frame_type(), FrameType::IDR), ..VideoFrame::default() };
        let layers = (0..stream.num_layers()).filter_map(|index| stream.layer(index));
        for layer in layers {
            for unit in (0..layer.nal_count()).filter_map(|index| layer.nal_unit(index)) {
                let unit = bare(unit);
                match unit.first().map(|first| first & 0x1f) {
                    None => {}
                    Some(PARAMETERS) => coded.parameters = Some(unit.to_vec()),
                    Some(PICTURE_PARAMETERS) => coded.picture_parameters = Some(unit.to_vec()),
                    Some(_) => {
                        coded.bytes.extend_from_slice(&u32::try_from(unit.len()).unwrap_or(u32::MAX).to_be_bytes());
                        coded.bytes.extend_from_slice(unit);
                    }
                }
            }
        }
        Ok(coded)
    }
}

/// A piece without the mark that it begins with.
fn bare(unit: &[u8]) -> &[u8] {
    let zeros = unit.iter().take_while(|byte| **byte == 0).count();
    match unit.get(zeros) {
        Some(1) if zeros >= 2 => unit.get(zeros + 1..).unwrap_or_default(),
        _ => unit,
    }
}

fn failed(error: openh264::Error) -> Error {
    Error::Failed(format!("the film: {error}"))
}

#[cfg(test)]
mod tests {
    use openh264::decoder::Decoder;
    use openh264::formats::YUVSource;

    use super::*;

    fn of_colour([red, green, blue]: [u8; 3], (width, height): (u32, u32)) -> Frame {
        let bytes = std::iter::repeat_n([blue, green, red, 0], (width * height) as usize).flatten().collect();
        Frame::of_bgrx(bytes, (width, height))
    }

    #[test]
    fn what_is_written_down_is_what_was_seen() {
        let colours = [[200, 30, 30], [20, 180, 60], [30, 60, 220]];
        let first = of_colour(colours[0], (321, 201));
        let mut encoder = VideoEncoder::new(&first, 10, 80).unwrap();
        assert_eq!(encoder.size(), (320, 200));
        let mut decoder = Decoder::new().unwrap();
        let mut millis = 0;
        let mut marked = |coded: &VideoFrame| {
            let mut stream = Vec::new();
            for unit in [&coded.parameters, &coded.picture_parameters].into_iter().flatten() {
                stream.extend([0, 0, 0, 1]);
                stream.extend(unit);
            }
            let mut rest = &coded.bytes[..];
            while let Some((length, after)) = rest.split_first_chunk::<4>() {
                let (unit, after) = after.split_at(u32::from_be_bytes(*length) as usize);
                stream.extend([0, 0, 0, 1]);
                stream.extend(unit);
                rest = after;
            }
            let seen = decoder.decode(&stream).unwrap().unwrap();
            assert_eq!(seen.dimensions(), (320, 200));
            let mut rgb = vec![0; 320 * 200 * 3];
            seen.write_rgb8(&mut rgb);
            [rgb[96_300], rgb[96_301], rgb[96_302]]
        };
        for (index, colour) in colours.into_iter().enumerate() {
            let coded = encoder.encode(&of_colour(colour, (321, 201)), millis, false).unwrap();
            // One that has nothing to do with the one before may stand by itself as well.
            assert!(coded.is_key || index > 0);
            assert_eq!(coded.is_key, coded.parameters.is_some());
            let seen = marked(&coded);
            assert!(seen.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 12), "{seen:?} instead of {colour:?}");
            millis += 100;
        }
        let same = encoder.again(millis, false).unwrap();
        assert!(same.bytes.len() < 100, "{} bytes for nothing new", same.bytes.len());
        marked(&same);
        let whole = encoder.again(millis + 100, true).unwrap();
        assert!(whole.is_key && whole.parameters.is_some());
        assert!(encoder.encode(&of_colour(colours[0], (400, 201)), millis + 200, false).is_err());
        assert!(VideoEncoder::new(&of_colour(colours[0], (15, 100)), 10, 80).is_err());
        assert!(VideoEncoder::new(&first, 10, 0).is_err());
    }
}
